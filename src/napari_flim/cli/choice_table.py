"""What was tried before a model was learned, how well each did, and why one was chosen."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from napari_flim.cli.console import results
from napari_flim.model import FlimModel


def show_choice(model: FlimModel) -> None:
    """Print the choice that a model came from; nothing if it was not chosen."""
    choice = model.provenance.get('choice')
    if choice is None:
        return
    if not choice['tried']:
        results.print(escape(f'Chosen: {choice["chosen"]}. {choice["reason"]}'))
        return
    table = Table(
        'tried', 'agreement', 'squared error', 'seconds', title=f'On {choice["left_out"]} left out'
    )
    for row in choice['tried']:
        table.add_row(
            ('* ' if row['configuration'] == choice['chosen'] else '  ') + row['configuration'],
            f'{row["agreement"]:.3f}' + ('' if row['error'] is None else f' ± {row["error"]:.3f}'),
            f'{row["surprise"]:.4f}',
            f'{row["seconds"]:.1f}',
        )
    results.print(table)
    results.print(escape(f'Chosen: {choice["chosen"]}. {choice["reason"]}'))
    results.print(_confusion(choice['classes'], choice['confusion']))


def _confusion(classes: list[int], shares: list[list[float]]) -> Table:
    names = ['background' if number == 1 else f'class {number}' for number in classes]
    table = Table('marked as', *(f'told as {name}' for name in names), title='Markers left out')
    for name, row in zip(names, shares, strict=True):
        table.add_row(name, *(f'{share:.1%}' for share in row))
    return table
