"""Dice against the number of markers, one panel for each set and one line for each method."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

from accuracy_runs import Configuration, Result
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter

Measured = tuple[str, Configuration, list[Result]]
"""A set, a configuration with its budget, and a result for each seed."""
PANEL = 4.0, 3.4
"""Width and height of a panel in inches."""


def plot(rows: Sequence[Measured], file: Path) -> None:
    """Draw mean Dice of the final objects, with the deviation of the mean between seeds."""
    sets = list(dict.fromkeys(name for name, _, _ in rows))
    figure = Figure(figsize=(PANEL[0] * len(sets), PANEL[1]), layout='constrained')
    panels = figure.subplots(1, len(sets), sharey=True, squeeze=False)[0]
    for panel, name in zip(panels, sets, strict=True):
        own = [(choice, results) for one, choice, results in rows if one == name]
        for label in dict.fromkeys(_label(choice) for choice, _ in own):
            line = sorted(
                (choice.disks or 0, *_dice(results))
                for choice, results in own
                if _label(choice) == label
            )
            budgets, means, deviations = zip(*line, strict=True)
            panel.errorbar(budgets, means, deviations, marker='o', capsize=3, label=label)
        panel.set(title=name, xscale='log', ylim=(0, 1), xlabel='disks for each class and image')
        panel.xaxis.set_major_locator(
            FixedLocator(sorted({choice.disks or 0 for choice, _ in own}))
        )
        panel.xaxis.set_minor_locator(NullLocator())
        panel.xaxis.set_major_formatter(ScalarFormatter())
        panel.grid(alpha=0.3)
        panel.legend(fontsize='small', loc='lower right')
    panels[0].set_ylabel('Dice')
    figure.savefig(file, dpi=150)


def _label(choice: Configuration) -> str:
    if choice.is_forest:
        return 'scikit-image random forest'
    named = (Path(choice.architecture).name, choice.input, choice.decoder, choice.method)
    return 'FLIM: ' + ', '.join(part for part in named if part is not None)


def _dice(results: Sequence[Result]) -> tuple[float, float]:
    """Mean over images and seeds, and deviation of the mean between seeds."""
    means = [statistics.mean(one.dice for one in result.final.values()) for result in results]
    return statistics.mean(means), statistics.stdev(means) if len(means) > 1 else 0.0
