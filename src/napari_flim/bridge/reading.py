"""How napari asks for files to be read, and what it takes in return."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Paths = str | Sequence[str]
"""One file, or several that were opened together."""

LayerData = tuple[Any, dict[str, Any], str]
"""Voxels, options and kind of a layer."""

NoLayer = tuple[None]
"""In place of a layer, where a file becomes something else."""


def each_of(paths: Paths) -> list[str]:
    """The files one by one.

    Examples
    --------
    >>> each_of('cells.nii.gz')
    ['cells.nii.gz']
    """
    return [paths] if isinstance(paths, str) else list(paths)
