"""The session: what the docks share."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import napari_flim.session
from napari_flim.session.classes import FIRST_CLASSES
from napari_flim.session.history import State
from napari_flim.session.planning import plan_all
from napari_flim.session.session import LIVE_LEARNING, Session
from napari_flim.session.settings import Settings, with_new_block


def test_labels_of_a_new_item_become_classes(scene, make_item) -> None:
    session = Session()
    session.put_item(make_item(scene.image, scene.markers * 3))
    assert [one.label for one in session.classes] == [1, 2, 3, 6]
    assert session.classes[:2] == FIRST_CLASSES
    assert session.unsaved


def test_an_item_of_the_same_source_takes_the_place_of_the_old_one(scene, make_item) -> None:
    first, second = (make_item(scene.image, scene.markers, key=key) for key in 'ab')
    session = Session(items=(first, second))
    session.include('a', False)
    assert [item.source.key for item in session.items] == ['a', 'b']
    assert not session.items[0].included
    assert session.items[0].strokes is first.strokes
    assert [image.source.key for image in session.training_images()] == ['b']


def test_an_item_that_is_not_there_cannot_be_included(fresh) -> None:
    fresh.include('nobody', False)
    assert [item.included for item in fresh.items] == [True]


def test_the_next_item_is_shown_when_the_current_one_is_forgotten(scene, make_item) -> None:
    items = tuple(make_item(scene.image, scene.markers, key=key) for key in 'ab')
    session = Session(items=items, current='a')
    session.remove_item('a')
    assert session.current == 'b'
    session.remove_item('b')
    assert (session.current, session.items) == (None, ())


def test_an_open_item_takes_the_place_of_a_closed_current_one(scene, make_item) -> None:
    first, second, third = (make_item(scene.image, scene.markers, key=key) for key in 'abc')
    session = Session(items=(first, replace(second, opened=False), third), current='a')
    session.leave_closed()
    assert session.current == 'a'
    session.put_item(replace(first, opened=False))
    session.leave_closed()
    assert session.current == 'c'
    session.put_item(replace(third, opened=False))
    session.leave_closed()
    assert session.current == 'c'
    session.remove_item('c')
    assert session.current is None


def test_every_change_of_a_field_is_heard_once(fresh) -> None:
    heard: list[State] = []
    fresh.events['state'].connect(heard.append)
    state = replace(fresh.state, settings=with_new_block(fresh.settings))
    fresh.change('adding a block', state)
    fresh.undo()
    assert heard == [state, fresh.state]


def test_undo_and_redo_say_what_they_did_and_do_nothing_without_changes(fresh) -> None:
    before = fresh.state
    fresh.undo()
    fresh.redo()
    assert fresh.state is before and not fresh.message.text
    after = replace(before, settings=Settings())
    fresh.change('choosing a preset', after)
    fresh.undo()
    assert (fresh.state, fresh.message.text) == (before, 'Undone: choosing a preset.')
    fresh.redo()
    assert (fresh.state, fresh.message.text) == (after, 'Redone: choosing a preset.')


def test_undo_of_learning_brings_the_earlier_model_back_identically(
    session, carry_out, stroke
) -> None:
    before, states = session.learned, session.block_states()
    for _ in range(3):
        stroke(session)
        carry_out(session, plan_all(session), 'live')
    after = session.learned
    assert after is not before
    session.undo()
    assert session.learned is before
    assert session.learned.model.blocks is before.model.blocks
    assert states == ('learned',) * 3
    assert session.block_states() == ('stale',) * 3
    session.redo()
    assert session.learned is after
    assert session.block_states() == ('learned',) * 3


def test_the_name_of_live_learning_reads_well_after_undo(fresh) -> None:
    fresh.change(LIVE_LEARNING, State(), repeats=True)
    fresh.undo()
    assert fresh.message.text == 'Undone: learning while painting.'


def modules() -> list[str]:
    """Every module of the room."""
    (folder,) = napari_flim.session.__path__
    return sorted(path.stem for path in Path(folder).glob('[!_]*.py'))


def test_importing_the_session_loads_neither_torch_nor_napari_nor_qt() -> None:
    unwanted = ['torch', 'napari', 'qtpy', 'superqt']
    imports = ', '.join(f'napari_flim.session.{name}' for name in modules())
    program = f'import sys, {imports}; print([n for n in {unwanted} if n in sys.modules])'
    done = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True)
    assert (done.stdout.strip(), done.returncode) == ('[]', 0), done.stderr
