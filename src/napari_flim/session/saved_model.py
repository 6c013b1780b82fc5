"""A model with its past as plain data that a file can hold, and the way back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from napari_flim.engine.architecture import Architecture
from napari_flim.io.session_file import SavedSession
from napari_flim.session.items import Item, digest_of, training_images
from napari_flim.session.kernel_edits import KernelEdits, edited_model
from napari_flim.session.learned import BankChange, Learned, Origin
from napari_flim.session.saved_values import IMPOSSIBLE, damaged, whole
from napari_flim.session.session import Session
from napari_flim.session.settings import settings_from_dict, settings_to_dict

OTHER_STROKES = 'other strokes'
"""Digest of a model that was learned from strokes which have changed since."""

SAME, OTHER, UNKNOWN = 'same', 'other', 'unknown'
"""Whether a model was learned from the strokes that are saved with it."""


def saved_model(learned: Learned, session: Session, items: Sequence[Item]) -> dict[str, Any]:
    """A model as it is told of in a file, beside its blocks.

    Parameters
    ----------
    learned : Learned
    session : Session
    items : sequence of Item
        Those that are saved with it.
    """
    from napari_flim.model import settings_of

    keys = [item.source.key for item in items]
    same = digest_of(training_images(items, session.classes)) == learned.digest
    return {
        **settings_of(learned.model),
        'epsilon': learned.model.epsilon,
        'intrinsic_atrous': learned.model.intrinsic_atrous,
        'learned_with': settings_to_dict(learned.settings),
        'origins': [
            [keys.index(one.item) if one.item in keys else None, one.frame, one.name]
            for one in learned.origins
        ],
        'strokes': (SAME if same else OTHER) if learned.digest else UNKNOWN,
        'seconds': learned.seconds,
        'kept': learned.kept,
        'stale_from': learned.stale_from,
        'changes': [
            [one.block, one.kind, [int(kernel) for kernel in one.kernels], one.stayed]
            for one in learned.changes
        ],
        'edits': {
            'off': [[block, int(kernel)] for block, kernel in sorted(session.edits.off)],
            'weights': [
                [block, int(kernel), weight]
                for (block, kernel), weight in sorted(session.edits.weights.items())
            ],
        },
    }


def learned_of(saved: SavedSession) -> tuple[Learned | None, KernelEdits]:
    """The model of a saved session with its past, and what the expert decided about it.

    Returns
    -------
    learned : Learned, optional
        As an opened model, without origins; see `with_origins` and `strokes_digest`.
    edits : KernelEdits

    Raises
    ------
    FileError
        When something is missing or does not fit together.
    """
    if saved.learned is None:
        return None, KernelEdits()
    try:
        learned = _learned(saved, saved.learned)
        edits = _edits(saved.learned['edits'], learned)
        edited_model(learned.model, edits, learned.model.decoder)
    except IMPOSSIBLE as error:
        raise damaged('model', error) from error
    return learned, edits


def with_origins(learned: Learned, saved: SavedSession, keys: Sequence[str]) -> Learned:
    """The model with the images its kernels came from.

    Parameters
    ----------
    learned : Learned
    saved : SavedSession
        Where it comes from.
    keys : sequence of str
        Of the items that are open now, in the order of ``saved.images``.
    """
    content = saved.learned or {'origins': []}
    origins = tuple(
        Origin('' if image is None else keys[image], frame, name)
        for image, frame, name in content['origins']
    )
    return replace(learned, origins=origins)


def strokes_digest(saved: SavedSession, session: Session) -> str:
    """What `Learned.digest` is when every image of a saved session is open with the same voxels.

    Until that is known a model is treated as an opened one, so that nothing is learned over it
    unasked.

    Parameters
    ----------
    saved : SavedSession
    session : Session
        With the items as they were opened.
    """
    strokes = UNKNOWN if saved.learned is None else saved.learned['strokes']
    if strokes == SAME:
        return digest_of(session.training_images())
    return OTHER_STROKES if strokes == OTHER else ''


def _learned(saved: SavedSession, content: dict[str, Any]) -> Learned:
    from napari_flim.model_loading import model_from_settings

    specs = tuple(block.spec for block in saved.blocks)
    architecture = Architecture(specs, content['epsilon'], content['intrinsic_atrous'])
    model = model_from_settings(saved.blocks, architecture, content)
    count = len(model.blocks)
    for image, frame, name in content['origins']:
        if image is not None:
            whole('image', image, 0, len(saved.images) - 1)
        whole('place along T', frame, 0)
        if not isinstance(name, str):
            raise ValueError(f'the name of an image is {name!r}')
    if content['strokes'] not in (SAME, OTHER, UNKNOWN):
        raise ValueError(f'strokes are {content["strokes"]!r}')
    return Learned(
        model=model,
        settings=settings_from_dict(content['learned_with']),
        seconds=float(content['seconds']),
        kept=whole('kept blocks', content['kept'], 0, count),
        stale_from=whole('stale block', content['stale_from'], 0, count),
        changes=tuple(_change(one, count) for one in content['changes']),
    )


def _change(content: Any, count: int) -> BankChange:
    block, kind, kernels, stayed = content
    if kind not in ('drop', 'invert'):
        raise ValueError(f'a change of kernels is {kind!r}')
    return BankChange(
        whole('block', block, 1, count),
        kind,
        tuple(whole('kernel', kernel, 0) for kernel in kernels),
        whole('blocks that stayed', stayed, 0, count),
    )


def _edits(content: dict[str, Any], learned: Learned) -> KernelEdits:
    banks = [block.bank for block in learned.model.blocks]

    def named(block: Any, kernel: Any) -> tuple[int, int]:
        number = whole('block', block, 1, len(banks))
        return number, whole('kernel', kernel, 0, len(banks[number - 1]) - 1)

    weights = {named(block, kernel): float(weight) for block, kernel, weight in content['weights']}
    if not np.isfinite(list(weights.values())).all():
        raise ValueError(f'weights are {list(weights.values())}')
    return KernelEdits(frozenset(named(*one) for one in content['off']), weights)
