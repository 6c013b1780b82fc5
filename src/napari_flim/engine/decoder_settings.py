"""DecoderSettings: which decoder reads which block, and the weights an expert set by hand.

What each decoder computes: ``decoders.py``. Formulas and their sources: docs/methods.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_flim.engine.markers import BACKGROUND
from napari_flim.errors import DecoderError


@dataclass(frozen=True, slots=True)
class DecoderKind:
    """What there is to know about a decoder before it runs.

    Attributes
    ----------
    description : str
        One line for users.
    needs_labels : bool
        Whether the classes of the kernels matter.
    stretched : bool
        Whether channels are stretched from their minimum instead of divided by their maximum.
    contents : {'sums', 'histogram', 'likeness'}, optional
        What must be known of the whole image besides the ranges of its channels: their sums
        alone, or also their histograms, or also their likeness to what they have in common.
    """

    description: str
    needs_labels: bool
    stretched: bool
    contents: Literal['sums', 'histogram', 'likeness'] | None = None


DECODERS: dict[str, DecoderKind] = {
    'mean': DecoderKind('per voxel: object channels where they are higher around it', True, False),
    'probability': DecoderKind('per voxel: channels likelier under their own class', True, False),
    'label': DecoderKind('object channels minus background channels', True, True),
    'label_balanced': DecoderKind('mean object channel minus mean background channel', True, True),
    'hybrid': DecoderKind('tri-state weights for object kernels only', True, True, 'histogram'),
    'tristate': DecoderKind('by channel mean and share of bright voxels', False, True, 'histogram'),
    'original': DecoderKind('by channel mean: low is object, high background', False, True, 'sums'),
    'attention': DecoderKind('by likeness to the common picture', False, True, 'likeness'),
    'linear': DecoderKind('learned from the markers, over all blocks and the input', False, False),
    'manual': DecoderKind('weights set by hand', False, True),
}
"""Every decoder by name; what it computes is the function of that name in ``decoders.py``."""


@dataclass(frozen=True, slots=True)
class DecoderSettings:
    """Which decoder turns the channels of which block into saliency.

    Attributes
    ----------
    name : str
        A name from `DECODERS`.
    block : int
        Block number from 1; 0 stands for the last.
    ratio : float
        Weight of the background mean in ``label_balanced``.
    band : float
        Width, in deviations, of the band around Otsu's threshold in ``original``, ``tristate`` and
        ``hybrid``.
    weights : tuple of float
        One for each channel, for ``manual``.
    by_sum : bool
        Compare sums of channels in ``mean``, as the lecture prints it, instead of means; the class
        with more kernels then tends to win.
    full_disk : bool
        Divide by the whole disk in ``probability`` also at the border, as LibIFT does, instead of
        by the voxels inside the image.
    overrides : tuple of (int, float)
        Kernels of the decoded block, from 0, with a weight set by hand; all others keep their
        automatic weight. With weight 0 a kernel is left out, as if the bank did not hold it. In
        decoders that use the classes of kernels, the sign says what the kernel counts for: the
        object, or the background. In the others the weight takes the place of the automatic one.

    Raises
    ------
    DecoderError
        When there is no such decoder (the message lists them) or a value is not allowed.
    """

    name: str = 'mean'
    block: int = 0
    ratio: float = 1.0
    band: float = 1.0
    weights: tuple[float, ...] = ()
    by_sum: bool = False
    full_disk: bool = False
    overrides: tuple[tuple[int, float], ...] = ()

    def __post_init__(self) -> None:
        if self.name not in DECODERS:
            raise DecoderError(
                f'There is no decoder {self.name!r}; choose one of {", ".join(DECODERS)}.'
            )
        if not _is_whole(self.block):
            raise DecoderError(
                f'Block {self.block!r} was asked for; give a number from 1, or 0 for the last.'
            )
        object.__setattr__(self, 'block', int(self.block))
        for name in ('by_sum', 'full_disk'):
            if not isinstance(getattr(self, name), bool):
                raise DecoderError(f'{name} is {getattr(self, name)!r}; expected true or false.')
        for name in ('ratio', 'band'):
            object.__setattr__(self, name, _finite(name, getattr(self, name)))
        object.__setattr__(self, 'weights', tuple(_finite('weights', w) for w in self.weights))
        object.__setattr__(self, 'overrides', tuple(_override(pair) for pair in self.overrides))
        named = [kernel for kernel, _ in self.overrides]
        twice = [kernel for kernel in named if named.count(kernel) > 1]
        if twice:
            raise DecoderError(
                f'Kernel {twice[0]} was given two weights by hand; give each kernel one.'
            )
        if self.name == 'manual' and not self.weights:
            raise DecoderError('The decoder manual has no weights; give one for each kernel.')

    def of_kernels(self, kept: Sequence[int]) -> DecoderSettings:
        """The settings for a bank that holds only the named kernels of this one, in this order.

        Raises
        ------
        DecoderError
            When there is no weight for one of them.
        """
        if self.weights and max(kept) >= len(self.weights):
            raise DecoderError(
                f'{len(self.weights)} weights were given, but kernel {max(kept)} is counted; '
                'give one weight for each kernel of the decoded block.'
            )
        numbers = {kernel: number for number, kernel in enumerate(kept)}
        return replace(
            self,
            weights=tuple(self.weights[kernel] for kernel in kept) if self.weights else (),
            overrides=tuple((numbers[k], w) for k, w in self.overrides if k in numbers),
        )


LEFT_OUT = -1
"""Class of a kernel that does not count, because its weight was set to 0 by hand."""


def counted_classes(
    settings: DecoderSettings, classes: NDArray[np.integer], object_classes: Sequence[int]
) -> NDArray[np.int64]:
    """What every kernel counts for, once the weights set by hand are heeded.

    Parameters
    ----------
    settings : DecoderSettings
    classes : (K,) int array
        Class of each kernel of the decoded block: 1 background, 2.. objects, 0 unknown.
    object_classes : sequence of int
        A kernel of another class that is to count for the object counts for the first of these.

    Returns
    -------
    (K,) int64 array
        Classes, and `LEFT_OUT` for kernels that do not count.

    Raises
    ------
    DecoderError
        When a kernel that does not exist was given a weight, or when all are left out.

    Examples
    --------
    >>> by_hand = DecoderSettings(overrides=((0, -1.0), (2, 0.0), (3, 1.0)))
    >>> counted_classes(by_hand, np.array([3, 1, 1, 1]), [2, 3])
    array([ 1,  1, -1,  2])
    """
    counted = np.array(classes, dtype=np.int64)
    for kernel, weight in settings.overrides:
        if kernel >= len(counted):
            raise DecoderError(
                f'Kernel {kernel} was given a weight by hand, but the decoded block has '
                f'{len(counted)} kernels, 0 to {len(counted) - 1}; remove this weight.'
            )
        if weight == 0:
            counted[kernel] = LEFT_OUT
        elif weight < 0:
            counted[kernel] = BACKGROUND
        elif counted[kernel] not in object_classes:
            counted[kernel] = object_classes[0]
    if len(counted) and (counted == LEFT_OUT).all():
        raise DecoderError(
            f'All {len(counted)} kernels of the decoded block were given weight 0 by hand; '
            'leave at least one of them in.'
        )
    return counted


def check_decoder(
    settings: DecoderSettings, classes: NDArray[np.integer], object_classes: Sequence[int]
) -> None:
    """Raise `DecoderError` unless the decoder can work with kernels of these classes.

    Parameters
    ----------
    settings : DecoderSettings
    classes : (K,) int array
        Class of each kernel of the decoded block.
    object_classes : sequence of int
    """
    counted = counted_classes(settings, classes, object_classes)
    if settings.name == 'manual' and len(settings.weights) != len(classes):
        raise DecoderError(
            f'{len(settings.weights)} weights were given for {len(classes)} channels; '
            'give one weight for each kernel of the decoded block.'
        )
    if settings.name == 'linear':
        return
    if not DECODERS[settings.name].needs_labels:
        if len(object_classes) > 1:
            raise DecoderError(
                f'The decoder {settings.name!r} cannot tell the object classes '
                f'{list(object_classes)} apart; use mean, probability, label, label_balanced, '
                'hybrid or linear, or mark one class of objects.'
            )
        return
    for number in object_classes:
        share = (counted[counted != LEFT_OUT] == number).mean()
        if share in (0, 1):
            found, remedy = f'belongs to class {number}', 'Keep kernels of both'
            if settings.overrides:
                found = f'counts for class {number} with the weights set by hand'
                remedy = 'Change these weights'
            raise DecoderError(
                f'The decoder {settings.name!r} compares kernels of the object with others, but '
                f'{"every" if share else "no"} kernel of this block {found}. '
                f'{remedy}, or use the decoder tristate.'
            )


def _is_whole(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        return False
    return bool(value >= 0)


def _finite(name: str, value: object) -> float:
    if not isinstance(value, int | float | np.number) or not math.isfinite(value):
        raise DecoderError(f'{name} is {value!r}; expected a finite number.')
    return float(value)


def _override(pair: object) -> tuple[int, float]:
    if not isinstance(pair, tuple | list) or len(pair) != 2 or not _is_whole(pair[0]):
        raise DecoderError(
            f'overrides holds {pair!r}; expected pairs of a kernel, from 0, and its weight.'
        )
    return int(pair[0]), _finite(f'The weight of kernel {pair[0]}', pair[1])
