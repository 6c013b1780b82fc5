"""CarriedModel: a model as bytes, ready to be sent to workers and to be compared between runs."""

from __future__ import annotations

import hashlib
import json
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_flim.model import FlimModel

SETTINGS = ('decoder', 'delineation')
"""What of a model may be chosen for one run; the rest is the model itself."""


@dataclass(frozen=True, eq=False)
class CarriedModel:
    """A model with the decoder and delineation of one run.

    Attributes
    ----------
    name : str
        What to call it in messages and in ``run.json``.
    sha256 : str
        Of the model as it was given; that of its file, if it comes from one.
    content : bytes
        The ``.flim`` file of the model as it is applied.
    settings : dict
        Decoder and delineation as they are applied, ready for JSON.
    """

    name: str
    sha256: str
    content: bytes
    settings: dict[str, Any]

    @cached_property
    def model(self) -> FlimModel:
        """The model; read once in every process."""
        from napari_flim.model_loading import load_model

        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / 'model.flim'
            file.write_bytes(self.content)
            return load_model(file)

    def __getstate__(self) -> dict[str, Any]:
        """Bytes travel; the loaded model stays where it is."""
        return {name: value for name, value in vars(self).items() if name != 'model'}


def carried(
    model: FlimModel, given: Path | FlimModel | None = None, name: str = ''
) -> CarriedModel:
    """A model to run with.

    Parameters
    ----------
    model : FlimModel
        With the decoder and delineation to use.
    given : path or FlimModel, optional
        The model before those were changed, or its file; ``model`` itself by default.
    name : str
        What to call it; the path by default.

    Raises
    ------
    FileError
        When there is no room for a temporary file.
    """
    from napari_flim.model import settings_of

    content = _bytes_of(model)
    if isinstance(given, Path):
        original = given.read_bytes()
    else:
        original = content if given is None else _bytes_of(given)
    everything = settings_of(model)
    return CarriedModel(
        name or (str(given) if isinstance(given, Path) else 'model in memory'),
        hashlib.sha256(original).hexdigest(),
        content,
        json.loads(json.dumps({key: everything[key] for key in SETTINGS})),
    )


def _bytes_of(model: FlimModel) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / 'model.flim'
        model.save(file)
        return file.read_bytes()
