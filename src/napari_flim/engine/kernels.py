"""KernelBank: the kernels of a block, where each came from, and how a user edits them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_flim.engine.architecture import Architecture, Block
from napari_flim.engine.normalization import Normalization
from napari_flim.errors import KernelError

UNKNOWN = -1


@dataclass(frozen=True, eq=False)
class KernelBank:
    """Kernels of one block, in the normalised space of that block.

    Attributes
    ----------
    weights : (K, C, \\*k) float32 array
        Of unit norm when learned with statistics per channel.
    bias : (K,) float32 array
        Zero when learned with statistics per channel: centring at the marker mean takes the
        place of a bias.
    classes : (K,) int64 array
        Class of the marker a kernel came from: 1 background, 2.. objects, 0 unknown.
    images, markers : (K,) int64 arrays
        Training image and marker a kernel came from; -1 unknown.
    voxels : (K, ndim) int64 array
        Input voxel at the centre of the patch that became the kernel; -1 unknown.
    """

    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    classes: NDArray[np.int64]
    images: NDArray[np.int64]
    markers: NDArray[np.int64]
    voxels: NDArray[np.int64]

    def __post_init__(self) -> None:
        count, ndim = len(self.weights), self.weights.ndim - 2
        shapes = {
            'bias': (count,),
            'classes': (count,),
            'images': (count,),
            'markers': (count,),
            'voxels': (count, ndim),
        }
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise KernelError(
                    f'{name} has shape {getattr(self, name).shape}; '
                    f'expected {shape} for {count} kernels.'
                )
        for name in ('weights', *shapes):
            array = getattr(self, name).copy()
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    def __len__(self) -> int:
        return len(self.weights)

    @property
    def ndim(self) -> int:
        """Spatial rank, 2 or 3."""
        return self.weights.ndim - 2

    @classmethod
    def from_weights(
        cls, weights: ArrayLike, classes: ArrayLike | None = None, bias: ArrayLike | None = None
    ) -> KernelBank:
        """A bank whose origin is not known, such as one read from a foreign file."""
        array = np.asarray(weights, dtype=np.float32)
        count, ndim = len(array), array.ndim - 2
        unknown = np.full(count, UNKNOWN, dtype=np.int64)
        return cls(
            weights=array,
            bias=np.zeros(count, np.float32) if bias is None else np.asarray(bias, np.float32),
            classes=np.zeros(count, np.int64) if classes is None else np.asarray(classes, np.int64),
            images=unknown,
            markers=unknown,
            voxels=np.full((count, ndim), UNKNOWN, dtype=np.int64),
        )

    def keep(self, indices: Sequence[int] | NDArray[np.integer]) -> KernelBank:
        """The named kernels, in the order named (so this also reorders).

        Raises
        ------
        KernelError
            When an index does not exist, is named twice, or none is named.
        """
        chosen = self._existing(indices)
        if not len(chosen):
            raise KernelError('No kernel would be left; keep at least one.')
        if len(set(chosen.tolist())) < len(chosen):
            raise KernelError('A kernel was named twice; name each kernel once.')
        return KernelBank(
            self.weights[chosen],
            self.bias[chosen],
            self.classes[chosen],
            self.images[chosen],
            self.markers[chosen],
            self.voxels[chosen],
        )

    def drop(self, indices: Sequence[int]) -> KernelBank:
        """All kernels but the named ones."""
        named = set(self._existing(indices).tolist())
        return self.keep([i for i in range(len(self)) if i not in named])

    def invert(self, indices: Sequence[int]) -> KernelBank:
        """The bank with the named kernels, and their biases, negated."""
        factors = np.ones(len(self), dtype=np.float32)
        factors[self._existing(indices)] = -1
        return self.reweight(factors)

    def reweight(self, factors: ArrayLike) -> KernelBank:
        """The bank with every kernel, and its bias, multiplied by its own factor.

        Parameters
        ----------
        factors : (K,) array of float
        """
        scale = np.asarray(factors, dtype=np.float32)
        if scale.shape != (len(self),) or not np.isfinite(scale).all():
            raise KernelError(
                f'Factors of shape {scale.shape} were given; '
                f'expected {len(self)} finite numbers, one for each kernel.'
            )
        column = scale.reshape((-1,) + (1,) * (self.weights.ndim - 1))
        return replace(self, weights=self.weights * column, bias=self.bias * scale)

    def _existing(self, indices: Sequence[int] | NDArray[np.integer]) -> NDArray[np.int64]:
        named = np.asarray(indices, dtype=np.int64).reshape(-1)
        strange = named[(named < 0) | (named >= len(self))]
        if len(strange):
            raise KernelError(
                f'Kernel {strange[0]} was named; this bank has kernels 0 to {len(self) - 1}.'
            )
        return named

    def merge(self, other: KernelBank) -> KernelBank:
        """Both banks, one after the other. They must share channels and kernel size."""
        if self.weights.shape[1:] != other.weights.shape[1:]:
            raise KernelError(
                f'Kernels of shape {self.weights.shape[1:]} and {other.weights.shape[1:]} '
                'cannot be merged; both banks need the same channels and kernel size.'
            )
        return KernelBank(
            np.concatenate([self.weights, other.weights]),
            np.concatenate([self.bias, other.bias]),
            np.concatenate([self.classes, other.classes]),
            np.concatenate([self.images, other.images]),
            np.concatenate([self.markers, other.markers]),
            np.concatenate([self.voxels, other.voxels]),
        )


@dataclass(frozen=True, eq=False)
class LearnedBlock:
    """A block with what was learned for it."""

    spec: Block
    normalization: Normalization
    bank: KernelBank


def drop_kernels(
    blocks: Sequence[LearnedBlock], block: int, indices: Sequence[int]
) -> tuple[LearnedBlock, ...]:
    """The blocks without some kernels of one of them, still fitting together.

    The next block loses the channels those kernels made; later answers are those for channels
    that lie at their marker mean everywhere. Blocks that do not change stay the same objects.

    Parameters
    ----------
    blocks : sequence of LearnedBlock
    block : int
        Number of the block, from 1.
    indices : sequence of int
        Its kernels to drop, from 0.

    Raises
    ------
    ArchitectureError
        When there is no such block.
    KernelError
        When a kernel does not exist, or none would be left.
    """
    Architecture(tuple(one.spec for one in blocks)).check_block(block)
    edited = list(blocks)
    if not len(indices):
        return tuple(edited)
    before = blocks[block - 1]
    edited[block - 1] = replace(before, bank=before.bank.drop(indices))
    if block < len(blocks):
        after = blocks[block]
        gone = np.unique(np.asarray(indices, dtype=np.int64))
        mean, std = (
            np.delete(a, gone) for a in (after.normalization.mean, after.normalization.std)
        )
        weights = np.delete(after.bank.weights, gone, axis=1)
        edited[block] = replace(
            after,
            normalization=Normalization(mean, std),
            bank=replace(after.bank, weights=weights),
        )
    return tuple(edited)


def rebase(bank: KernelBank, old: Normalization, new: Normalization) -> KernelBank:
    """Kernels that answer under normalisation ``new`` as they did under ``old``.

    With ``z = (x - mean) / std``, ``W . z_old + b = W' . z_new + b'`` for
    ``W' = W std_new / std_old`` and ``b' = b + sum(W (mean_new - mean_old) / std_old)``.
    """
    shape = (1, -1) + (1,) * bank.ndim
    scale = (new.std.astype(np.float64) / old.std).reshape(shape)
    shift = ((new.mean.astype(np.float64) - old.mean) / old.std).reshape(shape)
    bias = bank.bias + (bank.weights * shift).reshape(len(bank), -1).sum(1)
    weights = (bank.weights * scale).astype(np.float32)
    return replace(bank, weights=weights, bias=bias.astype(np.float32))
