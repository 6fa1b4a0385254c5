"""Stores of codes."""

from __future__ import annotations

import json
import os
import pathlib
import re
from typing import Any

import numpy as np

from . import _native
from ._types import Path
from ._words import translating

__all__ = ["Store"]

PART = re.compile(r"part-\d{5}-of-(\d{5})")


class Store:
    """Codes of pictures on disk, as :func:`extract` leaves them.

    Parameters
    ----------
    folder : path
        The store, whole or in parts.

    Attributes
    ----------
    path : pathlib.Path
        The folder.
    classes : list of str
        Class names in the order of the labels; empty for an unlabelled store.
    labels : numpy.ndarray of int64 (N) or None
        The class of each row.
    paths : list of str
        The picture of each row, relative to the folder of the pictures.
    sizes : numpy.ndarray of int64 (N, 2)
        Width and height of each picture in pixels.
    hashes : list of str
        BLAKE3 of each picture's file.
    groups : list of str or None
        The group of each picture, None where it stands for itself.

    Raises
    ------
    StoreError
        If there is none, or its files do not fit each other.
    """

    def __init__(self, folder: Path) -> None:
        with translating():
            native = _native.Store(os.fspath(folder))
        self.path = pathlib.Path(folder)
        self.classes = native.classes
        labels = native.labels
        self.labels = None if labels is None else np.array(labels, np.int64)
        rows = native.pictures
        self.paths = [row[0] for row in rows]
        self.sizes = np.array([row[1:3] for row in rows], np.int64).reshape(-1, 2)
        self.hashes = [row[3] for row in rows]
        self.groups = [row[4] for row in rows]

    def __len__(self) -> int:
        return len(self.paths)

    def __repr__(self):
        classes = f", {len(self.classes)} classes" if self.classes else ", without labels"
        return f"Store({str(self.path)!r}: {len(self)} pictures{classes})"

    def __fspath__(self) -> str:
        return os.fspath(self.path)

    @property
    def folders(self) -> list[pathlib.Path]:
        """The folders with files: the store itself, or its parts in their order."""
        if (self.path / "store.json").exists():
            return [self.path]
        return parts_in(self.path)

    @property
    def manifest(self) -> dict[str, Any]:
        """What store.json says, of a store in parts that of the first."""
        return json.loads((self.folders[0] / "store.json").read_text("utf-8"))

    @property
    def views(self) -> str:
        """Which views of each picture have codes: "none", "flip" or "flips+crops:N"."""
        return self.manifest.get("views", "none")

    @property
    def codes(self) -> np.ndarray:
        """Codes (N, ...), float32 or float16, channels last, mapped: read as they are used, and read-only. Where there are
        several :attr:`views` of a picture, (N, V, ...); the first is the picture itself.

        Those of a store in several parts are joined, which reads them into memory; :attr:`parts` maps each.
        """
        parts = self.parts
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    @property
    def parts(self) -> list[np.ndarray]:
        """The mapped codes of each part, one for a whole store."""
        return [np.load(folder / "codes.npy", mmap_mode="r") for folder in self.folders]

    def to_pandas(self):
        """A table with a row for each picture: path, label, class, width, height, blake3, group.

        Returns
        -------
        pandas.DataFrame
        """
        import pandas

        columns = {"path": self.paths}
        if self.labels is not None:
            columns["label"] = self.labels
            columns["class"] = [self.classes[label] for label in self.labels]
        columns.update(width=self.sizes[:, 0], height=self.sizes[:, 1], blake3=self.hashes, group=self.groups)
        return pandas.DataFrame(columns)


def parts_in(folder):
    """The finished parts of a store, in their order."""
    parts = [part for part in pathlib.Path(folder).glob("part-*") if PART.fullmatch(part.name)]
    return sorted(parts)
