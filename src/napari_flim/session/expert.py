"""What the expert does to kernels: every action is one change that undo takes back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from napari_flim.errors import FlimError
from napari_flim.session.history import State
from napari_flim.session.kernel_edits import KernelEdits, KernelName, edited_model
from napari_flim.session.learned import BankChange, Learned
from napari_flim.session.planning import changes_by, edits_after
from napari_flim.session.session import Message, Session
from napari_flim.session.words import count_words


def switch_kernels(session: Session, kernels: Iterable[KernelName], on: bool) -> None:
    """Tick or untick kernels; saliency follows at once."""
    named = list(kernels)
    name = f'switching {count_words(len(named), "kernel")} {"on" if on else "off"}'
    _edit(session, name, session.edits.switched(named, on))


def weigh_kernels(session: Session, kernels: Iterable[KernelName], weight: float | None) -> None:
    """Set the decoder weight of kernels by hand, or leave it to the decoder with None."""
    named = list(kernels)
    name = f'weighing {count_words(len(named), "kernel")}'
    _edit(session, name, session.edits.weighted(named, weight))


def invert_kernels(session: Session, block: int, kernels: Sequence[int]) -> None:
    """Negate kernels; later blocks were learned from the old ones and become stale."""
    if session.learned is not None and kernels:
        learned = inverted(session.learned, block, kernels)
        name = f'inverting {count_words(len(kernels), "kernel")}'
        session.change(name, replace(session.state, learned=learned))


def drop_unticked(session: Session) -> bool:
    """Remove the kernels that are off for good; whether there are later blocks to learn again."""
    edits = session.edits
    if session.learned is None or not edits.off:
        return False
    try:
        learned = dropped(session.learned, edits)
    except FlimError as error:
        session.message = Message(str(error), error=True)
        return False
    name = f'dropping {count_words(len(edits.off), "kernel")}'
    kept = edits_after(edits, session.learned, len(learned.model.blocks))
    chosen = session.settings.decoder
    decoder = edited_model(session.learned.model, edits, chosen).decoder
    decoder = replace(decoder, block=chosen.block, overrides=())
    settings = replace(session.settings, decoder=decoder)
    session.change(name, State(settings, learned, kept))
    return learned.kept < len(learned.model.blocks) and bool(learned.digest)


def inverted(learned: Learned, block: int, kernels: Sequence[int]) -> Learned:
    """What was learned, with some kernels of a block negated."""
    model = learned.model
    old = model.blocks[block - 1]
    blocks = list(model.blocks)
    blocks[block - 1] = replace(old, bank=old.bank.invert(kernels))
    # What a negated kernel answers was never weighed: until it is, its channel says nothing.
    linear = model.linear and model.linear.muted(block, kernels)
    later = block + 1 if block < len(blocks) else 0
    kept = max(learned.kept, block)
    return replace(
        learned,
        model=replace(model, blocks=tuple(blocks), linear=linear),
        kept=kept,
        stale_from=min(filter(None, (learned.stale_from, later)), default=0),
        changes=(*learned.changes, BankChange(block, 'invert', tuple(kernels), kept)),
    )


def dropped(learned: Learned, edits: KernelEdits) -> Learned:
    """What was learned, without the kernels that are off.

    Raises
    ------
    KernelError
        When every kernel of a block is off.
    """
    model = learned.model
    edited = edited_model(model, edits, model.decoder)
    kept = max(learned.kept, edits.last_block)
    return replace(
        learned,
        model=replace(model, blocks=edited.blocks, linear=edited.linear),
        kept=kept,
        changes=(*learned.changes, *changes_by(edits, kept)),
    )


def _edit(session: Session, name: str, edits: KernelEdits) -> None:
    """Make the edits unless they leave a block without kernels."""
    if session.learned is None:
        return
    try:
        edited_model(session.learned.model, edits, session.settings.decoder)
    except FlimError as error:
        session.message = Message(str(error), error=True)
        return
    session.change(name, replace(session.state, edits=edits))
