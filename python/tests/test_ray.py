"""Ray: the bytes of one machine, whatever dies meanwhile."""

import csv
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
ray = pytest.importorskip("ray")

from ray.cluster_utils import Cluster

import cnn_codes
import cnn_codes.ray
from conftest import DATA

FILES = ["codes.npy", "labels.npy", "images.csv", "failures.csv", "store.json"]
# Slow enough to be killed within a shard: a picture at a time, each brought to the disk.
SLOWLY = {"batch_size": 1, "checkpoint_every": 0}


@pytest.fixture(scope="module")
def cluster():
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 100 << 20})
    for _ in range(2):
        cluster.add_node(num_cpus=1, object_store_memory=100 << 20)
    ray.init(address=cluster.address, log_to_driver=False)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def by_hand(images, out, shards, **options):
    for index in range(shards):
        cnn_codes.extract(images, out, shard=f"{index}/{shards}", threads=1, progress=False, **options)
    return cnn_codes.Store(out)


def assert_same_store(ours, theirs, files=FILES):
    assert [part.name for part in ours.folders] == [part.name for part in theirs.folders]
    for one, other in zip(ours.folders, theirs.folders):
        for name in files:
            if (other / name).exists() or (one / name).exists():
                assert (one / name).read_bytes() == (other / name).read_bytes(), (one.name, name)


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    return by_hand(DATA / "train", tmp_path_factory.mktemp("expected") / "store", 6, pool="avg", **SLOWLY)


def test_shards_on_three_nodes_are_one_store(cluster, expected, validation, tmp_path):
    done = cnn_codes.ray.extract(
        DATA / "train", tmp_path / "store", shards=6, num_cpus=1, pool="avg", progress=False, **SLOWLY
    )
    assert_same_store(done.store, expected)
    assert done.failures == [] and sum(node["shards"] for node in done.nodes.values()) == 6
    assert sum(node["pictures"] for node in done.nodes.values()) == 130
    # The same call again finds all done.
    before = {part: (part / "codes.npy").stat().st_mtime_ns for part in done.store.folders}
    again = cnn_codes.ray.extract(
        DATA / "train", tmp_path / "store", shards=6, num_cpus=1, pool="avg", progress=False, **SLOWLY
    )
    assert {part: (part / "codes.npy").stat().st_mtime_ns for part in again.store.folders} == before


def workers():
    """The processes that run tasks of ours."""
    found = []
    for process in pathlib.Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                if b"ray::do" in (process / "cmdline").read_bytes():
                    found.append(int(process.name))
            except OSError:
                pass
    return found


class Killer(threading.Thread):
    """Kills one worker after another."""

    def __init__(self, every, most):
        super().__init__(daemon=True)
        self.every, self.most, self.n_killed, self.ended = every, most, 0, threading.Event()

    def run(self):
        while not self.ended.wait(self.every) and self.n_killed < self.most:
            for worker in workers()[:1]:
                try:
                    os.kill(worker, signal.SIGKILL)
                    self.n_killed += 1
                except ProcessLookupError:
                    pass


def test_workers_that_are_killed_lose_nothing(cluster, expected, tmp_path):
    killer = Killer(1.0, 5)
    killer.start()
    done = cnn_codes.ray.extract(
        DATA / "train", tmp_path / "store", shards=6, num_cpus=1, pool="avg", progress=False, **SLOWLY
    )
    killer.ended.set()
    killer.join()
    assert killer.n_killed > 0
    assert_same_store(done.store, expected)
    assert not list((tmp_path / "store").glob("*.partial"))


def test_a_node_that_dies_loses_nothing(cluster, expected, tmp_path):
    node = cluster.add_node(num_cpus=1, object_store_memory=100 << 20)
    out = tmp_path / "store"
    killed = threading.Timer(2.0, lambda: cluster.remove_node(node, allow_graceful=False))
    killed.start()
    done = cnn_codes.ray.extract(DATA / "train", out, shards=6, num_cpus=1, pool="avg", progress=False, **SLOWLY)
    killed.join()
    assert_same_store(done.store, expected)


HOLDER = """
import sys, cnn_codes
cnn_codes.extract(sys.argv[1], sys.argv[2], shard="0/2", threads=1, pool="avg", progress=False, batch_size=1, checkpoint_every=0)
"""


def test_a_part_that_another_process_holds_is_told_of(cluster, tmp_path):
    out = tmp_path / "store"
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(DATA / "train"), str(out)])
    deadline = time.monotonic() + 60
    while not list(out.glob("part-00000*.partial/journal*")):
        assert time.monotonic() < deadline and holder.poll() is None
        time.sleep(0.01)
    holder.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(cnn_codes.BusyError, match="waited for 1 s"):
            cnn_codes.ray.extract(
                DATA / "train", out, shards=2, num_cpus=1, pool="avg", progress=False, lock_wait=1, **SLOWLY
            )
    finally:
        holder.kill()
        holder.wait()
    done = cnn_codes.ray.extract(DATA / "train", out, shards=2, num_cpus=1, pool="avg", progress=False, **SLOWLY)
    assert len(done.store) == 130


