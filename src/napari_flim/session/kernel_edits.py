"""What the expert decided about kernels: which are off, and which weights are set by hand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from napari_flim.engine.decoder_settings import DecoderSettings
from napari_flim.engine.kernels import drop_kernels

if TYPE_CHECKING:
    from napari_flim.model import FlimModel

KernelName = tuple[int, int]
"""Block from 1, kernel from 0."""


@dataclass(frozen=True)
class KernelEdits:
    """Edits that a click takes back; nothing of the model is lost by them.

    Attributes
    ----------
    off : frozenset of (block, kernel)
        Kernels that take no part.
    weights : dict of (block, kernel) to float
        Weights in the decoder set by hand: +1 object, 0 none, -1 background.
    """

    off: frozenset[KernelName] = frozenset()
    weights: dict[KernelName, float] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.off or self.weights)

    def off_in(self, block: int) -> list[int]:
        """Kernels of a block that are off."""
        return sorted(kernel for number, kernel in self.off if number == block)

    @property
    def last_block(self) -> int:
        """Last block with an edit, 0 without any."""
        return max((block for block, _ in (*self.off, *self.weights)), default=0)

    def switched(self, kernels: Iterable[KernelName], on: bool) -> KernelEdits:
        """These edits with kernels switched on or off."""
        named = frozenset(kernels)
        return replace(self, off=self.off - named if on else self.off | named)

    def weighted(self, kernels: Iterable[KernelName], weight: float | None) -> KernelEdits:
        """These edits with a weight set by hand, or automatic again for None."""
        named = set(kernels)
        weights = {name: value for name, value in self.weights.items() if name not in named}
        if weight is not None:
            weights |= dict.fromkeys(named, weight)
        return replace(self, weights=weights)


def next_weight(weight: float | None) -> float | None:
    """The weight that a click leads to: automatic, object, none, background, automatic."""
    return {None: 1.0, 1.0: 0.0, 0.0: -1.0, -1.0: None}[weight]


def edited_model(model: FlimModel, edits: KernelEdits, decoder: DecoderSettings) -> FlimModel:
    """The model that the edits make: kernels off removed, weights set, decoder chosen.

    A kernel that is off leaves with the channel that the next block reads of it, so later blocks
    answer as if that channel were at its marker mean everywhere.

    Raises
    ------
    KernelError
        When every kernel of a block is off.
    """
    blocks, linear = model.blocks, model.linear
    for number in range(1, len(blocks) + 1):
        off = edits.off_in(number)
        if off:
            blocks = drop_kernels(blocks, number, off)
            linear = linear and linear.without(number, off)
    chosen = _with_weights(model, edits, decoder)
    decoded = chosen.block or len(blocks)
    off = edits.off_in(decoded)
    if off:
        chosen = chosen.of_kernels(list(kept_places(len(model.blocks[decoded - 1].bank), off)))
    return replace(model, blocks=blocks, decoder=chosen, linear=linear)


def seen_model(model: FlimModel, edits: KernelEdits, decoder: DecoderSettings) -> FlimModel:
    """A model of the same saliency as `edited_model` that keeps the decoded block as it is.

    Kernels of that block that are off get the weight 0 instead, so that all channels computed
    before can be used again. The saliency may differ in the last bits of a float32.

    Raises
    ------
    KernelError
        When every kernel of an earlier block is off.
    """
    chosen = _with_weights(model, edits, decoder)
    decoded = chosen.block or len(model.blocks)
    off = edits.off_in(decoded)
    others = KernelEdits(frozenset(name for name in edits.off if name[0] != decoded))
    by_hand = {kernel: weight for kernel, weight in chosen.overrides if kernel not in off}
    weights = by_hand | dict.fromkeys(off, 0.0)
    rest = edited_model(model, others, decoder)
    return replace(rest, decoder=replace(chosen, overrides=tuple(sorted(weights.items()))))


def _with_weights(
    model: FlimModel, edits: KernelEdits, decoder: DecoderSettings
) -> DecoderSettings:
    """The decoder with weights set by hand; it reads the last block if its own does not exist."""
    count = len(model.blocks)
    decoded = decoder.block if 0 < decoder.block <= count else count
    overrides = tuple(
        (kernel, weight)
        for (block, kernel), weight in sorted(edits.weights.items())
        if block == decoded
    )
    return replace(decoder, block=decoded % count, overrides=overrides)


def kept_places(count: int, off: Iterable[int]) -> dict[int, int]:
    """New index of every kernel that stays.

    Examples
    --------
    >>> kept_places(4, [1])
    {0: 0, 2: 1, 3: 2}
    """
    gone = set(off)
    kept = [kernel for kernel in range(count) if kernel not in gone]
    return {kernel: place for place, kernel in enumerate(kept)}
