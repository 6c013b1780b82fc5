"""The bar at the foot of the Delineate dock: find objects, progress, and the state in words."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QPushButton, QSizePolicy, QVBoxLayout, QWidget

from napari_flim.bridge.controller import Controller
from napari_flim.widgets.connections import Connections
from napari_flim.widgets.parts import MARGIN, StillText
from napari_flim.widgets.work_parts import Patience, ThinProgress, message_words, stage_words

LINES = 3


class DelineateBar(QWidget):
    """The primary button, progress, problems and state.

    Parameters
    ----------
    controller : Controller
    parent : QWidget, optional
    """

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._delineator = controller.delineator
        self._seeds = controller.seeds
        self.delineate = QPushButton()
        self.delineate.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.delineate.clicked.connect(self._on_delineate_clicked)
        self.progress = ThinProgress('progress of delineation')
        self.state = StillText(LINES)
        self.state.setAccessibleName('state of the objects')
        self._patience = Patience(self)
        self._patience.timeout.connect(self._show)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(MARGIN, MARGIN, MARGIN, MARGIN)
        for widget in (self.delineate, self.progress, self.state):
            layout.addWidget(widget)
        heard = Connections(self)
        heard.hear(controller.delineator.changed, self._on_something_changed)
        heard.hear(controller.session.events['items'], self._on_something_changed)
        heard.hear(controller.session.events['work'], self._on_something_changed)
        self._on_something_changed()

    def _on_something_changed(self) -> None:
        self._patience.follow(self._delineator.work is not None)
        self._show()

    def _show(self) -> None:
        work, problems = self._delineator.work, self._delineator.problems()
        target, working = self._delineator.target(), self._patience.over
        if working:
            words = 'Cancel'
        elif target is None:
            words = 'Delineate'
        else:
            words = f'Delineate {target.source.name}'
        metrics = self.delineate.fontMetrics()
        room = max(self.delineate.width() - 24, 100)
        self.delineate.setText(metrics.elidedText(words, Qt.TextElideMode.ElideRight, room))
        self.delineate.setEnabled(working or not problems)
        self.delineate.setToolTip(
            'Stop; the objects stay as they are' if working else '\n'.join(problems) or words
        )
        self.progress.setEnabled(working)
        if working and work is not None:
            self.progress.show_share(work.done / max(1, work.total))
            self.state.setText(stage_words(work))
            return
        self.progress.show_share(0)
        message = self._delineator.message
        lines = [message_words(message)]
        lines += [f'• {problem}' for problem in problems if problem != message.text]
        lines.append(self._delineator.state())
        self.state.setText('\n'.join(filter(None, lines)))

    def _on_delineate_clicked(self) -> None:
        if self._patience.over:
            self._delineator.cancel()
        else:
            self._seeds.make_room()
            self._delineator.delineate()
