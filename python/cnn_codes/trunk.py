"""Trunks that are kept: pictures to codes in memory."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from . import _native
from ._pictures import check_errors, complain, given
from ._progress import Listener
from ._types import Path, Pictures
from ._words import runtime, translating, words

__all__ = ["Trunk"]


class Trunk:
    """A trunk in a session, for codes without a store.

    It can be pickled, and used after a fork: the other process loads its own.

    Parameters
    ----------
    name : str
        As :func:`trunks` lists it.
    onnxruntime : path, optional
        ONNX Runtime's library. Default: that of the wheel `onnxruntime`.
    **options
        Those of ``cnn-codes extract-features`` that concern codes: ``pool="avg"``, ``recipe``, ``resize``, ``filter``,
        ``threads``, ``device``, ``output=["block4_pool", "block5_pool"]``, ...

    Raises
    ------
    TrunkError, UsageError

    Examples
    --------
    >>> trunk = Trunk("vgg16", pool="avg")  # doctest: +SKIP
    >>> trunk.codes(["tomato.jpg", "pumpkin.jpg"]).shape  # doctest: +SKIP
    (2, 512)
    """

    def __init__(self, name: str = "vgg16", *, onnxruntime: Path | None = None, **options: Any) -> None:
        self.name = name
        self._options = dict(options, onnxruntime=onnxruntime)
        with translating(), Listener(False) as listener:
            self._native = _native.Trunk(words(trunk=name, **options) + runtime(onnxruntime), listener)

    def __reduce__(self):
        return (_load, (self.name, self._options))

    def __repr__(self):
        return f"Trunk({self.name!r})"

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the codes' values: trunk, output, recipe, resizing, pooling; a dict."""
        return json.loads(self._native.identity())

    @property
    def code_len(self) -> int:
        """How many numbers a flattened code has, D."""
        return self._native.code_len()

    def codes(self, pictures: Pictures, *, errors: str = "raise", progress: bool | None = False) -> np.ndarray:
        """Codes of pictures.

        Parameters
        ----------
        pictures : list of path, bytes, PIL picture or uint8 array (H, W, 3), or one of these
            Bytes are those of a picture file. Arrays are RGB.
        errors : {"raise", "nan"}
            What is done about a picture that cannot be used: an exception, or NaN in its row.

        Returns
        -------
        numpy.ndarray of float32 (N, D)
            Flattened, channels last; of one picture (D).

        Raises
        ------
        PictureError, TrunkError
        """
        check_errors(errors)
        files, is_one = given(pictures)
        with translating(), Listener(progress) as listener:
            numbers, width, unusable = self._native.codes(files, listener)
        complain(unusable, len(files), errors)
        codes = np.frombuffer(numbers, np.float32).reshape(len(files), width).copy()
        return codes[0] if is_one else codes


def _load(name, options):
    return Trunk(name, **options)