def test_errors_and_failures_reach_the_driver(cluster, tmp_path):
    with pytest.raises(cnn_codes.CnnCodesError, match="vgg61"):
        cnn_codes.ray.extract(DATA / "train", tmp_path / "x", shards=2, num_cpus=1, trunk="vgg61", progress=False)
    with pytest.raises(cnn_codes.UsageError, match="dealt by this function"):
        cnn_codes.ray.extract(DATA / "train", tmp_path / "x", shard="0/2")
    with pytest.raises(cnn_codes.UsageError, match="0 shards"):
        cnn_codes.ray.extract(DATA / "train", tmp_path / "x", shards=0)
    for name in ("a/1.jpg", "b/2.jpg", "b/3.jpg"):
        file = tmp_path / "pictures" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(next(iter((DATA / "train/birds").iterdir())).read_bytes() if "2" not in name else b"no picture")
    done = cnn_codes.ray.extract(
        tmp_path / "pictures", tmp_path / "codes", shards=3, num_cpus=1, pool="avg", progress=False
    )
    assert [failure["path"] for failure in done.failures] == ["b/2.jpg"] and len(done.store) == 2


def test_pictures_are_predicted_to_parquet(cluster, head, files, validation, tmp_path):
    import pyarrow.parquet

    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    done = cnn_codes.ray.predict(
        head, [*map(str, files), str(tmp_path / "broken.jpg")], tmp_path / "out", shards=4, num_cpus=1, progress=False
    )
    table = pyarrow.parquet.read_table(done.files).to_pandas().set_index("path")
    assert len(table) == 34 and done.n_failures == 1 and table["error"].notna().sum() == 1
    loaded = cnn_codes.Head.load(head)
    expected = loaded.predict_proba(files)
    for file, probabilities in zip(files, expected):
        row = table.loc[str(file).lstrip("/")]
        assert row["prediction"] == loaded.classes[probabilities.argmax()]
        assert np.array_equal(row[[f"p_{name}" for name in loaded.classes]].to_numpy(np.float32), probabilities)


def test_trunks_are_compared(cluster, models, tmp_path):
    if not (models / "efficientnet-lite0.onnx").exists():
        pytest.skip(f"no efficientnet-lite0 in {models}")
    compared = cnn_codes.ray.compare_trunks(
        DATA / "validation", out=tmp_path, trunks=["vgg16", "efficientnet-lite0"], judging={"folds": 3}, shards=3,
        num_cpus=1, progress=False,
    )
    assert {pathlib.Path(trunk["trunk"]).name for trunk in compared.trunks} == {"vgg16", "efficientnet-lite0"}
    with pytest.raises(cnn_codes.UsageError, match="shared disk"):
        cnn_codes.ray.compare_trunks("s3://a/b", out=tmp_path, trunks=["vgg16"])


def test_predictions_of_another_call_are_not_taken_for_ones_own(cluster, head, files, tmp_path):
    def predict(pictures):
        return cnn_codes.ray.predict(head, pictures, tmp_path, shards=2, num_cpus=1, progress=False)

    first = predict(files[:3])
    assert predict(files[:3]).files == first.files
    with pytest.raises(cnn_codes.OutputError, match="another call"):
        predict(files[:4])


def test_names_that_lead_elsewhere_are_refused():
    import fsspec

    system = fsspec.filesystem("memory")
    system.pipe("/bucket/a/../../../etc/x.jpg", b"x")
    with pytest.raises(cnn_codes.PictureError, match="leads elsewhere"):
        cnn_codes.ray.listed("memory://bucket", None, None)
    with pytest.raises(cnn_codes.PictureError, match="no pictures"):
        cnn_codes.ray.listed("memory://empty", None, None)


@pytest.fixture(scope="module")
def s3():
    pytest.importorskip("s3fs")
    server = pytest.importorskip("moto.server").ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield {"key": "k", "secret": "s", "endpoint_url": f"http://{host}:{port}"}
    server.stop()


def test_nodes_without_a_shared_disk_use_object_storage(cluster, s3, tmp_path):
    import fsspec

    system = fsspec.filesystem("s3", **s3)
    system.mkdir("pictures")
    system.mkdir("codes")
    system.put(str(DATA / "validation"), "pictures/validation", recursive=True)
    killer = Killer(1.5, 2)
    killer.start()
    done = cnn_codes.ray.extract(
        "s3://pictures/validation", "s3://codes/validation", shards=3, num_cpus=1, pool="avg", storage_options=s3,
        staging=str(tmp_path / "staging"), progress=False, **SLOWLY
    )
    killer.ended.set()
    assert done.store == "s3://codes/validation" and done.failures == []
    system.get("codes/validation", str(tmp_path / "fetched"), recursive=True)
    # On one machine, from a table of the same rows.
    table = tmp_path / "pictures.csv"
    rows = sorted(file.relative_to(DATA / "validation").as_posix() for file in (DATA / "validation").rglob("*.jpg"))
    with open(table, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["path", "label"], *([row, row.split("/")[0]] for row in rows)])
    for class_folder in (DATA / "validation").iterdir():
        (tmp_path / class_folder.name).symlink_to(class_folder)
    expected = by_hand(None, tmp_path / "expected", 3, csv=table, pool="avg", private=True, **SLOWLY)
    assert_same_store(cnn_codes.Store(tmp_path / "fetched"), expected)
    assert not list((tmp_path / "staging").rglob("*.npy"))
