"""Heads that are kept: pictures or codes to probabilities."""

from __future__ import annotations

import json
import os
import pathlib
from typing import Any

import numpy as np

from . import _native
from ._pictures import check_errors, complain, given, is_one
from ._progress import Listener
from ._types import Path, Pictures
from ._words import path as word
from ._words import run, runtime, translating, words
from .errors import HeadError
from .store import Store

__all__ = ["Head"]


class Head:
    """A trained head, for new pictures and for codes.

    Its trunk is loaded with the first picture. It can be pickled, and used after a fork: the other process loads its own.

    Parameters
    ----------
    folder : path
        The folder that :func:`train` made.
    kind : {"mlp", "logistic", "nearest-centroid"}, optional
        Which head. Default: the one that the folder recommends.
    onnxruntime : path, optional
        ONNX Runtime's library. Default: that of the wheel `onnxruntime`.
    **options
        Those of ``cnn-codes predict`` that concern the trunk: ``models``, ``trunk``, ``threads``, ``device``, ...

    Attributes
    ----------
    classes : list of str
        Class names in the order of the probabilities (K).
    name : str
        Which head it is.
    code_len : int
        How many numbers a flattened code has, D.

    Raises
    ------
    HeadError, UsageError
    """

    def __init__(
        self, folder: Path, kind: str | None = None, *, onnxruntime: Path | None = None, **options: Any
    ) -> None:
        self.path = pathlib.Path(folder)
        self._kind, self._options = kind, dict(options, onnxruntime=onnxruntime)
        self._words = [word(folder), *words(head=kind, **options), *runtime(onnxruntime)]
        with translating(), Listener(False) as listener:
            self._native = _native.Head(self._words, listener)
        self.classes, self.name, self.code_len = self._native.classes, self._native.name, self._native.code_len

    @classmethod
    def load(cls, folder: Path, kind: str | None = None, **options: Any) -> Head:
        """The head in a folder; the same as ``Head(folder)``."""
        return cls(folder, kind, **options)

    def __reduce__(self):
        return (_load, (os.fspath(self.path.absolute()), self._kind, self._options))

    def __repr__(self):
        return f"Head({str(self.path)!r}: {self.name}, {len(self.classes)} classes)"

    def predict_proba(
        self, x: Pictures | Store, *, errors: str = "raise", progress: bool | None = False
    ) -> np.ndarray:
        """Probabilities of the classes.

        Parameters
        ----------
        x : pictures or codes
            A list of paths, bytes of picture files, PIL pictures or uint8 arrays (H, W, 3), or one of these; or codes,
            float32 or float16 (N, D) or (N, H, W, C), or a :class:`Store`.
        errors : {"raise", "nan"}
            What is done about a picture that cannot be used: an exception, or NaN in its row.
        progress : bool
            Whether a bar is shown, with tqdm.

        Returns
        -------
        numpy.ndarray of float32 (N, K)
            Rows sum to 1; of one picture (K).

        Raises
        ------
        PictureError, HeadError, TrunkError
        """
        check_errors(errors)
        if isinstance(x, Store):
            return self._of_store(x, progress)
        if is_codes(x):
            return self._of_codes(x)
        files, one = given(x)
        probabilities, unusable = self._of_files(files, progress)
        complain(unusable, len(files), errors)
        return probabilities[0] if one else probabilities

    def predict(
        self, x: Pictures | Store, *, errors: str = "raise", progress: bool | None = False
    ) -> np.ndarray | str:
        """The most probable class of each picture or code.

        Parameters are those of :meth:`predict_proba`.

        Returns
        -------
        numpy.ndarray of str (N)
            With `errors="nan"`, an empty name for a picture that cannot be used; of one picture a str.
        """
        probabilities = np.atleast_2d(self.predict_proba(x, errors=errors, progress=progress))
        known = ~np.isnan(probabilities).any(axis=1)
        names = np.full(len(probabilities), "", dtype=f"<U{max(map(len, self.classes))}")
        names[known] = np.array(self.classes)[probabilities[known].argmax(axis=1)]
        return str(names[0]) if not isinstance(x, Store) and not is_codes(x) and is_one(x) else names

    def _of_files(self, files, progress=False):
        """Probabilities (N, K), and the place, name, reason and kind of each picture that cannot be used."""
        with translating(), Listener(progress) as listener:
            probabilities, unusable = self._native.of_pictures(files, listener)
        return np.frombuffer(probabilities, np.float32).reshape(len(files), len(self.classes)).copy(), unusable

    def _of_codes(self, codes):
        codes = np.asarray(codes)
        flat = codes.reshape(len(codes), -1) if codes.ndim > 1 else codes[None]
        if flat.shape[1] != self.code_len:
            raise HeadError(
                f"codes of {flat.shape[1]} numbers are given, and the head takes codes of {self.code_len}, of the trunk "
                f"{self._native.trunk}"
            )
        flat = np.ascontiguousarray(flat, np.float32)
        with translating(), Listener(False) as listener:
            probabilities = self._native.of_codes(flat.tobytes(), len(flat), listener)
        return np.frombuffer(probabilities, np.float32).reshape(len(flat), len(self.classes)).copy()

    def _of_store(self, store, progress):
        asked = words(format="jsonl", top_k=len(self.classes))
        printed = run("predict", *self._words, word(store), *asked, progress=progress)
        place = {name: index for index, name in enumerate(self.classes)}
        probabilities = np.full((len(store), len(self.classes)), np.nan, np.float32)
        for row, line in enumerate(printed.splitlines()):
            for told in json.loads(line).get("predictions", []):
                probabilities[row, place[told["class"]]] = told["probability"]
        return probabilities


def is_codes(x):
    """Whether it is an array of codes."""
    return isinstance(x, np.ndarray) and x.dtype.kind == "f"


def _load(folder, kind, options):
    return Head(folder, kind, **options)
