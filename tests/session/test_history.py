"""Undo and redo."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from napari_flim.session.history import LONGEST, History, State


def grown(history: History, steps: list[tuple[str, bool]], state: State) -> tuple[History, State]:
    for name, repeats in steps:
        after = State()
        history = history.with_change(name, state, after, repeats=repeats)
        state = after
    return history, state


def test_a_row_of_the_same_change_is_taken_back_at_once() -> None:
    first = State()
    history, last = grown(History(), [('live', True)] * 3, first)
    assert len(history.done) == 1
    back, state = history.back()
    assert state is first
    assert back.forward()[1] is last


def test_only_a_change_that_repeats_joins_the_one_before() -> None:
    for second, joins in ((('live', True), True), (('live', False), False), (('x', True), False)):
        history, _ = grown(History(), [('live', True), second], State())
        assert (len(history.done) == 1) == joins


def test_fifty_steps_are_remembered_and_the_oldest_are_forgotten() -> None:
    steps = [(str(number), False) for number in range(LONGEST + 7)]
    history, _ = grown(History(), steps, State())
    assert LONGEST == 50
    assert [change.name for change in history.done] == [name for name, _ in steps[7:]]


def test_a_new_change_clears_what_could_be_made_again() -> None:
    for repeats in (False, True):
        history, state = grown(History(), [('a', False), ('a', False)], State())
        history, state = history.back()
        assert history.undone
        history, _ = grown(history, [('a', repeats)], state)
        assert not history.undone


@given(st.lists(st.tuples(st.sampled_from('abc'), st.booleans()), min_size=1, max_size=60))
def test_going_all_the_way_back_and_forth_meets_the_same_states(steps) -> None:
    history, last = grown(History(), steps, State())
    seen = [last]
    for _ in history.done:
        history, state = history.back()
        seen.append(state)
    assert not history.done
    for state in reversed(seen[:-1]):
        history, again = history.forward()
        assert again is state
    assert not history.undone
