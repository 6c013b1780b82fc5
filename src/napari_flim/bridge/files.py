"""Models and sessions to and from files, for one viewer; whatever fails is said, not raised."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_flim.bridge.reopening import Reopened
from napari_flim.errors import FlimError, LearningError
from napari_flim.io.session_file import SavedSession, read_session, write_session
from napari_flim.progress import finish
from napari_flim.session.classes import with_labels
from napari_flim.session.history import History, State
from napari_flim.session.items import digest_of
from napari_flim.session.kernel_edits import KernelEdits, edited_model
from napari_flim.session.learned import Learned
from napari_flim.session.planning import changes_by
from napari_flim.session.saving import (
    classes_of,
    learned_of,
    recognised,
    saved_session,
    settings_of_saved,
    view_of,
    with_strokes,
)
from napari_flim.session.script import ScriptInputs, as_python
from napari_flim.session.session import Message
from napari_flim.session.settings import Settings
from napari_flim.session.words import count_words

if TYPE_CHECKING:
    from napari_flim.bridge.controller import Controller


def save_model(controller: Controller, path: Path | str) -> bool:
    """Save the model as it is seen, with kernels off left out; whether that worked."""

    def save() -> str:
        session = controller.session
        if session.learned is None:
            raise LearningError('Nothing is learned yet, so there is no model: press Learn first.')
        model = edited_model(session.learned.model, session.edits, session.settings.decoder)
        model.save(path)
        kernels = sum(len(block.bank) for block in model.blocks)
        return f'Saved {Path(path).name}: {count_words(kernels, "kernel")}.'

    return _said(controller, save)


def open_model(controller: Controller, path: Path | str) -> bool:
    """Use a model from a file, as one change that undo takes back; whether that worked."""

    def open_() -> str:
        from napari_flim.model import load_model

        model = load_model(path)
        session = controller.session
        controller.learner.cancel()
        by_hand = {(model.decoded_block, kernel): w for kernel, w in model.decoder.overrides}
        settings = Settings(
            architecture=model.architecture,
            transform=replace(model.transform, ranges=None),
            fixed_ranges=model.transform.ranges is not None,
            decoder=replace(model.decoder, overrides=()),
            options=session.settings.options,
        )
        session.classes = with_labels(session.classes, model.object_classes)
        state = State(settings, Learned(model, settings), KernelEdits(weights=by_hand))
        session.change(f'opening {Path(path).name}', state)
        return f'Opened {Path(path).name}; it reads {model.reads()}.'

    return _said(controller, open_)


def save_session(controller: Controller, path: Path | str) -> bool:
    """Save images by name, strokes, classes, settings and model; whether that worked."""

    def save() -> str:
        session = controller.session
        controller.items.debouncer.flush()
        sources = [item.source for item in session.items]
        saved, _ = finish(recognised(saved_session(session), sources, {}))
        write_session(path, saved)
        session.unsaved = False
        return f'Saved {Path(path).name}.'

    return _said(controller, save)


def open_session(controller: Controller, path: Path | str) -> bool:
    """Go on with a saved session in place of the present one; whether that worked.

    Layers of the present session stay open; what is not saved of it is kept by its recovery file.
    """

    def open_() -> str:
        warnings = restore(controller, read_session(path))
        controller.session.unsaved = False
        return ' '.join([f'Opened {Path(path).name}.', *warnings])

    return _said(controller, open_)


def copy_script(controller: Controller) -> str:
    """A Python script that learns the model again, as it is seen.

    Raises
    ------
    LearningError
        When nothing is learned from the strokes as they are now.
    """
    session = controller.session
    learned, states = session.learned, session.block_states()
    images = session.training_images()
    # Blocks that keep edits are not stale, though other strokes would give others.
    painted = learned is not None and learned.digest not in ('', digest_of(images))
    if learned is None or painted or {'stale', 'missing'} & set(states):
        raise LearningError(
            'The model is not learned from the strokes and settings as they are now, so no script '
            'can repeat it: press Learn first.'
        )
    if not learned.digest:
        raise LearningError(
            'The model was opened from a file, so the strokes it was learned from are not known: '
            'press Learn first to learn one from the strokes here.'
        )
    settings = session.settings
    seen = edited_model(learned.model, session.edits, settings.decoder)
    return as_python(
        ScriptInputs(
            frames=tuple((one.source, one.frame, one.strokes) for one in images),
            architecture=settings.architecture,
            preset=settings.preset,
            transform=settings.transform,
            fixed_ranges=settings.fixed_ranges,
            decoder=seen.decoder,
            options=settings.options,
            changes=(*learned.changes, *changes_by(session.edits, len(seen.blocks))),
        )
    )


def restore(controller: Controller, saved: SavedSession) -> list[str]:
    """Put a saved session in the place of the present one.

    Returns
    -------
    list of str
        What is not as it was when the session was saved, in words.

    Raises
    ------
    FileError
        When the session holds something impossible; nothing has changed then.
    """
    classes, settings, view = classes_of(saved), settings_of_saved(saved), view_of(saved)
    learned, edits = learned_of(saved)
    session = controller.session
    if controller.recovery is not None:
        controller.recovery.set_aside()
    controller.learner.cancel()
    session.live = False
    session.classes = classes
    try:
        reopened = Reopened(controller.viewer, session, controller.items, saved, view.opened)
        session.history = History()
        learned = with_strokes(
            learned, saved, session, reopened.keys, complete=not reopened.warnings
        )
        session.state = State(settings, learned, edits)
        session.current = None if view.current is None else reopened.keys[view.current]
        markers = controller.items.marker_layer(session.current)
        if markers is not None:
            controller.viewer.layers.selection.active = markers
    finally:
        session.live = view.live
    return reopened.warnings


def _said(controller: Controller, act: Callable[[], str]) -> bool:
    """Do something with a file and say what came of it."""
    try:
        text = act()
    except FlimError as error:
        controller.session.message = Message(str(error), error=True)
        return False
    controller.session.message = Message(text)
    return True
