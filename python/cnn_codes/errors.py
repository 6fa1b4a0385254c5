"""What can go wrong: every exception of the package is a :class:`CnnCodesError`."""

__all__ = [
    "BusyError",
    "CnnCodesError",
    "ExportError",
    "HeadError",
    "OutputError",
    "PictureError",
    "RuntimeMissingError",
    "StoppedError",
    "StoreError",
    "TrainError",
    "TrunkError",
    "UsageError",
]


class CnnCodesError(Exception):
    """Any error of the package; its text says what was wrong, where, and what to do."""


class UsageError(CnnCodesError, ValueError):
    """An argument that is not known, or has a value that it cannot have."""


class PictureError(CnnCodesError, ValueError):
    """Pictures that are not there, cannot be decoded, or make no data set."""


class StoreError(CnnCodesError, OSError):
    """A store that is missing, damaged, or of another kind than is needed."""


class TrunkError(CnnCodesError, ValueError):
    """A trunk that is not there, does not fit its card, or fails."""


class RuntimeMissingError(TrunkError, ImportError):
    """ONNX Runtime cannot be found or loaded."""


class HeadError(CnnCodesError, ValueError):
    """A head that is missing or damaged, or takes other codes than it is given."""


class TrainError(CnnCodesError, ValueError):
    """A training that cannot be done with these stores and options, or that failed."""


class ExportError(CnnCodesError, ValueError):
    """An export that cannot be written, or does not do what trunk and head do."""


class BusyError(CnnCodesError):
    """Another run is writing the same store or head."""


class OutputError(CnnCodesError, OSError):
    """What is to be written is there already, or cannot be written."""


class StoppedError(CnnCodesError):
    """Work that was asked to stop; what was done is kept."""
