"""Choose for me: a button, and what was tried when it was pressed last."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

from napari_flim.bridge.controller import Controller
from napari_flim.session.choosing import Chosen, TriedRow
from napari_flim.widgets.connections import Connections
from napari_flim.widgets.parts import Section, enable, wrapped_label
from napari_flim.widgets.work_parts import Patience

TIP = (
    'Tries several encoders and decoders, each learned without some of your markers, and takes '
    'the one that tells those best; about 10 s.'
)
BUSY = 'Something is being computed; wait until it has ended, or press Cancel below.'
CHANGED = 'Markers changed since.'
HEADS = ('encoder, decoder', 'agreement', 'squared error')
WIDTHS = ('45%', '35%', '20%')
WINNER = 'chosen: '


class ChoiceSection(QWidget):
    """The button, what was chosen, and a table of what was tried, which folds.

    Parameters
    ----------
    controller : Controller
    parent : QWidget, optional
    """

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self.choose = QPushButton('Choose for me')
        self.choose.clicked.connect(self._on_choose_clicked)
        self.outcome = wrapped_label()
        self.table = wrapped_label()
        self.table.setAccessibleName('encoders and decoders that were tried')
        self.reason = wrapped_label()
        content = QWidget()
        inside = QVBoxLayout(content)
        inside.addWidget(self.table)
        inside.addWidget(self.reason)
        self.tried = Section('What was tried', content, opened=False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.choose)
        layout.addWidget(self.outcome)
        layout.addWidget(self.tried)
        self._patience = Patience(self)
        self._patience.timeout.connect(self._show_button)
        heard = Connections(self)
        for name in ('state', 'items', 'classes'):
            heard.hear(controller.session.events[name], self._on_session_changed)
        heard.hear(controller.session.events['work'], self._on_work_changed)
        heard.hear(controller.chooser.ended, self._on_chooser_ended)
        self._on_chooser_ended()
        self._on_session_changed()

    def _on_session_changed(self) -> None:
        self._show_button()
        self._show_age()

    def _on_work_changed(self) -> None:
        working = self._controller.session.work is not None
        was_over = self._patience.over
        self._patience.follow(working)
        if was_over and not working:
            self._show_button()

    def _show_button(self) -> None:
        """Let it be pressed, or say why not; work that ends at once does not make it blink."""
        problems = self._controller.learner.problems()
        enable(self.choose, BUSY if self._patience.over else '\n'.join(problems), TIP)

    def _on_chooser_ended(self) -> None:
        """Show another choice; there is nothing to unfold when nothing was compared."""
        chosen = self._controller.chooser.chosen
        rows = () if chosen is None else chosen.rows()
        self.outcome.setVisible(chosen is not None)
        self.tried.setVisible(bool(rows))
        if chosen is not None:
            self.table.setText(table_html(rows, chosen.choice.left_out))
            self.table.setAccessibleDescription(table_words(rows))
            self.reason.setText(chosen.choice.reason)
        self._show_age()

    def _show_age(self) -> None:
        """Grey what was chosen by other markers than those of now, and say so."""
        chosen = self._controller.chooser.chosen
        if chosen is None:
            return
        changed = chosen.markers_changed(self._controller.session)
        text = _outcome_words(chosen, changed)
        if text != self.outcome.text():
            self.outcome.setText(text)
        self.tried.content.setEnabled(not changed)

    def _on_choose_clicked(self) -> None:
        self._controller.chooser.choose()


def _outcome_words(chosen: Chosen, changed: bool) -> str:
    return f'{CHANGED} {chosen.words()}' if changed else chosen.words()


def table_html(rows: Sequence[TriedRow], left_out: str) -> str:
    """A table for a label, whose first column breaks its lines.

    Parameters
    ----------
    rows : sequence of TriedRow
    left_out : str
        What was left out together: images or markers.
    """
    heads = ''.join(
        f'<th align="left" width="{width}">{escape(head)}</th>'
        for head, width in zip(HEADS, WIDTHS, strict=True)
    )
    lines = []
    for row in rows:
        words = escape(row.configuration)
        words = f'<b>{WINNER}{words}</b>' if row.is_winner else words
        numbers = [escape(one).replace(' ', '&nbsp;') for one in (row.agreement, row.error)]
        lines.append(''.join(f'<td>{cell}</td>' for cell in (words, *numbers)))
    body = ''.join(f'<tr>{line}</tr>' for line in lines)
    return (
        f'On {left_out} left out:<table width="100%" cellpadding="2"><tr>{heads}</tr>{body}</table>'
    )


def table_words(rows: Sequence[TriedRow]) -> str:
    """The same for screen readers, a line for each row.

    Examples
    --------
    >>> table_words([TriedRow('small, linear', '0.930 ± 0.020', '0.0400', True)])
    'chosen: small, linear: agreement 0.930 ± 0.020, squared error 0.0400'
    """
    return '\n'.join(
        f'{WINNER * row.is_winner}{row.configuration}: {HEADS[1]} {row.agreement}, '
        f'{HEADS[2]} {row.error}'
        for row in rows
    )
