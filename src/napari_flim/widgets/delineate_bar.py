"""The bar at the foot of the Delineate dock: find objects, progress, and the state in words."""

from __future__ import annotations

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QProgressBar, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from napari_flim.bridge.controller import Controller
from napari_flim.widgets.connections import Connections
from napari_flim.widgets.learn_bar import BAR_HEIGHT, PATIENCE_MS, STEPS
from napari_flim.widgets.parts import MARGIN, StillText

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
        self._working = False
        self.delineate = QPushButton()
        self.delineate.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.delineate.clicked.connect(self._on_delineate_clicked)
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self.progress.setFixedHeight(BAR_HEIGHT)
        self.progress.setRange(0, STEPS)
        self.progress.setAccessibleName('progress of delineation')
        self.state = StillText(LINES)
        self.state.setAccessibleName('state of the objects')
        self._patience = QTimer(self)
        self._patience.setSingleShot(True)
        self._patience.setInterval(PATIENCE_MS)
        self._patience.timeout.connect(self._on_patience_ended)
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
        work = self._delineator.work
        if work is None:
            self._patience.stop()
            self._working = False
        elif not self._working and not self._patience.isActive():
            self._patience.start()
        self._show()

    def _on_patience_ended(self) -> None:
        self._working = True
        self._show()

    def _show(self) -> None:
        work, problems = self._delineator.work, self._delineator.problems()
        target = self._delineator.target()
        if self._working:
            words = 'Cancel'
        elif target is None:
            words = 'Delineate'
        else:
            words = f'Delineate {target.source.name}'
        metrics = self.delineate.fontMetrics()
        room = max(self.delineate.width() - 24, 100)
        self.delineate.setText(metrics.elidedText(words, Qt.TextElideMode.ElideRight, room))
        self.delineate.setEnabled(self._working or not problems)
        self.delineate.setToolTip(
            'Stop; the objects stay as they are' if self._working else '\n'.join(problems) or words
        )
        self.progress.setEnabled(self._working)
        if self._working and work is not None:
            self.progress.setValue(round(STEPS * work.done / max(1, work.total)))
            self.state.setText(f'{work.stage[:1].upper()}{work.stage[1:]} ...')
            return
        self.progress.setValue(0)
        message = self._delineator.message
        lines = [('⚠ ' if message.error else '') + message.text] if message.text else []
        lines += [f'• {problem}' for problem in problems if problem != message.text]
        lines.append(self._delineator.state())
        self.state.setText('\n'.join(filter(None, lines)))

    def _on_delineate_clicked(self) -> None:
        if self._working:
            self._delineator.cancel()
        else:
            self._seeds.make_room()
            self._delineator.delineate()
