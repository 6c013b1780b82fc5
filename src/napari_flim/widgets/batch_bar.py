"""The bar at the foot of the Batch dock: try, segment, pause, cancel, and the state in words."""

from __future__ import annotations

from qtpy.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from napari_flim.bridge.controller import Controller
from napari_flim.session.batch_words import (
    duration_words,
    estimate,
    progress_words,
    start_words,
)
from napari_flim.widgets.connections import Connections
from napari_flim.widgets.parts import MARGIN, StillText, enable, narrow_button
from napari_flim.widgets.work_parts import ThinProgress, message_words, stage_words

LINES = 3
NOTHING_GOES_ON = 'Nothing is being done'
GOES_ON = 'A run goes on'


class BatchBar(QWidget):
    """Buttons, progress, problems and state.

    Parameters
    ----------
    controller : Controller
    parent : QWidget, optional
    """

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._batch = controller.batch
        self._run = controller.batch.run
        self.try_first = narrow_button('Try on the first file', self._batch.try_first)
        self.start = narrow_button('', self._batch.start)
        self.pause = narrow_button('Pause', self._on_pause_clicked)
        self.cancel = narrow_button('Cancel', self._batch.cancel)
        self.progress = ThinProgress('progress of the run')
        self.state = StillText(LINES)
        self.state.setAccessibleName('state of the run')
        below = QHBoxLayout()
        below.setSpacing(MARGIN)
        for button, share in ((self.try_first, 2), (self.pause, 1), (self.cancel, 1)):
            below.addWidget(button, share)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(MARGIN, MARGIN, MARGIN, MARGIN)
        layout.addWidget(self.start)
        layout.addLayout(below)
        layout.addWidget(self.progress)
        layout.addWidget(self.state)
        heard = Connections(self)
        heard.hear(self._batch.changed, self._refresh)
        heard.hear(self._run.changed, self._refresh)
        heard.hear(controller.session.events['state'], self._refresh)
        self._refresh()

    def _refresh(self) -> None:
        run, batch = self._run, self._batch
        problems = batch.problems()
        reason = GOES_ON if run.active else '\n'.join(problems)
        self.start.setText(
            f'Segmenting {len(run.rows)} files' if run.active else self._start_words()
        )
        enable(self.start, reason, 'Everything that is done stays, whatever happens later')
        enable(self.try_first, reason, 'Find its objects and show them; nothing is written')
        paused = run.phase == 'paused'
        self.pause.setText('Go on' if paused else 'Pause')
        enable(
            self.pause,
            '' if run.phase in ('running', 'paused') else 'No run goes on',
            'Go on where the run rests' if paused else 'Rest after the present step',
        )
        stoppable = (run.active and run.phase != 'stopping') or batch.work is not None
        enable(
            self.cancel,
            '' if stoppable else NOTHING_GOES_ON,
            'Stop after the present step; files that are done stay, and the rest can be resumed',
        )
        self.progress.setEnabled(run.active)
        self.progress.show_share(run.share if run.active else 0)
        text = '\n'.join(self._lines(problems))
        if text != self.state.text():
            self.state.setText(text)

    def _start_words(self) -> str:
        found, preview = self._batch.found, self._batch.preview
        words = start_words(self._batch.choices, found)
        if found is None or preview is None:
            return words
        resumed = found.earlier is not None and self._batch.choices.earlier == 'resume'
        left = found.left if resumed else len(found.tasks)
        return f'{words}, about {duration_words(estimate(found, preview, left))}'

    def _lines(self, problems: tuple[str, ...]) -> list[str]:
        batch = self._batch
        lines = [progress_words(self._run)] if self._run.active else []
        if batch.work is not None:
            lines.append(stage_words(batch.work))
        if batch.message.text:
            lines.append(message_words(batch.message))
        if not self._run.active and batch.work is None:
            lines += [f'• {problem}' for problem in problems]
        return lines

    def _on_pause_clicked(self) -> None:
        if self._run.phase == 'paused':
            self._batch.go_on()
        else:
            self._batch.pause()
