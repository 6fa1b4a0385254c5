"""Extraction and prediction over the machines of a Ray cluster.

The unit of work is a shard: a Ray task for each, in whose process the shard's part of the store is made. A task that
died is tried again, on whatever node, and goes on from the shard's journal where the disk is shared, or where it lands
on the same node. Parts come out to the same bytes as on one machine.

>>> import ray, cnn_codes.ray
>>> ray.init()  # doctest: +SKIP
>>> done = cnn_codes.ray.extract("pictures/train", "codes/train", shards=64)  # doctest: +SKIP
>>> done.store, done.failures, done.nodes  # doctest: +SKIP
"""

from __future__ import annotations

import collections
import csv
import dataclasses
import hashlib
import io
import os
import pathlib
import shutil
import socket
import tempfile
import time
from typing import Any, Sequence

import ray

from . import _native
from ._progress import shows_bars
from ._types import Path
from .comparison import TrunkComparison
from .errors import BusyError, CnnCodesError, OutputError, PictureError, UsageError
from .head import Head
from .jobs import compare_trunks as compare_here
from .jobs import extract as extract_here
from .store import Store

__all__ = ["Extraction", "Prediction", "compare_trunks", "extract", "predict"]

# The last file of a part: who sees it, sees a whole part.
MARKER = "store.json"
# Which call the parts in a folder are of, where they are not on a shared disk.
JOB = ".cnn-codes-job"
# Options that change no byte of a store, or not what its pictures are.
SAME_BYTES = ("threads", "device", "batch_size", "checkpoint_every", "models", "onnxruntime", "restart")
# How long a task waits for the lock of one that was killed a moment ago, in seconds.
LOCK_WAIT = 120
# Endings by which files are taken for pictures, as the program takes them.
ENDINGS = (".bmp", ".dib", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
# Pictures that are predicted between two looks at what was asked of a task.
PREDICTED_AT_ONCE = 256


@dataclasses.dataclass
class Extraction:
    """What came of an extraction.

    Attributes
    ----------
    store : Store or str
        The store, or its address where it is not on a local disk.
    failures : list of dict
        The pictures that could not be used, of all shards: path, error, kind.
    nodes : dict of str to dict
        By node: shards, pictures, and seconds of its tasks.
    """

    store: Any
    failures: list
    nodes: dict


@dataclasses.dataclass
class Prediction:
    """What came of a prediction.

    Attributes
    ----------
    files : list of str
        Parquet files in the order of the pictures.
    n_failures : int
        How many pictures could not be used; their rows have an error.
    nodes : dict of str to dict
        By node: shards, pictures, and seconds of its tasks.
    """

    files: list
    n_failures: int
    nodes: dict


def extract(
    images: Path | Sequence[Path],
    out: Path,
    *,
    shards: int = 64,
    num_cpus: float = 2,
    num_gpus: float = 0,
    labels: Sequence[str] | None = None,
    storage_options: dict[str, Any] | None = None,
    staging: Path | None = None,
    progress: bool | None = None,
    lock_wait: float = LOCK_WAIT,
    **options: Any,
) -> Extraction:
    """Run pictures through a trunk on all nodes of a cluster, and leave their codes in one store of parts.

    The same call again goes on where the last one was stopped.

    Parameters
    ----------
    images : path, address, or list of these
        A folder of classes, or a list of pictures. Addresses (``s3://``, ``gs://``, ...) are read through fsspec.
    out : path or address
        The store. Where `images` and `out` are paths, all nodes must see them under these names.
    shards : int
        Parts of the work, many more than there are workers: what a dead task loses is within one.
    num_cpus, num_gpus : float
        What a task reserves. Its threads are as many as `num_cpus`; with a GPU its trunk runs on CUDA.
    labels : list of str, optional
        The class of each of a list of `images`.
    storage_options : dict, optional
        What fsspec is given for addresses, such as keys or ``endpoint_url``.
    staging : path, optional
        Where each node keeps pictures and unfinished parts of addresses. Default: in its temporary folder.
    progress : bool, optional
        Whether a bar over the shards is shown; None shows one where tqdm is
        installed, on a terminal or in a notebook.
    lock_wait : float
        Seconds that a task waits for a part that another process holds, before that is an error.
    **options
        Those of :func:`cnn_codes.extract`: ``trunk``, ``pool="avg"``, ``models``, ...

    Returns
    -------
    Extraction

    Raises
    ------
    CnnCodesError
        Of the first shard that failed for a reason that trying again does not help. The others' parts are kept.
    """
    check(shards, options)
    options = dict(options, threads=max(1, int(num_cpus)))
    if num_gpus:
        options.setdefault("device", "cuda")
    given: Any = list(images) if isinstance(images, (list, tuple)) else images
    work: Any
    if is_address(out) or any(map(is_address, given if isinstance(given, list) else [given])):
        rows = listed(given, labels, storage_options)
        job = digest(shards, rows, {name: value for name, value in options.items() if name not in SAME_BYTES})
        claim(Place(str(out), storage_options), job)
        place = pathlib.Path(staging or tempfile.gettempdir()) / f"cnn-codes-{job}"
        work = Staged(ray.put(rows), len(rows), str(out), storage_options or {}, place, options, lock_wait)
    else:
        on_disk = list(map(os.path.abspath, given)) if isinstance(given, list) else os.path.abspath(given)
        work = Shared(on_disk, os.path.abspath(out), labels, options, lock_wait)
    results = run_all(work, shards, num_cpus, num_gpus, progress)
    failures = [failure for result in results for failure in result["failures"]]
    store = Store(work.out) if isinstance(work, Shared) else work.out
    return Extraction(store, failures, by_node(results))


def compare_trunks(
    pictures: Path,
    *,
    out: Path,
    trunks: Sequence[str],
    judging: dict[str, Any] | None = None,
    **options: Any,
) -> TrunkComparison:
    """Extract pictures with each trunk on all nodes, and judge the same heads in the same folds of all codes, here.

    Parameters
    ----------
    pictures : path
        A folder of classes, which all nodes must see.
    out : path
        Folder for the trunks' stores.
    trunks : list of str
        Their names.
    judging : dict, optional
        Options of :func:`cnn_codes.compare_trunks`: ``folds``, ``seed``, ``html``, ...
    **options
        Those of :func:`extract`.

    Returns
    -------
    TrunkComparison
        Without pictures per second, which a cluster does not tell of one machine.

    Raises
    ------
    CnnCodesError
    """
    if is_address(pictures) or is_address(out):
        raise UsageError("trunks are compared on a shared disk; extract to addresses, fetch the stores, and compare these")
    stores = [extract(pictures, os.path.join(out, name), trunk=name, **options).store for name in trunks]
    return compare_here(stores, **(judging or {}))


def predict(
    head: Path,
    images: Path | Sequence[Path],
    out: Path,
    *,
    shards: int = 64,
    num_cpus: float = 2,
    num_gpus: float = 0,
    storage_options: dict[str, Any] | None = None,
    progress: bool | None = None,
    **options: Any,
) -> Prediction:
    """Predict pictures on all nodes of a cluster, to Parquet.

    The same call again makes the files that are missing.

    Parameters
    ----------
    head : path
        The folder that :func:`cnn_codes.train` made, which all nodes must see.
    images : path, address, or list of these
        A folder with pictures in it or in its folders, or a list of pictures.
    out : path or address
        A folder for ``part-00000-of-00064.parquet``, ...: path, prediction, probability, a column for each class, error.
    shards, num_cpus, num_gpus, storage_options, progress
        As for :func:`extract`.
    **options
        Those of :class:`cnn_codes.Head`: ``kind``, ``models``, ...

    Returns
    -------
    Prediction

    Raises
    ------
    CnnCodesError
    """
    check(shards, options)
    options = dict(options, threads=max(1, int(num_cpus)))
    if num_gpus:
        options.setdefault("device", "cuda")
    rows = [row[:2] for row in listed(images, None, storage_options, with_classes=False)]
    head = os.path.abspath(head)
    Head.load(head, options.get("kind"))
    place = str(out) if is_address(out) else os.path.abspath(out)
    of_head = {file.name: file.read_bytes() for file in pathlib.Path(head).glob("*.safetensors")}
    claim(Place(place, storage_options), digest(shards, rows, {"kind": options.get("kind"), **of_head}))
    work = Predicted(head, ray.put(rows), len(rows), place, storage_options or {}, options)
    results = run_all(work, shards, num_cpus, num_gpus, progress)
    return Prediction([result["part"] for result in results], sum(result["n_failures"] for result in results), by_node(results))


def check(shards, options):
    """Refuses what cannot be meant, before there is any task."""
    _native.shard_range(0, 0, shards)
    for name in ("shard", "format", "dry_run"):
        if name in options:
            raise UsageError(f"{name} cannot be given here; the shards are dealt by this function")


def digest(shards, rows, options):
    """A name of the job, by all that decides what comes of it."""
    of_job = hashlib.blake2b(repr((shards, sorted(options.items()))).encode(), digest_size=8)
    for row in rows:
        of_job.update(repr(row).encode())
    return of_job.hexdigest()


def claim(there, job):
    """Marks a folder as that of a job, and refuses one of another job, whose parts would be taken for its own."""
    if there.exists(JOB):
        if there.text(JOB).strip() == job:
            return
        raise OutputError(f"{there.path} holds the parts of another call: other pictures, options or shards; give another out")
    there.put_bytes(f"{job}\n".encode(), JOB)


# --- the driver ---


def run_all(work, shards, num_cpus, num_gpus, progress):
    """The results of all shards in their order. A task whose worker or node died is tried again, without end."""
    # A crash is Ray's to repeat; what our code raises would be raised again.
    task = ray.remote(num_cpus=num_cpus, num_gpus=num_gpus, max_retries=-1, retry_exceptions=False)(do)
    work = ray.put(work)
    pending = {task.remote(work, index, shards): index for index in range(shards)}
    results, bar = {}, shown(progress, shards)
    try:
        while pending:
            done, _ = ray.wait(list(pending), num_returns=1)
            for reference in done:
                index = pending.pop(reference)
                try:
                    results[index] = ray.get(reference)
                except ray.exceptions.RayTaskError as error:
                    raise cause_of(error) from None
                if bar is not None:
                    bar.update(1)
    finally:
        for reference in pending:
            ray.cancel(reference)
        if bar is not None:
            bar.close()
    return [results[index] for index in range(shards)]


def cause_of(error):
    """Our own exception within one of Ray's."""
    cause = error.cause if isinstance(getattr(error, "cause", None), BaseException) else error
    return cause if isinstance(cause, CnnCodesError) else error


def shown(progress, shards):
    """A bar over the shards, or None."""
    if not (shows_bars() if progress is None else progress):
        return None
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return None
    return tqdm(total=shards, desc="shards")


def by_node(results):
    """Shards, pictures and seconds by node."""
    nodes = collections.defaultdict(lambda: {"shards": 0, "pictures": 0, "seconds": 0.0})
    for result in results:
        node = nodes[result["node"]]
        node["shards"] += 1
        node["pictures"] += result["n_pictures"]
        node["seconds"] += result["seconds"]
    return dict(nodes)


# --- the tasks ---


def do(work, index, shards):
    """The task: one shard, in the worker's process."""
    start = time.monotonic()
    result = work.do(index, shards)
    result["seconds"] = time.monotonic() - start
    result["node"] = f"{socket.gethostname()} ({ray.get_runtime_context().get_node_id()[:8]})"
    return result


def extract_part(images, out, index, shards, options, lock_wait, **more):
    """Makes a part, waiting for whoever holds it: a process that was killed gives its lock back when it is gone."""
    deadline = time.monotonic() + lock_wait
    while True:
        try:
            return extract_here(images, out, shard=f"{index}/{shards}", progress=False, **options, **more)
        except BusyError as error:
            if time.monotonic() > deadline:
                raise BusyError(f"{error}; it was waited for {lock_wait:.0f} s") from None
            time.sleep(0.2)


def part_name(index, shards):
    """The folder of a part."""
    return f"part-{index:05}-of-{shards:05}"


def told_of(part):
    """How many rows a part has, and its failures."""
    with open(part / "failures.csv", newline="", encoding="utf-8") as table:
        failures = list(csv.DictReader(table))
    return Store(part), failures


@dataclasses.dataclass
class Shared:
    """Shards on a disk that all nodes see."""

    images: object
    out: str
    labels: object
    options: dict
    lock_wait: float

    def do(self, index, shards):
        extract_part(self.images, self.out, index, shards, self.options, self.lock_wait, labels=self.labels)
        store, failures = told_of(pathlib.Path(self.out, part_name(index, shards)))
        return {"n_pictures": len(store) + len(failures), "failures": failures}


@dataclasses.dataclass
class Staged:
    """Shards whose pictures are fetched to the node, and whose parts are brought to where they belong when they are whole."""

    rows: object
    n: int
    out: str
    storage_options: dict
    staging: pathlib.Path
    options: dict
    lock_wait: float

    def do(self, index, shards):
        rows = ray.get(self.rows) if isinstance(self.rows, ray.ObjectRef) else self.rows
        name = part_name(index, shards)
        there = Place(f"{self.out.rstrip('/')}/{name}", self.storage_options)
        # The same for each try, so that one goes on after another on this node.
        place = self.staging / name
        if not there.exists(MARKER):
            self.make(rows, place, index, shards)
            part = place / "store" / name
            for file in sorted(part.iterdir(), key=lambda file: file.name == MARKER):
                there.put(file, file.name)
        failures = there.text("failures.csv")
        first, end = _native.shard_range(self.n, index, shards)
        shutil.rmtree(place, ignore_errors=True)
        return {"n_pictures": end - first, "failures": list(csv.DictReader(io.StringIO(failures, newline="")))}

    def make(self, rows, place, index, shards):
        place.mkdir(parents=True, exist_ok=True)
        labelled = rows[0][2] is not None
        # All rows are named, as they are one job; those of the shard are fetched.
        if labelled:
            with open(place / "pictures.csv", "w", newline="", encoding="utf-8") as table:
                writer = csv.writer(table)
                writer.writerow(["path", "label"])
                writer.writerows((path, label) for path, _, label in rows)
        first, end = _native.shard_range(len(rows), index, shards)
        for path, address, _ in rows[first:end]:
            fetch(address, place / path, self.storage_options)
        options = dict(self.options, private=True)
        if labelled:
            extract_part(None, place / "store", index, shards, options, self.lock_wait, csv=place / "pictures.csv")
        else:
            with inside(place):
                extract_part([path for path, _, _ in rows], place / "store", index, shards, options, self.lock_wait)


@dataclasses.dataclass
class Predicted:
    """Shards of pictures to a Parquet file each."""

    head: str
    rows: object
    n: int
    out: str
    storage_options: dict
    options: dict

    def do(self, index, shards):
        rows = ray.get(self.rows) if isinstance(self.rows, ray.ObjectRef) else self.rows
        first, end = _native.shard_range(self.n, index, shards)
        there = Place(self.out, self.storage_options)
        name = f"{part_name(index, shards)}.parquet"
        if not there.exists(name):
            there.put_bytes(self.parquet(rows[first:end]), name)
        import pyarrow.parquet

        errors = pyarrow.parquet.read_table(io.BytesIO(there.bytes(name)), columns=["error"])["error"]
        part = f"{self.out.rstrip('/')}/{name}"
        return {"part": part, "n_pictures": end - first, "n_failures": len(errors) - errors.null_count}

    def parquet(self, rows):
        """The table of these pictures, as the bytes of a file."""
        import numpy as np
        import pyarrow
        import pyarrow.parquet

        head = Head.load(self.head, **self.options)
        probabilities, errors = [], []
        for start in range(0, len(rows), PREDICTED_AT_ONCE):
            batch = rows[start : start + PREDICTED_AT_ONCE]
            pictures = [read(address, self.storage_options) if is_address(address) else address for _, address in batch]
            some, unusable = head._of_files(pictures)
            probabilities.append(some)
            reasons = {row: reason for row, _, reason, _ in unusable}
            errors += [reasons.get(row) for row in range(len(batch))]
        probabilities = np.concatenate(probabilities) if probabilities else np.zeros((0, len(head.classes)), np.float32)
        known = ~np.isnan(probabilities).any(axis=1)
        best = np.where(known, np.nan_to_num(probabilities, nan=-1.0).argmax(axis=1), 0)
        columns = {
            "path": pyarrow.array([path for path, _ in rows], pyarrow.string()),
            "prediction": pyarrow.array([head.classes[b] if k else None for b, k in zip(best, known)], pyarrow.string()),
            "probability": pyarrow.array(
                [float(row[b]) if k else None for row, b, k in zip(probabilities, best, known)], pyarrow.float32()
            ),
        }
        for place, name in enumerate(head.classes):
            columns[f"p_{name}"] = pyarrow.array(probabilities[:, place], pyarrow.float32(), mask=~known)
        columns["error"] = pyarrow.array(errors, pyarrow.string())
        file = io.BytesIO()
        pyarrow.parquet.write_table(pyarrow.table(columns), file)
        return file.getvalue()


# --- files that may be elsewhere ---


def is_address(place):
    """Whether it is the address of something that is not on a local disk: s3://, gs://, memory://, ..."""
    return isinstance(place, str) and "://" in place


def filesystem(address, storage_options):
    """fsspec's file system of an address, and the address within it."""
    import fsspec

    return fsspec.core.url_to_fs(address, **(storage_options or {}))


class Place:
    """A folder that may be elsewhere."""

    def __init__(self, address, storage_options):
        self.system, self.path = filesystem(address, storage_options if is_address(address) else {})
        self.is_local = not is_address(address)

    def _at(self, name):
        return f"{self.path.rstrip('/')}/{name}"

    def exists(self, name):
        self.system.invalidate_cache()
        return self.system.exists(self._at(name))

    def text(self, name):
        return self.bytes(name).decode("utf-8")

    def bytes(self, name):
        with self.system.open(self._at(name), "rb") as file:
            return file.read()

    def put(self, file, name):
        """Brings a local file there; on a local disk it appears whole."""
        self.system.makedirs(self.path, exist_ok=True)
        draft = f"{self._at(name)}.partial" if self.is_local else self._at(name)
        self.system.put_file(str(file), draft)
        if self.is_local:
            os.replace(draft, self._at(name))

    def put_bytes(self, content, name):
        with tempfile.TemporaryDirectory() as place:
            file = pathlib.Path(place, "file")
            file.write_bytes(content)
            self.put(file, name)


def listed(images, labels, storage_options, with_classes=True):
    """(name, address, label) of each picture, sorted by name as the program sorts rows."""
    if isinstance(images, (list, tuple)):
        labels = list(labels) if labels is not None else [None] * len(images)
        if len(labels) != len(images):
            raise UsageError(f"there are {len(images)} images and {len(labels)} labels; give a label for each image")
        rows = [(name_of(str(image)), address_of(image), label) for image, label in zip(images, labels)]
        if len({row[0] for row in rows}) < len(rows):
            raise UsageError("two images have one name within their addresses; give each once")
    else:
        if labels is not None:
            raise UsageError("labels are for a list of pictures; a folder of classes has them in its folders' names")
        system, root = filesystem(str(images), storage_options if is_address(images) else {})
        root = root.rstrip("/")
        scheme = str(images).split("://", 1)[0] + "://" if is_address(images) else ""
        files = [file for file in system.find(root) if file.lower().endswith(ENDINGS)]
        rows = []
        for file in files:
            name = file[len(root) :].lstrip("/")
            label, _, rest = name.partition("/")
            if with_classes and not rest:
                continue
            rows.append((name, scheme + file, label if with_classes else None))
    if not rows:
        raise PictureError(f"there are no pictures in {images}")
    for name, address, _ in rows:
        # A name is a path on the node, below its folder.
        if any(part in ("", ".", "..") for part in name.split("/")) or "\0" in name:
            raise PictureError(f"{address} has a name that leads elsewhere; rename it")
    return sorted(rows)


def address_of(image):
    return image if is_address(image) else os.path.abspath(image)


def name_of(address):
    """A picture's name within its address, by which it has a place on a node."""
    return address.split("://", 1)[-1].lstrip("/")


def read(address, storage_options):
    """The bytes of a picture; of one that cannot be read, none, which is no picture either."""
    system, path = filesystem(address, storage_options)
    try:
        return system.cat_file(path)
    except FileNotFoundError:
        return b""


def fetch(address, file, storage_options):
    """Brings a picture to this node, unless it is there; it appears whole. One that is missing stays so, and is told of."""
    if file.exists():
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(file.name + ".partial")
    system, path = filesystem(address, storage_options if is_address(address) else {})
    try:
        system.get_file(path, str(draft))
    except FileNotFoundError:
        return
    os.replace(draft, file)


class inside:
    """The working folder, for as long as it lasts."""

    def __init__(self, folder):
        self.folder = folder

    def __enter__(self):
        self.before = os.getcwd()
        os.chdir(self.folder)

    def __exit__(self, *error):
        os.chdir(self.before)
