"""The bar at the foot of the Train dock: learn, live, progress, and the state in words."""

from __future__ import annotations

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import (
    QCheckBox,
    QHBoxLayout,
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
from napari_flim.widgets.work_parts import Patience, ThinProgress, message_words, stage_words

SHORT_MS = 30
USUAL_LINES = 3


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
        self.learn = QPushButton()
        self.learn.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.learn.setObjectName('learn')
        self.learn.clicked.connect(self._on_learn_clicked)
        self.live = QCheckBox('Live')
        self.live.setToolTip('Learn again and update the saliency whenever the brush rests')
        self.live.toggled.connect(self._on_live_toggled)
        self.history = SessionUndo(controller.session)
        self.progress = ThinProgress('progress of learning')
        self.state = wrapped_label()
        self.state.setAccessibleName('state of learning')
        # Room for the usual words, so that the dock is not laid out again with every stroke.
        self.state.setMinimumHeight(USUAL_LINES * self.state.fontMetrics().lineSpacing())
        self.state.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._patience = Patience(self)
        self._patience.timeout.connect(self._on_session_changed)
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
        work = self._controller.session.work
        self._patience.follow(work is not None)
        if work is None:
            self._on_something_changed()
        elif self._patience.over:
            self._show_progress()

    def _on_pause(self) -> None:
        """Say how things stand, but not in the middle of short work."""
        if self._patience.isActive():
            self._soon.start(SHORT_MS)
        else:
            self._on_session_changed()

    def _on_session_changed(self) -> None:
        session, learner = self._controller.session, self._controller.learner
        working = self._patience.over
        problems = learner.problems()
        self.learn.setText('Cancel' if working else learn_words(session))
        self.learn.setEnabled(working or not problems)
        self.learn.setToolTip(
            'Stop; the earlier result stays' if working else '\n'.join(problems) or 'Ctrl+L'
        )
        if self.live.isChecked() != session.live:
            self.live.setChecked(session.live)
        self.progress.setEnabled(working)
        self._show_progress()
        if not working:
            self._show_state(problems)

    def _show_progress(self) -> None:
        work = self._controller.session.work
        if work is None or not self._patience.over:
            self.progress.show_share(0)
            return
        self.progress.show_share(work.done / max(1, work.total))
        self.state.setText(stage_words(work))

    def _show_state(self, problems: tuple[str, ...]) -> None:
        session = self._controller.session
        lines = []
        if session.message.text:
            lines.append(message_words(session.message))
        lines += [f'• {problem}' for problem in problems if problem != session.message.text]
        if session.learned is not None or not problems:
            lines.append(state_words(session, session.block_states()))
        self.state.setText('\n'.join(lines))

    def _on_learn_clicked(self) -> None:
        if self._patience.over:
            self._controller.cancel()
        else:
            self._controller.learner.learn_all()

    def _on_live_toggled(self, live: bool) -> None:
        self._controller.session.live = live
