"""Learning a linear decoder from channel values at the markers, in closed steps.

Ridge-penalised multinomial logistic regression, solved by Newton's method: no random start, no
learning rate, no backpropagation. Classes count alike, and within a class every marker by the root
of its size, so that neither a long stroke nor many dots outvote the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_flim.engine.linear_decoder import LinearDecoder
from napari_flim.errors import LearningError


@dataclass(frozen=True, eq=False)
class Linear:
    """Weights (classes, C), biases (classes,), means and deviations (C,) of the channels."""

    classes: tuple[int, ...]
    weights: NDArray[np.float64]
    bias: NDArray[np.float64]
    means: NDArray[np.float64]
    deviations: NDArray[np.float64]

    def probabilities(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        """Of every class (M, classes) for values (M, C)."""
        odds = values.astype(np.float64) @ self.weights.T + self.bias
        odds -= odds.max(axis=1, keepdims=True)
        exponential = np.exp(odds)
        result: NDArray[np.float64] = exponential / exponential.sum(axis=1, keepdims=True)
        return result


def balanced(classes: NDArray[np.int64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights (M,) of which every class has the same sum, and 1 in the mean.

    Examples
    --------
    >>> balanced(np.array([1, 1, 2]), np.array([1.0, 3.0, 7.0]))
    array([0.375, 1.125, 1.5  ])
    """
    result = weights.astype(np.float64)
    for one in np.unique(classes):
        own = classes == one
        result[own] /= result[own].sum()
    result *= len(result) / result.sum()
    return result


def fit(
    values: NDArray[np.floating],
    classes: NDArray[np.int64],
    weights: NDArray[np.float64],
    strength: float,
) -> Linear:
    """Fit the weights of the channels.

    Parameters
    ----------
    values : (M, C) float array
        Of the channels at marked voxels.
    classes : (M,) int64 array
        1 background, 2.. objects; two different ones or more.
    weights : (M,) float64 array
        How much every voxel counts within its class; classes are made to count alike.
    strength : float
        Inverse strength of the penalty, of a sum over voxels.

    Raises
    ------
    LearningError
        When only one class is marked.
    """
    from sklearn.linear_model import LogisticRegression

    known = tuple(np.unique(classes).tolist())
    if len(known) < 2:
        raise LearningError(
            f'A linear decoder compares classes, but only class {known[0]} is marked; '
            'paint another one.'
        )
    weights = balanced(classes, weights)
    exact = values.astype(np.float64)
    means = np.average(exact, axis=0, weights=weights)
    spread = np.sqrt(np.average((exact - means) ** 2, axis=0, weights=weights))
    # A channel that is almost constant on the markers must not be blown up elsewhere.
    deviations = spread + 1e-3 * np.abs(exact).max(axis=0) + 1e-9
    regression = LogisticRegression(C=strength, solver='newton-cholesky', max_iter=50, tol=1e-4)
    regression.fit((exact - means) / deviations, classes, sample_weight=weights)
    rows, bias = regression.coef_ / deviations, regression.intercept_
    if len(known) == 2:
        rows, bias = np.stack([np.zeros_like(rows[0]), rows[0]]), np.append(0.0, bias)
    return Linear(known, rows, bias - rows @ means, means, deviations)


def linear_decoder(
    linear: Linear, blocks: Sequence[int], counts: Sequence[int], scales: Sequence[float]
) -> LinearDecoder:
    """What was fitted, as plain numbers; see `LinearDecoder` for the parameters."""
    return LinearDecoder(
        linear.classes,
        tuple(blocks),
        tuple(counts),
        tuple(scales),
        tuple(tuple(row) for row in linear.weights.tolist()),
        tuple(linear.bias.tolist()),
        tuple(linear.means.tolist()),
        tuple(linear.deviations.tolist()),
    )
