"""A session as plain data that a file can hold, and the way back.

All but undo is kept. Reading voxels may be slow, so `saved_session` reads none: `recognised`
adds what an image is recognised by later. `checked` comes before anything is opened.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np

from napari_flim.engine.architecture import Architecture
from napari_flim.engine.image import SPATIAL
from napari_flim.errors import FileError, FlimError
from napari_flim.io.session_file import SavedImage, SavedSession, image_digest
from napari_flim.progress import Job, Progress
from napari_flim.session.classes import Classes, MarkedClass, with_change
from napari_flim.session.corrections import Corrections
from napari_flim.session.items import Item, digest_of, training_images
from napari_flim.session.kernel_edits import KernelEdits, edited_model
from napari_flim.session.learned import BankChange, Learned, Origin
from napari_flim.session.saving_corrections import corrections_of, saved_corrections
from napari_flim.session.session import Session
from napari_flim.session.settings import Settings, settings_from_dict, settings_to_dict
from napari_flim.session.sources import ImageSource, Strokes

OTHER_STROKES = 'other strokes'
"""Digest of a model that was learned from strokes which have changed since."""

SAME, OTHER, UNKNOWN = 'same', 'other', 'unknown'
"""Whether a model was learned from the strokes that are saved with it."""

IMPOSSIBLE = (
    FlimError,
    KeyError,
    TypeError,
    ValueError,
    AttributeError,
    IndexError,
    OverflowError,
    RecursionError,
)

logger = logging.getLogger(__name__)

Digests = Mapping[tuple[object, ...], str]
"""By `ImageSource.content`."""


@dataclass(frozen=True)
class AbsentArray:
    """What is known of an image that is not open: everything but its voxels.

    Attributes
    ----------
    shape : tuple of int
    dtype : str
    digest : str
        See `napari_flim.io.session_file.image_digest`.
    """

    shape: tuple[int, ...]
    dtype: str
    digest: str


@dataclass(frozen=True)
class View:
    """What the docks of a session show.

    Attributes
    ----------
    current : int, optional
        Which image the docks show results of.
    live : bool
        Learn again whenever the brush rests.
    opened : tuple of int
        Images whose layers are to be open.
    """

    current: int | None
    live: bool
    opened: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class CheckedSession:
    """A saved session in which nothing is missing or impossible; see `checked`.

    Attributes
    ----------
    saved : SavedSession
    classes : tuple of MarkedClass
    settings : Settings
    view : View
    learned : Learned, optional
        As an opened model; see `with_origins` and `strokes_digest`.
    edits : KernelEdits
    """

    saved: SavedSession
    classes: Classes
    settings: Settings
    view: View
    learned: Learned | None
    edits: KernelEdits


def copy_of(session: Session) -> Session:
    """A session of the same values that nobody changes, to be read in a worker."""
    return Session(
        items=session.items,
        classes=session.classes,
        state=session.state,
        live=session.live,
        current=session.current,
    )


def is_unchanged(session: Session, copied: Session) -> bool:
    """Whether what is kept of a session is as it was when it was copied."""
    now = (session.items, session.classes, session.state)
    return now == (copied.items, copied.classes, copied.state)


def is_worth_keeping(session: Session) -> bool:
    """Whether anything is painted, corrected or learned."""
    worked_on = any(item.strokes or any(item.corrections.values()) for item in session.items)
    return session.learned is not None or worked_on


def saved_session(session: Session) -> SavedSession:
    """Everything of a session but its history, without reading any image."""
    # napari closes every layer before a window; that must not close the images of the session.
    opened = [item.opened for item in session.items]
    items = session.items if any(opened) else tuple(_reopened(item) for item in session.items)
    keys = [item.source.key for item in items]
    settings = {
        **settings_to_dict(session.settings),
        'current': keys.index(session.current) if session.current in keys else None,
        'live': session.live,
        'opened': [number for number, item in enumerate(items) if item.opened],
    }
    learned = session.learned
    return SavedSession(
        images=tuple(_saved_image(item) for item in items),
        classes=tuple(
            {
                'label': one.label,
                'name': one.name,
                'colour': tuple(float(part) for part in one.colour),
                'role': one.role,
            }
            for one in session.classes
        ),
        settings=settings,
        learned=None if learned is None else _saved_model(learned, session, items),
        blocks=() if learned is None else learned.model.blocks,
        saved_at=datetime.now().astimezone().isoformat(timespec='seconds'),
    )


def recognised(session: Session, known: Digests) -> Job[tuple[SavedSession, Digests]]:
    """A session as plain data, with what its images are recognised by; reads some of their voxels.

    Parameters
    ----------
    session : Session
        That nobody changes; see `copy_of`.
    known : mapping
        Digests from an earlier time.

    Returns
    -------
    saved : SavedSession
    digests : mapping
        To be given as ``known`` the next time.
    """
    sources = [item.source for item in session.items]
    digests: dict[tuple[object, ...], str] = {}
    for number, source in enumerate(sources):
        yield Progress(f'recognising {source.name}', number, len(sources))
        digests[source.content] = known.get(source.content) or digest_of_voxels(source)
    yield Progress('writing', len(sources), len(sources))
    return with_digests(session, digests), digests


def with_digests(session: Session, known: Digests) -> SavedSession:
    """A session as plain data, with what is known already of its images; reads none of them."""
    saved = saved_session(session)
    pairs = zip(saved.images, session.items, strict=True)
    images = tuple(replace(one, digest=_known_digest(item.source, known)) for one, item in pairs)
    return replace(saved, images=images)


def compared(
    pairs: Sequence[tuple[SavedImage, ImageSource]],
) -> Job[tuple[tuple[str, ...], Digests]]:
    """Compare images that are open with those of a saved session; reads some of their voxels.

    Parameters
    ----------
    pairs : sequence of (SavedImage, ImageSource)

    Returns
    -------
    names : tuple of str
        Of the images with other voxels.
    digests : mapping
        See `recognised`.
    """
    digests: dict[tuple[object, ...], str] = {}
    for number, (_, source) in enumerate(pairs):
        yield Progress(f'recognising {source.name}', number, len(pairs))
        digests[source.content] = digest_of_voxels(source)
    names = tuple(
        image.name for image, source in pairs if image.digest not in ('', digests[source.content])
    )
    return names, digests


def digest_of_voxels(source: ImageSource) -> str:
    """See `napari_flim.io.session_file.image_digest`; empty for an image that cannot be read.

    Its strokes are worth saving all the same.
    """
    if isinstance(source.data, AbsentArray):
        return source.data.digest
    try:
        return image_digest(source.data, source.axes)
    except Exception:
        # What is behind a lazy array, a file or a server, may fail in any way.
        logger.exception('%s cannot be read, so it will not be recognised', source.name)
        return ''


def checked(saved: SavedSession) -> CheckedSession:
    """Everything of a saved session, ready to be put in the place of another one.

    Imports torch if there is a model, so it is for workers.

    Raises
    ------
    FileError
        When something is missing, impossible, or does not fit together.
    """
    learned, edits = learned_of(saved)
    return CheckedSession(
        saved, classes_of(saved), settings_of_saved(saved), view_of(saved), learned, edits
    )


def classes_of(saved: SavedSession) -> Classes:
    """The classes of a saved session.

    Raises
    ------
    FileError
        When they are no classes that can be painted with.
    """
    classes = tuple(sorted((MarkedClass(**one) for one in saved.classes), key=_label))
    try:
        for one in classes:
            with_change(classes, one)
    except FlimError as error:
        raise _damaged('classes', error) from error
    if [one.role for one in classes[:1]] != ['background'] or classes[0].label != 1:
        raise _damaged('classes', 'there is no background with label 1')
    if all(one.role == 'background' for one in classes):
        raise _damaged('classes', 'there is no object')
    return classes


def settings_of_saved(saved: SavedSession) -> Settings:
    """The settings of a saved session.

    Raises
    ------
    FileError
        When something is missing or impossible.
    """
    try:
        return settings_from_dict(saved.settings)
    except IMPOSSIBLE as error:
        raise _damaged('settings', error) from error


def view_of(saved: SavedSession) -> View:
    """What the docks showed when the session was saved.

    Raises
    ------
    FileError
        When something is missing or impossible.
    """
    try:
        current, opened = saved.settings['current'], tuple(saved.settings['opened'])
        for number in (*opened, *(() if current is None else (current,))):
            _whole('image', number, 0, len(saved.images) - 1)
        return View(current, bool(saved.settings['live']), opened)
    except IMPOSSIBLE as error:
        raise _damaged('settings', error) from error


def strokes_of(image: SavedImage) -> dict[int, Strokes]:
    """The strokes of a saved image."""
    shape = _space(image)
    return {frame: Strokes(*one, shape) for frame, one in image.strokes.items()}


def corrections_of_image(image: SavedImage) -> dict[int, Corrections]:
    """What was decided about the objects of a saved image."""
    return corrections_of(image.corrections, _space(image))


def _space(image: SavedImage) -> tuple[int, ...]:
    sizes = dict(zip(image.axes, image.shape, strict=True))
    return tuple(sizes[letter] for letter in image.axes if letter in SPATIAL)


def marker_shape_of(image: SavedImage) -> tuple[int, ...]:
    """Shape of the marker layer of a saved image."""
    pairs = zip(image.axes, image.shape, strict=True)
    return tuple(size for letter, size in pairs if letter not in 'CS')


def spacing_of(image: SavedImage) -> tuple[float, ...]:
    """Voxel size of a saved image along its spatial axes."""
    axes = image.axes.replace('S', '')
    return tuple(s for s, letter in zip(image.scale, axes, strict=True) if letter in SPATIAL)


def absent_item(image: SavedImage, key: str) -> Item:
    """The item of an image that is not open; it keeps the strokes until the image is."""
    source = ImageSource(
        key=key,
        name=image.name,
        data=AbsentArray(image.shape, image.dtype, image.digest),
        axes=image.axes,
        spacing=spacing_of(image),
        unit=image.units[image.axes.replace('S', '').index('X')],
        path=image.path,
        sample=image.sample,
    )
    return Item(
        source,
        strokes_of(image),
        None,
        image.included,
        opened=False,
        corrections=corrections_of_image(image),
    )


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
        raise _damaged('model', error) from error
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


def _known_digest(source: ImageSource, known: Digests) -> str:
    absent = source.data.digest if isinstance(source.data, AbsentArray) else ''
    return known.get(source.content, absent)


def _reopened(item: Item) -> Item:
    return replace(item, opened=True, markers=item.markers or f'{item.source.name} markers')


def _saved_image(item: Item) -> SavedImage:
    source = item.source
    spatial = dict(zip((a for a in source.axes if a in SPATIAL), source.spacing, strict=True))
    axes = source.axes.replace('S', '')
    sizes = dict(zip(source.axes, map(int, source.data.shape), strict=True))
    return SavedImage(
        name=source.name,
        path=source.path,
        sample=source.sample,
        shape=tuple(sizes.values()),
        dtype=str(source.data.dtype),
        axes=source.axes,
        scale=tuple(float(spatial.get(letter, 1.0)) for letter in axes),
        units=tuple(source.unit if letter in SPATIAL else 'pixel' for letter in axes),
        digest='',
        included=item.included,
        marker_name=item.markers or '',
        strokes={n: (one.coordinates, one.labels) for n, one in item.strokes.items()},
        marker_shape=tuple(sizes[letter] for letter in source.axes if letter not in 'CS'),
        corrections=saved_corrections(item.corrections, source.shape),
    )


def _saved_model(learned: Learned, session: Session, items: Sequence[Item]) -> dict[str, Any]:
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


def _learned(saved: SavedSession, content: dict[str, Any]) -> Learned:
    from napari_flim.model import model_from_settings

    specs = tuple(block.spec for block in saved.blocks)
    architecture = Architecture(specs, content['epsilon'], content['intrinsic_atrous'])
    model = model_from_settings(saved.blocks, architecture, content)
    count = len(model.blocks)
    for image, frame, name in content['origins']:
        if image is not None:
            _whole('image', image, 0, len(saved.images) - 1)
        _whole('place along T', frame, 0)
        if not isinstance(name, str):
            raise ValueError(f'the name of an image is {name!r}')
    if content['strokes'] not in (SAME, OTHER, UNKNOWN):
        raise ValueError(f'strokes are {content["strokes"]!r}')
    return Learned(
        model=model,
        settings=settings_from_dict(content['learned_with']),
        seconds=float(content['seconds']),
        kept=_whole('kept blocks', content['kept'], 0, count),
        stale_from=_whole('stale block', content['stale_from'], 0, count),
        changes=tuple(_change(one, count) for one in content['changes']),
    )


def _change(content: Any, count: int) -> BankChange:
    block, kind, kernels, stayed = content
    if kind not in ('drop', 'invert'):
        raise ValueError(f'a change of kernels is {kind!r}')
    return BankChange(
        _whole('block', block, 1, count),
        kind,
        tuple(_whole('kernel', kernel, 0) for kernel in kernels),
        _whole('blocks that stayed', stayed, 0, count),
    )


def _edits(content: dict[str, Any], learned: Learned) -> KernelEdits:
    banks = [block.bank for block in learned.model.blocks]

    def named(block: Any, kernel: Any) -> tuple[int, int]:
        number = _whole('block', block, 1, len(banks))
        return number, _whole('kernel', kernel, 0, len(banks[number - 1]) - 1)

    weights = {named(block, kernel): float(weight) for block, kernel, weight in content['weights']}
    if not np.isfinite(list(weights.values())).all():
        raise ValueError(f'weights are {list(weights.values())}')
    return KernelEdits(frozenset(named(*one) for one in content['off']), weights)


def _whole(what: str, value: Any, lowest: int, highest: int | None = None) -> int:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or value < lowest or (highest is not None and value > highest):
        raise ValueError(f'{what} is {value!r}')
    return int(value)


def _label(one: MarkedClass) -> int:
    return one.label


def _damaged(what: str, reason: object) -> FileError:
    return FileError(
        f'The {what} in this session file cannot be used ({str(reason).rstrip(".")}). '
        'Use a file that napari-flim saved, or start a new session.'
    )
