"""Session: everything one viewer's docks share, with signals for what changes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

from psygnal import SignalGroupDescriptor

from napari_flim.progress import Progress
from napari_flim.session.classes import FIRST_CLASSES, Classes, with_labels
from napari_flim.session.history import History, State
from napari_flim.session.items import Item, TrainingImage, digest_of, training_images
from napari_flim.session.kernel_edits import KernelEdits
from napari_flim.session.learned import BlockState, Learned, block_states
from napari_flim.session.settings import Settings

LIVE_LEARNING = 'learning while painting'


@dataclass(frozen=True)
class Message:
    """One line for the user.

    Attributes
    ----------
    text : str
    error : bool
    """

    text: str = ''
    error: bool = False


@dataclass(eq=False)
class Session:
    """State of one viewer. Fields hold values that never change; a new value is a new event.

    Attributes
    ----------
    items : tuple of Item
    classes : tuple of MarkedClass
    state : State
        Settings, what was learned, and the edits of kernels: what undo covers.
    live : bool
        Learn again whenever the brush rests.
    history : History
    work : Progress, optional
        What is being done now; None when nothing is.
    message : Message
        What happened last.
    current : str, optional
        Key of the item that the docks show results of.
    unsaved : bool
        Whether anything changed since the session was saved.
    """

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()

    items: tuple[Item, ...] = ()
    classes: Classes = FIRST_CLASSES
    state: State = field(default_factory=State)
    live: bool = True
    history: History = field(default_factory=History)
    work: Progress | None = None
    message: Message = field(default_factory=Message)
    current: str | None = None
    unsaved: bool = False

    def item(self, key: str | None) -> Item | None:
        """The item of an image source, if there is one."""
        return next((item for item in self.items if item.source.key == key), None)

    def put_item(self, item: Item) -> None:
        """Add an item, or replace the one of the same source; new labels become classes.

        The message before is over unless it is an error.
        """
        key = item.source.key
        if not self.message.error:
            self.message = Message()
        if self.item(key) is None:
            self.items = (*self.items, item)
        else:
            self.items = tuple(item if old.source.key == key else old for old in self.items)
        self.classes = with_labels(self.classes, list(item.counts))
        self.unsaved = True

    def remove_item(self, key: str) -> None:
        """Forget an item; its layers and markers stay."""
        self.items = tuple(item for item in self.items if item.source.key != key)
        self.leave_closed()
        self.unsaved = True

    def leave_closed(self) -> None:
        """Let the first open item be the current one if that is closed or gone."""
        item = self.item(self.current)
        if item is None or not item.opened:
            opened = [one.source.key for one in self.items if one.opened]
            self.current = next(iter(opened), None if item is None else self.current)

    def training_images(self) -> tuple[TrainingImage, ...]:
        """Every marked image that takes part in learning."""
        return training_images(self.items, self.classes)

    def block_states(self) -> tuple[BlockState, ...]:
        """State of every block of the architecture."""
        digest = digest_of(self.training_images())
        return block_states(self.learned, self.settings, digest, self.edits)

    @property
    def settings(self) -> Settings:
        """What the user has chosen."""
        return self.state.settings

    @property
    def learned(self) -> Learned | None:
        """What was learned last."""
        return self.state.learned

    @property
    def edits(self) -> KernelEdits:
        """What the expert decided about kernels."""
        return self.state.edits

    def change(self, name: str, state: State, *, repeats: bool = False) -> None:
        """Change what undo covers, and remember how it was; the message before is over.

        Parameters
        ----------
        name : str
            What the change is called, as in "Undo: drop 3 kernels".
        state : State
            How it is from now on.
        repeats : bool
            See `napari_flim.session.history.History.with_change`.
        """
        self.message = Message()
        self.history = self.history.with_change(name, self.state, state, repeats=repeats)
        self.state = state
        self.unsaved = True

    def complete(self, state: State) -> None:
        """Go on with a state that belongs to what was changed last; it is no change of its own.

        Parameters
        ----------
        state : State
            What undo and redo lead to from now on in place of the present one.
        """
        self.history = self.history.with_completed(self.state, state)
        self.state = state

    def undo(self) -> None:
        """Take the latest change back, if there is one."""
        if self.history.done:
            name = self.history.done[-1].name
            self.history, self.state = self.history.back()
            self.message = Message(f'Undone: {name}.')
            self.unsaved = True

    def redo(self) -> None:
        """Make the latest undone change again, if there is one."""
        if self.history.undone:
            name = self.history.undone[-1].name
            self.history, self.state = self.history.forward()
            self.message = Message(f'Redone: {name}.')
            self.unsaved = True

    def include(self, key: str, included: bool) -> None:
        """Let an item take part in learning, or not."""
        item = self.item(key)
        if item is not None:
            self.put_item(replace(item, included=included))
