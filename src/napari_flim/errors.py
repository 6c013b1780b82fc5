"""What can go wrong, as one small family of exceptions.

Every message says what was given, what was expected, and what to do next.
"""

from __future__ import annotations


class FlimError(Exception):
    """Any failure that napari-flim foresees; its text is meant for the user."""


class ArchitectureError(FlimError, ValueError):
    """A block or an architecture asks for something impossible."""


class ImageError(FlimError, ValueError):
    """An image has the wrong axes, type or content."""


class MarkerError(FlimError, ValueError):
    """Markers cannot be used: wrong shape, wrong type, or none at all."""


class LearningError(FlimError, ValueError):
    """Kernels cannot be learned from what was given."""


class KernelError(FlimError, ValueError):
    """A kernel bank cannot be edited as asked."""


class DecoderError(FlimError, ValueError):
    """A decoder does not exist or cannot work on these channels."""


class DelineationError(FlimError, ValueError):
    """Objects cannot be delineated: features, seeds, mask or settings do not fit."""


class EvaluationError(FlimError, ValueError):
    """Predictions and truth cannot be compared."""


class EngineError(FlimError):
    """The engine failed for a reason that nobody foresaw, such as a lack of memory."""


class MemoryBudgetError(FlimError):
    """Work does not fit into the memory it was given."""


class BatchError(FlimError, ValueError):
    """A run over many files cannot be planned, or does not fit to an earlier one."""


class FileError(FlimError, OSError):
    """A file cannot be read or written."""


class ModelFileError(FileError):
    """A model file is damaged, foreign, or newer than this program."""


class FlimWarning(UserWarning):
    """Something the user should know, although the work goes on."""
