"""Saliency of an image of any size, tile by tile, equal to that of the image in one piece.

Adaptive decoders weigh channels by what they hold in the whole image. So the tiles are encoded
more than once: for the ranges of the channels, for some decoders for their contents, and then to
be decoded. Nothing but a few numbers is kept of a tile in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_flim.engine.channel_statistics import ChannelContents, ChannelRanges, channel_ranges
from napari_flim.engine.decoders import measure_contents, needs_contents
from napari_flim.inference.applying import Applying
from napari_flim.inference.mapping import Checkpoint, Mapper, each_tile, one_by_one
from napari_flim.inference.saliency import class_maps, stretched
from napari_flim.inference.scratch import Store
from napari_flim.inference.tiles import Tile
from napari_flim.progress import Job, part_of


@dataclass(frozen=True, eq=False)
class StreamedSaliency:
    """Saliency that is stretched to [0, 1] when it is read.

    Attributes
    ----------
    raw : (L, \\*S) array
        As decoders give it, not negative.
    lowest, highest : float
        Of all maps.
    """

    raw: Store
    lowest: float
    highest: float

    @property
    def shape(self) -> tuple[int, ...]:
        """Classes, then the shape of the image."""
        return tuple(self.raw.shape)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.raw.shape)

    @property
    def dtype(self) -> np.dtype[np.float32]:
        """Always float32."""
        return np.dtype(np.float32)

    def __getitem__(self, index: Any) -> NDArray[np.float32]:
        """A part of the saliency: float32 in [0, 1]."""
        part = torch.from_numpy(np.array(self.raw[index], dtype=np.float32))
        result: NDArray[np.float32] = stretched(part, self.lowest, self.highest).numpy()
        return result


@dataclass(frozen=True)
class Limits:
    """Lowest and highest saliency of a tile, not yet stretched."""

    lowest: float
    highest: float


def stream_saliency(
    applying: Applying,
    raw: Store,
    tiles: Sequence[Tile],
    *,
    mapper: Mapper = one_by_one,
    checkpoint: Checkpoint | None = None,
) -> Job[StreamedSaliency]:
    """Saliency of every object class of an image that need not fit into memory.

    Parameters
    ----------
    applying : Applying
    raw : (L, \\*S) array
        Where it is written. If several processes write, its chunks are the cores of the tiles.
    tiles : sequence of Tile
        With the halo of `Applying.halo`, aligned to `Applying.stride`.
    mapper : callable
        Who does the work.
    checkpoint : Checkpoint, optional
        What is finished already is not done again; ``raw`` then holds it.

    Yields
    ------
    Progress

    Returns
    -------
    StreamedSaliency
        Equal to `FlimModel.class_saliency` to within 1e-5.

    Raises
    ------
    DecoderError
        When the decoder cannot work with these kernels.
    """
    if applying.linear is not None:
        yield from each_tile(
            'computing saliency',
            partial(_probable, applying, raw),
            tiles,
            Limits,
            mapper,
            checkpoint,
        )
        return StreamedSaliency(raw, 0.0, 1.0)
    with_contents = needs_contents(applying.decoder.name)
    total = len(tiles) * (3 if with_contents else 2)
    job = each_tile(
        'looking at the image',
        partial(_ranges, applying),
        tiles,
        ChannelRanges,
        mapper,
        checkpoint,
    )
    found = yield from part_of(job, 0, total)
    ranges = reduce(ChannelRanges.joined, found)
    contents = None
    if with_contents:
        counting = each_tile(
            'weighing channels',
            partial(_contents, applying, ranges),
            tiles,
            ChannelContents,
            mapper,
            checkpoint,
        )
        contents = reduce(ChannelContents.joined, (yield from part_of(counting, len(tiles), total)))
    decoding = each_tile(
        'computing saliency',
        partial(_decode, applying, ranges, contents, raw),
        tiles,
        Limits,
        mapper,
        checkpoint,
    )
    limits = yield from part_of(decoding, total - len(tiles), total)
    return StreamedSaliency(
        raw, min(one.lowest for one in limits), max(one.highest for one in limits)
    )


def _own_channels(applying: Applying, tile: Tile) -> torch.Tensor:
    """Channels of the core alone."""
    _, inside = tile.on_grid(applying.stride)
    return applying.channels(tile)[(slice(None), *inside)]


def _ranges(applying: Applying, tile: Tile) -> ChannelRanges:
    return channel_ranges(_own_channels(applying, tile))


def _contents(applying: Applying, ranges: ChannelRanges, tile: Tile) -> ChannelContents:
    return measure_contents(
        _own_channels(applying, tile),
        applying.blocks[applying.decoded_block - 1].bank.classes,
        applying.decoder,
        applying.object_classes,
        ranges,
    )


def _probable(applying: Applying, raw: Store, tile: Tile) -> Limits:
    maps = applying.probabilities(tile)[(slice(None), *tile.inside)]
    raw[(slice(None), *tile.core)] = maps.numpy(force=True)
    return Limits(0.0, 1.0)


def _decode(
    applying: Applying,
    ranges: ChannelRanges,
    contents: ChannelContents | None,
    raw: Store,
    tile: Tile,
) -> Limits:
    maps = class_maps(
        applying.channels(tile),
        applying.blocks[applying.decoded_block - 1],
        applying.decoder,
        applying.object_classes,
        applying.stride,
        [part.stop - part.start for part in tile.read],
        ranges=ranges,
        contents=contents,
    )[(slice(None), *tile.inside)]
    raw[(slice(None), *tile.core)] = maps.numpy(force=True)
    lowest, highest = maps.aminmax()
    return Limits(float(lowest), float(highest))
