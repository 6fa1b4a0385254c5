"""Transfer learning with a frozen ConvNet: pictures to CNN codes, codes to a trained classifier.

>>> import cnn_codes
>>> cnn_codes.fetch("vgg16")  # doctest: +SKIP
>>> train = cnn_codes.extract("pictures/train", "codes/train")  # doctest: +SKIP
>>> validation = cnn_codes.extract("pictures/validation", "codes/validation")  # doctest: +SKIP
>>> cnn_codes.train(train, validation, out="head")  # doctest: +SKIP
>>> cnn_codes.Head.load("head").predict(["new.jpg"])  # doctest: +SKIP

`cnn_codes.sklearn` has estimators for scikit-learn, `cnn_codes.ray` the same over many machines.
"""

from . import _runtime as _runtime  # First: it switches the telemetry of ONNX Runtime off.
from ._native import __version__
from ._progress import CnnCodesWarning
from .comparison import Comparison, TrunkComparison
from .errors import (
    BusyError,
    CnnCodesError,
    ExportError,
    HeadError,
    OutputError,
    PictureError,
    RuntimeMissingError,
    StoppedError,
    StoreError,
    TrainError,
    TrunkError,
    UsageError,
)
from .head import Head
from .jobs import compare_trunks, evaluate, export, extract, fetch, train, trunks
from .store import Store
from .trunk import Trunk

__all__ = [
    "BusyError",
    "CnnCodesError",
    "CnnCodesWarning",
    "Comparison",
    "ExportError",
    "Head",
    "HeadError",
    "OutputError",
    "PictureError",
    "RuntimeMissingError",
    "StoppedError",
    "Store",
    "StoreError",
    "TrainError",
    "Trunk",
    "TrunkComparison",
    "TrunkError",
    "UsageError",
    "__version__",
    "compare_trunks",
    "evaluate",
    "export",
    "extract",
    "fetch",
    "train",
    "trunks",
]
