"""What an earlier program left unsaved, offered where the user looks first."""

from __future__ import annotations

from qtpy.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_flim.bridge.controller import Controller
from napari_flim.bridge.recovery import Found
from napari_flim.widgets.connections import Connections
from napari_flim.widgets.parts import wrapped_label


class RecoveryBar(QWidget):
    """Offers unsaved sessions, one after the other, while nothing else is begun.

    Parameters
    ----------
    controller : Controller
    parent : QWidget, optional
    """

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._left: list[Found] = []
        self.label = wrapped_label()
        self.recover = QPushButton('Recover')
        self.recover.setToolTip('Open the images again and bring back markers and model')
        self.recover.clicked.connect(self._on_recover_clicked)
        self.later = QPushButton('Not now')
        self.later.setToolTip('It is offered again next time')
        self.later.clicked.connect(self._on_later_clicked)
        self.discard = QPushButton('Discard')
        self.discard.setToolTip('Remove it for good')
        self.discard.clicked.connect(self._on_discard_clicked)
        buttons = QHBoxLayout()
        for button in (self.recover, self.later, self.discard):
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 4, 8, 4)
        layout.addWidget(self.label)
        layout.addLayout(buttons)
        heard = Connections(self)
        for name in ('items', 'message'):
            heard.hear(controller.session.events[name], self._on_session_changed)
        self._on_session_changed()
        if controller.recovery is not None:
            heard.hear(controller.recovery.looked, self._on_looked)
            controller.recovery.look()

    def _on_looked(self) -> None:
        recovery = self._controller.recovery
        self._left = [] if recovery is None else list(recovery.found)
        self._on_session_changed()

    def _on_session_changed(self) -> None:
        begun = any(item.strokes for item in self._controller.session.items)
        offered = bool(self._left) and not begun
        self.setVisible(offered)
        if offered:
            self.label.setText(f'Not saved last time: {self._left[0].words}')
            self.recover.setEnabled(self._left[0].saved is not None)

    def _on_recover_clicked(self) -> None:
        found, recovery = self._left.pop(0), self._controller.recovery
        # What comes of it is heard, and decides whether another one is offered.
        self.hide()
        if recovery is not None:
            recovery.recover(found)

    def _on_later_clicked(self) -> None:
        self._left.clear()
        self._on_session_changed()

    def _on_discard_clicked(self) -> None:
        found, recovery = self._left.pop(0), self._controller.recovery
        if recovery is not None:
            recovery.discard(found)
        self._on_session_changed()
