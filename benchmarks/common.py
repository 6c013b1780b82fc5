"""What both benchmarks share: where the data lie, and how a table is shown and written."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

DATA = Path(__file__).resolve().parents[2] / 'shared' / 'data'
"""Data sets in a folder beside the repository; they are no part of it."""


def add_output_options(parser: argparse.ArgumentParser) -> None:
    """Let the user choose files for the results."""
    parser.add_argument('--json', type=Path, metavar='FILE', help='write all values')
    parser.add_argument('--markdown', type=Path, metavar='FILE', help='write the table')


def markdown(rows: Sequence[dict[str, str]]) -> str:
    """Rows with the same keys as a Markdown table that also reads well in a terminal.

    Examples
    --------
    >>> print(markdown([{'set': 'eggs', 'Dice': '0.9'}]))
    | set  | Dice |
    |------|------|
    | eggs | 0.9  |
    """
    names = list(rows[0])
    widths = {name: max(len(name), *(len(row[name]) for row in rows)) for name in names}
    lines = [
        '| ' + ' | '.join(row[name].ljust(widths[name]) for name in names) + ' |'
        for row in [dict(zip(names, names, strict=True)), *rows]
    ]
    rule = '|' + '|'.join('-' * (widths[name] + 2) for name in names) + '|'
    return '\n'.join([lines[0], rule, *lines[1:]])


def publish(text: str, values: Any, options: argparse.Namespace) -> None:
    """Print a report, and write it and its values to the files the user named."""
    print(text)
    if options.markdown is not None:
        options.markdown.write_text(text + '\n', encoding='utf-8')
    if options.json is not None:
        options.json.write_text(json.dumps(values, indent=1) + '\n', encoding='utf-8')
