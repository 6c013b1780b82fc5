"""What to learn next: from which block on, on top of which blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_flim.errors import LearningError
from napari_flim.session.items import digest_of
from napari_flim.session.jobs import LearnRequest
from napari_flim.session.kernel_edits import KernelEdits, edited_model, kept_places
from napari_flim.session.learned import (
    BankChange,
    BlockState,
    Learned,
    block_states,
    changed_at,
    decoder_is_stale,
)
from napari_flim.session.session import Session
from napari_flim.session.sources import ImageSource

if TYPE_CHECKING:
    from napari_flim.model import FlimModel


def plan_all(session: Session) -> LearnRequest:
    """Learn every block, but for leading ones that keep edits of the expert.

    Raises
    ------
    LearningError
        When every block keeps edits, so that nothing would be learned, or when the blocks that
        keep edits cannot read the training images.
    """
    return _request_to(session, len(session.settings.architecture))


def plan_live(session: Session) -> LearnRequest:
    """Learn as `plan_all` does, but no blocks that were never asked for.

    Raises
    ------
    LearningError
        As `plan_all`.
    """
    return _request_to(session, _asked_for(session))


def plan_block(session: Session, number: int) -> LearnRequest:
    """Learn one block anew, on top of those before it; later ones are then to be learned.

    LibIFT's way learns the blocks before it anew as well.

    Raises
    ------
    LearningError
        When a block before it is not learned, has changed since, or cannot read the images.
    """
    problem = block_problem(session.block_states(), number)
    if problem:
        raise LearningError(problem)
    return _request(session, number - 1, number)


def block_problem(states: Sequence[BlockState], number: int) -> str:
    """Why a block, counted from 1, cannot be learned alone; empty if it can.

    Examples
    --------
    >>> block_problem(('learned', 'stale', 'stale'), 3)
    'Block 2 has changed since it was learned; learn it before block 3.'
    """
    words = {'missing': 'is not learned yet', 'stale': 'has changed since it was learned'}
    for before, state in enumerate(states[: number - 1], start=1):
        if state in words:
            return f'Block {before} {words[state]}; learn it before block {number}.'
    return ''


def wants_live(session: Session, states: Sequence[BlockState]) -> bool:
    """Whether live learning has something to do, and can do it.

    An opened model is not learned over, and blocks that were never asked for are not added.
    """
    learned = session.learned
    if learned is None:
        return True
    if not learned.digest:
        return False
    asked, depth, kept = _asked_for(session), len(learned.model.blocks), kept_blocks(session)
    changed = depth > len(states) or {'stale', 'missing'} & set(states[:asked])
    decoder = _decoder_is_stale(session)
    possible = kept < asked or depth > asked or decoder
    return bool(changed or decoder) and possible and not (kept and _unread(session, learned.model))


def _decoder_is_stale(session: Session) -> bool:
    if session.learned is None:
        return False
    digest = digest_of(session.training_images())
    return decoder_is_stale(session.learned, session.settings, digest)


def change_to_finish(session: Session) -> str:
    """Name of the latest change if blocks are stale because of it alone; empty otherwise.

    Learning these blocks is part of that change, so that one undo takes back both.
    """
    if not session.history.done:
        return ''
    change = session.history.done[-1]
    before = change.before
    digest = digest_of(session.training_images())
    states = block_states(before.learned, before.settings, digest, before.edits)
    return '' if {'stale', 'missing'} & set(states) else change.name


def kept_blocks(session: Session) -> int:
    """Number of leading blocks that keep edits of the expert.

    LibIFT's way learns all blocks or none, so edits of one block keep all of them.
    """
    learned, settings = session.learned, session.settings
    if learned is None:
        return 0
    count = len(settings.architecture)
    kept = max(learned.kept, session.edits.last_block)
    kept = min(kept, len(learned.model.blocks), count, changed_at(learned, settings) - 1)
    return count if kept and _learns_all(session) else kept


def _learns_all(session: Session) -> bool:
    return session.settings.transform.kind == 'libift'


def _asked_for(session: Session) -> int:
    """Number of blocks that were asked for, by learning all or by learning up to one of them."""
    learned, count = session.learned, len(session.settings.architecture)
    if learned is None:
        return count
    depth = len(learned.model.blocks)
    return count if depth == len(learned.settings.architecture) else min(depth, count)


def edits_after(edits: KernelEdits, learned: Learned, start: int) -> KernelEdits:
    """The edits that still have a meaning when ``start`` blocks stayed and the rest is new.

    Kernels that were off are gone for good; weights set by hand follow their kernels.
    """
    weights = {}
    for (block, kernel), weight in edits.weights.items():
        if block <= start:
            count = len(learned.model.blocks[block - 1].bank)
            places = kept_places(count, edits.off_in(block))
            if kernel in places:
                weights[block, places[kernel]] = weight
    return KernelEdits(weights=weights)


def _request_to(session: Session, last: int) -> LearnRequest:
    """Learn the blocks that keep no edits, up to the last one."""
    learned, kept = session.learned, min(kept_blocks(session), last)
    complete = learned is not None and kept == last and len(learned.model.blocks) <= last
    if complete and not _decoder_is_stale(session):
        raise LearningError(
            'Every block keeps your edits of its kernels, so there is nothing to learn. '
            'Press "Learn" on a block to learn it anew.'
        )
    return _request(session, kept, last)


def _request(session: Session, start: int, last: int) -> LearnRequest:
    learned, edits, images = session.learned, session.edits, session.training_images()
    if learned is None or not start or _learns_all(session):
        return LearnRequest(images, session.settings, (), last, 0, ())
    unread = _unread(session, learned.model)
    if unread is not None:
        raise LearningError(
            f'The blocks that stay read {learned.model.reads()}, but {unread.name} is not such an '
            'image. Press "Learn" on block 1 to learn it anew, or untick the image.'
        )
    blocks = edited_model(learned.model, edits, session.settings.decoder).blocks[:start]
    changes = [
        replace(change, stayed=min(change.stayed, start))
        for change in (*learned.changes, *changes_by(edits, start))
        if change.block <= start
    ]
    kept = min(start, max(learned.kept, edits.last_block))
    return LearnRequest(images, session.settings, blocks, last, kept, tuple(changes))


def _unread(session: Session, model: FlimModel) -> ImageSource | None:
    """The first training image that the blocks of a model cannot read."""
    reads = (model.ndim, model.rgb, model.channels)
    sources = (image.source for image in session.training_images())
    return next((s for s in sources if (s.ndim, s.rgb, s.channels) != reads), None)


def changes_by(edits: KernelEdits, stayed: int) -> list[BankChange]:
    """What dropping the kernels that are off changes, when so many leading blocks stay."""
    blocks = sorted({block for block, _ in edits.off})
    return [BankChange(block, 'drop', tuple(edits.off_in(block)), stayed) for block in blocks]
