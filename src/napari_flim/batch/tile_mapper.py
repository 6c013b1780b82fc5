"""The tiles of one large image on the workers of a dask cluster: one task a tile."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from distributed import Client, as_completed

from napari_flim.inference.mapping import Mapper
from napari_flim.inference.tiles import Tile


def mapper_on(client: Client) -> Mapper:
    """A mapper that lets the workers of a cluster do the work.

    A worker that is lost costs only the tiles it had: others take them.

    Parameters
    ----------
    client : distributed.Client
        Its workers see images and results under the same paths.
    """

    def mapped(
        function: Callable[[Tile], Any], tiles: Sequence[Tile]
    ) -> Iterator[tuple[Tile, Any]]:
        if not tiles:
            return
        # Sent once, to all: it holds the model.
        sent = client.scatter(function, broadcast=True, hash=False)
        futures = {client.submit(_call, sent, tile, pure=False): tile for tile in tiles}
        try:
            for future in as_completed(list(futures), loop=client.loop):
                result = future.result()
                tile = futures[future]
                # Results of tiles are small, but there are many; the cluster may forget them.
                future.release()
                yield tile, result
        finally:
            client.cancel(list(futures))

    return mapped


def _call(function: Callable[[Tile], Any], tile: Tile) -> Any:
    return function(tile)
