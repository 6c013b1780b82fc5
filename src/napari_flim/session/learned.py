"""What was learned, from what, and which blocks of it are still true."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from napari_flim.session.kernel_edits import KernelEdits
from napari_flim.session.settings import Settings

if TYPE_CHECKING:
    from napari_flim.model import FlimModel

BlockState = Literal['learned', 'kept', 'stale', 'missing']


@dataclass(frozen=True)
class Origin:
    """A training image that kernels came from.

    Attributes
    ----------
    item : str
        Key of the image source.
    frame : int
        Place along T.
    name : str
    """

    item: str
    frame: int
    name: str


@dataclass(frozen=True)
class BankChange:
    """A change of a kernel bank that is part of how the model came about.

    Attributes
    ----------
    block : int
    kind : {'drop', 'invert'}
    kernels : tuple of int
        As they were counted at that time.
    stayed : int
        Number of leading blocks that stayed as they were when learning went on after the change.
    """

    block: int
    kind: Literal['drop', 'invert']
    kernels: tuple[int, ...]
    stayed: int


@dataclass(frozen=True, eq=False)
class Learned:
    """A model with its past.

    Attributes
    ----------
    model : FlimModel
    settings : Settings
        As they were when it was learned.
    origins : tuple of Origin
        Training images in the order in which kernel banks count them.
    digest : str
        Of all strokes it was learned from; empty for a model that was opened.
    seconds : float
        How long learning took.
    kept : int
        Number of leading blocks that keep edits of the expert and are not learned again by
        painting.
    stale_from : int
        First block that was learned from kernels which have changed since, 0 for none.
    changes : tuple of BankChange
        What the expert changed for good in the blocks that are kept, in that order.
    warning : str
        What the user should know of the training images; empty if nothing.
    """

    model: FlimModel
    settings: Settings
    origins: tuple[Origin, ...] = ()
    digest: str = ''
    seconds: float = 0.0
    kept: int = 0
    stale_from: int = 0
    changes: tuple[BankChange, ...] = ()
    warning: str = ''


def block_states(
    learned: Learned | None,
    settings: Settings,
    digest: str,
    edits: KernelEdits = KernelEdits(),
) -> tuple[BlockState, ...]:
    """State of every block of the architecture.

    Parameters
    ----------
    learned : Learned, optional
    settings : Settings
        As they are now.
    digest : str
        Of all strokes as they are now.
    edits : KernelEdits
        They keep their blocks, as edits for good do.
    """
    count = len(settings.architecture)
    if learned is None:
        missing: BlockState = 'missing'
        return (missing,) * count
    kept = max(learned.kept, edits.last_block)
    painted = bool(learned.digest) and digest != learned.digest
    changed = min(changed_at(learned, settings), kept + 1 if painted else count + 1)
    states: list[BlockState] = []
    for number in range(1, count + 1):
        if number > len(learned.model.blocks):
            states.append('missing')
        elif number >= changed:
            states.append('stale')
        else:
            states.append('kept' if number <= kept else 'learned')
    return tuple(states)


def decoder_is_stale(learned: Learned, settings: Settings, digest: str) -> bool:
    """Whether the decoder is to be learned, with or without blocks.

    Parameters
    ----------
    learned : Learned
    settings : Settings
        As they are now.
    digest : str
        Of all strokes as they are now.
    """
    if settings.decoder.name != 'linear':
        return False
    linear, count = learned.model.linear, len(learned.model.blocks)
    asked = settings.decoder.block if settings.decoder.block <= count else 0
    painted = bool(learned.digest) and digest != learned.digest
    return linear is None or painted or linear.blocks[-1] != (asked or count)


def changed_at(learned: Learned, settings: Settings) -> int:
    """First block that differs from what the settings, and the kernels before it, ask for.

    Parameters
    ----------
    learned : Learned
    settings : Settings
        As they are now.

    Returns
    -------
    int
        One past the last block if there is none.
    """
    specs, before = settings.architecture, learned.settings.architecture
    if _of_all_blocks(settings) != _of_all_blocks(learned.settings):
        return 1
    same = [now == then for now, then in zip(specs.blocks, before.blocks, strict=False)]
    last = len(specs) + 1
    return min(same.index(False) + 1 if False in same else last, learned.stale_from or last)


def _of_all_blocks(settings: Settings) -> tuple[object, ...]:
    """What every block is learned with."""
    specs = settings.architecture
    ways = (settings.transform, settings.fixed_ranges, settings.options)
    return (*ways, specs.epsilon, specs.intrinsic_atrous)
