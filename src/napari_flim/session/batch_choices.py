"""BatchChoices: what the user wants of a run over many files, as chosen on the panel."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from napari_flim.batch import Outputs

Earlier = Literal['resume', 'overwrite']

RESULTS = 'flim'
"""Folder beside the images that is proposed for results."""


@dataclass(frozen=True, slots=True)
class BatchChoices:
    """What to segment, with what, and what to write.

    Attributes
    ----------
    model : Path, optional
        A ``.flim`` file; by default the model of the session, as it is when the run starts.
    inputs : tuple of Path
        A folder, or files.
    pattern : str
        Which images of the folder are meant, such as ``*.tif``; all of them when empty.
    labels, saliency, table, outlines : bool
        What to write of each image.
    format : str
        Of label images and saliency.
    out : Path, optional
        Where results go; by default a folder beside the images.
    axes : str
        One letter for each axis of the files; empty for what the files say.
    memory_gb : float, optional
        What the work may take beside what napari holds, in gigabytes of 1024**3 bytes.
    earlier : {'resume', 'overwrite'}
        What to do with an earlier run in the same folder.
    """

    model: Path | None = None
    inputs: tuple[Path, ...] = ()
    pattern: str = ''
    labels: bool = True
    saliency: bool = False
    table: bool = True
    outlines: bool = False
    format: str = 'tif'
    out: Path | None = None
    axes: str = ''
    memory_gb: float | None = None
    earlier: Earlier = 'resume'

    @property
    def folder(self) -> Path | None:
        """Where results go; None while neither that nor any input is chosen."""
        if self.out is not None or not self.inputs:
            return self.out
        first = self.inputs[0]
        return (first if first.is_dir() else first.parent) / RESULTS

    def outputs(self) -> Outputs:
        """What a run writes.

        Raises
        ------
        BatchError
            When nothing is to be written.
        """
        return Outputs(self.labels, self.saliency, self.table, self.outlines, self.format)

    def sources(self) -> tuple[object, ...]:
        """What the files that are found depend on."""
        return (self.inputs, self.pattern, self.folder, self.axes)
