"""The bar at the foot of the Train dock: learn, live, progress, and the state in words."""

from __future__ import annotations

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import (
    QCheckBox,
    QHBoxLayout,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_flim.bridge.controller import Controller
from napari_flim.session.words import learn_words, state_words
from napari_flim.widgets.connections import Connections
from napari_flim.widgets.parts import wrapped_label
from napari_flim.widgets.undo_buttons import SessionUndo

PATIENCE_MS = 400
"""Work that ends sooner is not worth a progress bar that flashes."""

SHORT_MS = 30
BAR_HEIGHT = 6
USUAL_LINES = 3
STEPS = 1000


class LearnBar(QWidget):
    """The primary button, Live, undo and redo, progress, problems and state.

    Parameters
    ----------
    controller : Controller
    parent : QWidget, optional
    """

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._working = False
        self.learn = QPushButton()
        self.learn.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.learn.setObjectName('learn')
        self.learn.clicked.connect(self._on_learn_clicked)
        self.live = QCheckBox('Live')
        self.live.setToolTip('Learn again and update the saliency whenever the brush rests')
        self.live.toggled.connect(self._on_live_toggled)
        self.history = SessionUndo(controller.session)
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self.progress.setFixedHeight(BAR_HEIGHT)
        self.progress.setRange(0, STEPS)
        self.progress.setAccessibleName('progress of learning')
        self.state = wrapped_label()
        self.state.setAccessibleName('state of learning')
        # Room for the usual words, so that the dock is not laid out again with every stroke.
        self.state.setMinimumHeight(USUAL_LINES * self.state.fontMetrics().lineSpacing())
        self.state.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._patience = QTimer(self)
        self._patience.setSingleShot(True)
        self._patience.setInterval(PATIENCE_MS)
        self._patience.timeout.connect(self._on_patience_ended)
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self._on_pause)
        below = QHBoxLayout()
        below.addWidget(self.live)
        below.addStretch(1)
        below.addWidget(self.history)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addWidget(self.learn)
        layout.addLayout(below)
        layout.addWidget(self.progress)
        layout.addWidget(self.state)
        heard = Connections(self)
        for name in ('items', 'classes', 'state', 'live', 'message'):
            heard.hear(controller.session.events[name], self._on_something_changed)
        heard.hear(controller.session.events['work'], self._on_work_changed)
        self._on_session_changed()

    def _on_something_changed(self) -> None:
        self._soon.start(0)

    def _on_work_changed(self) -> None:
        if self._controller.session.work is None:
            self._patience.stop()
            self._working = False
            self._on_something_changed()
        elif self._working:
            self._show_progress()
        elif not self._patience.isActive():
            self._patience.start()

    def _on_pause(self) -> None:
        """Say how things stand, but not in the middle of short work."""
        if self._patience.isActive():
            self._soon.start(SHORT_MS)
        else:
            self._on_session_changed()

    def _on_patience_ended(self) -> None:
        self._working = True
        self._on_session_changed()

    def _on_session_changed(self) -> None:
        session, learner = self._controller.session, self._controller.learner
        working = self._working
        problems = learner.problems()
        self.learn.setText('Cancel' if working else learn_words(session))
        self.learn.setEnabled(working or not problems)
        self.learn.setToolTip(
            'Stop; the earlier result stays' if working else '\n'.join(problems) or 'Ctrl+L'
        )
        if self.live.isChecked() != session.live:
            self.live.setChecked(session.live)
        # The bar keeps its place, so that nothing jumps under the mouse.
        self.progress.setEnabled(working)
        self._show_progress()
        if not working:
            self._show_state(problems)

    def _show_progress(self) -> None:
        work = self._controller.session.work
        if work is None or not self._working:
            self.progress.setValue(0)
            return
        self.progress.setValue(round(STEPS * work.done / max(1, work.total)))
        self.state.setText(f'{work.stage[:1].upper()}{work.stage[1:]} ...')

    def _show_state(self, problems: tuple[str, ...]) -> None:
        session = self._controller.session
        lines = []
        if session.message.text:
            lines.append(('⚠ ' if session.message.error else '') + session.message.text)
        lines += [f'• {problem}' for problem in problems if problem != session.message.text]
        if session.learned is not None or not problems:
            lines.append(state_words(session, session.block_states()))
        self.state.setText('\n'.join(lines))

    def _on_learn_clicked(self) -> None:
        if self._working:
            self._controller.cancel()
        else:
            self._controller.learner.learn_all()

    def _on_live_toggled(self, live: bool) -> None:
        self._controller.session.live = live
