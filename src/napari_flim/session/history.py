"""Undo and redo of learning and of kernel edits."""

from __future__ import annotations

from dataclasses import dataclass

from napari_flim.session.kernel_edits import KernelEdits
from napari_flim.session.learned import Learned
from napari_flim.session.settings import Settings

LONGEST = 50


@dataclass(frozen=True, eq=False)
class State:
    """Everything that undo brings back.

    Attributes
    ----------
    settings : Settings
    learned : Learned, optional
    edits : KernelEdits
    """

    settings: Settings = Settings()
    learned: Learned | None = None
    edits: KernelEdits = KernelEdits()


@dataclass(frozen=True, eq=False)
class Change:
    """A change by name, with the states before and after it."""

    name: str
    before: State
    after: State


@dataclass(frozen=True, eq=False)
class History:
    """Changes that can be taken back, and those that were.

    Attributes
    ----------
    done, undone : tuple of Change
        Latest last.
    """

    done: tuple[Change, ...] = ()
    undone: tuple[Change, ...] = ()

    def with_change(self, name: str, before: State, after: State, *, repeats: bool) -> History:
        """The history with one more change.

        Parameters
        ----------
        name : str
        before, after : State
        repeats : bool
            The change continues the latest one if that has the same name, as every stroke of
            live learning does, so that one undo takes all of them back.
        """
        if repeats and self.done and self.done[-1].name == name:
            changed = Change(name, self.done[-1].before, after)
            return History((*self.done[:-1], changed))
        return History((*self.done, Change(name, before, after))[-LONGEST:])

    def with_completed(self, old: State, new: State) -> History:
        """The history with another state wherever it leads to one."""

        def completed(change: Change) -> Change:
            before, after = (new if one is old else one for one in (change.before, change.after))
            return Change(change.name, before, after)

        return History(tuple(map(completed, self.done)), tuple(map(completed, self.undone)))

    def back(self) -> tuple[History, State]:
        """The history one step back, and the state there; needs a change that was done."""
        change = self.done[-1]
        return History(self.done[:-1], (*self.undone, change)), change.before

    def forward(self) -> tuple[History, State]:
        """The history one step forward, and the state there; needs a change that was undone."""
        change = self.undone[-1]
        return History((*self.done, change), self.undone[:-1]), change.after
