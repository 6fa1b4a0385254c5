"""The verbs: what they leave is what the program leaves, and what goes wrong is an exception that helps."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import cnn_codes
from conftest import DATA

PROGRAM = os.environ.get("CNN_CODES_TEST_PROGRAM")


def same_files(ours, theirs, names):
    for name in names:
        assert (ours / name).read_bytes() == (theirs / name).read_bytes(), name


@pytest.mark.skipif(PROGRAM is None, reason="CNN_CODES_TEST_PROGRAM names no program cnn-codes")
def test_stores_and_heads_are_the_programs_to_the_byte(train, validation, head, tmp_path):
    def program(*words):
        subprocess.run([PROGRAM, *map(str, words)], check=True, capture_output=True)

    for name in ("train", "validation"):
        program("extract-features", DATA / name, "--out", tmp_path / name, "--threads", 2)
    program("train-head", "--train", tmp_path / "train", "--validation", tmp_path / "validation",
            "--out", tmp_path / "head", "--epochs", 3)
    same_files(train.path, tmp_path / "train", ["codes.npy", "labels.npy", "images.csv"])
    same_files(head, tmp_path / "head", ["head.json", "mlp.safetensors", "logistic.safetensors", "predictions.csv"])


def test_the_console_script_is_the_program(head, tmp_path):
    script = pathlib.Path(sys.executable).with_name("cnn-codes")
    words = [script, "train-head", "--train", head.parent / "train", "--folds", "3", "--head", "nearest-centroid",
             "--out", tmp_path / "head"]
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told = json.loads((tmp_path / "head/provenance.json").read_text())
    assert json.dumps(told).count("cnn-codes train-head --train") == 1
    assert subprocess.run([script, "train-haed"], capture_output=True).returncode == 2
    missing = subprocess.run([script, "evaluate", "no-such-head", "x"], capture_output=True, text=True)
    assert missing.returncode == 1 and "no-such-head" in missing.stderr


def test_a_store_is_mapped_and_knows_its_pictures(train):
    assert isinstance(train.codes, np.memmap) and train.codes.shape == (130, 7, 7, 512)
    assert not train.codes.flags.writeable
    assert len(train) == len(train.paths) == len(train.labels) == 130
    assert [train.classes[label] for label in train.labels] == [path.split("/")[0] for path in train.paths]
    table = train.to_pandas()
    assert list(table["class"]) == [path.split("/")[0] for path in train.paths]
    assert (table["width"] == 224).all()


def test_lists_of_files_with_and_without_labels(files, validation, tmp_path):
    some = files[:6]
    unlabelled = cnn_codes.extract(some, tmp_path / "unlabelled", pool="avg")
    assert unlabelled.labels is None and len(unlabelled) == 6
    labelled = cnn_codes.extract(some, tmp_path / "labelled", labels=["b", "a", "b", "a", "b", "a"], pool="avg")
    assert labelled.classes == ["a", "b"] and sorted(labelled.labels) == [0, 0, 0, 1, 1, 1]
    rows = {pathlib.Path(path).name: code for path, code in zip(unlabelled.paths, unlabelled.codes)}
    for file, code in zip(some, validation.codes[:6]):
        np.testing.assert_allclose(rows[file.name], code.mean(axis=(0, 1)), rtol=1e-5, atol=1e-5)
    with pytest.raises(cnn_codes.UsageError, match="6 images and 1 labels"):
        cnn_codes.extract(some, tmp_path / "x", labels=["a"])


def test_shards_are_one_store(files, validation, tmp_path):
    out = tmp_path / "parts"
    assert cnn_codes.extract(files, out, shard="0/2") is None
    store = cnn_codes.extract(files, out, shard="1/2")
    assert len(store.folders) == 2 and len(store) == len(validation)
    assert np.array_equal(store.codes, np.concatenate(store.parts))


def test_a_comparison_has_its_figures_and_a_table(train, validation, head):
    comparison = cnn_codes.evaluate(head, validation)
    assert comparison.judged_pictures == 33 and comparison["judged_pictures"] == 33
    assert set(comparison.errors) == {"mlp", "logistic"}
    assert "errors of 33" in str(comparison)
    page = comparison._repr_html_()
    assert "<table>" in page and comparison.report.exists()
    with pytest.raises(AttributeError, match="no eror; it has"):
        comparison.eror


def test_export_and_trunks(head, tmp_path):
    told = cnn_codes.export(head, tmp_path / "head.onnx", head_only=True)
    assert (tmp_path / "head.onnx").stat().st_size == told["bytes"]
    names = [trunk["name"] for trunk in cnn_codes.trunks()]
    assert names[0] == "vgg16" and "efficientnet-lite0" in names


def test_stores_are_compared(train, tmp_path):
    pooled = cnn_codes.extract(DATA / "train", tmp_path / "pooled", pool="avg")
    compared = cnn_codes.compare_trunks([train, pooled], folds=3)
    assert compared["pictures"] == 130 and compared.chosen in compared.trunks
    assert "(chosen)" in compared._repr_html_() and "judged" in repr(compared)


@pytest.mark.parametrize(
    "call, kind, said",
    [
        (lambda t: cnn_codes.extract("no-such-folder", t / "x"), cnn_codes.PictureError, "no-such-folder"),
        (lambda t: cnn_codes.extract(DATA / "train", t / "x", bach_size=3), cnn_codes.UsageError, "'batch_size'"),
        (lambda t: cnn_codes.extract(DATA / "train", t / "x", pool="mean"), cnn_codes.UsageError, "none, avg, max"),
        (lambda t: cnn_codes.extract(DATA / "train", t / "x", trunk="vgg61"), cnn_codes.CnnCodesError, "vgg61"),
        (lambda t: cnn_codes.extract([], t / "x"), cnn_codes.UsageError, "empty list"),
        (lambda t: cnn_codes.Store(t), cnn_codes.StoreError, "is not a store"),
        (lambda t: cnn_codes.train(t, out=t / "x"), cnn_codes.StoreError, "is not a store"),
        (lambda t: cnn_codes.Head(t), cnn_codes.HeadError, "is not a head"),
        (lambda t: cnn_codes.evaluate(t, t), cnn_codes.CnnCodesError, "head"),
        (lambda t: cnn_codes.Trunk("vgg16", onnxruntime=t / "none.so"), cnn_codes.RuntimeMissingError, "none.so"),
    ],
)
def test_what_goes_wrong_is_an_exception_that_says_what_to_do(call, kind, said, tmp_path):
    with pytest.raises(kind) as error:
        call(tmp_path)
    assert said in str(error.value) and "--" not in str(error.value)
    assert isinstance(error.value, cnn_codes.CnnCodesError)


def test_a_head_that_is_there_is_kept(train, head):
    before = (head / "head.json").read_bytes()
    with pytest.raises(cnn_codes.OutputError, match="overwrite"):
        cnn_codes.train(train, out=head)
    assert (head / "head.json").read_bytes() == before


def test_remarks_are_warnings_and_news_is_none(train, validation, tmp_path, recwarn):
    cnn_codes.train(train, validation, out=tmp_path / "quiet", head="nearest-centroid")
    cnn_codes.extract(DATA / "validation", tmp_path / "codes", pool="avg")
    assert [str(warning.message) for warning in recwarn if warning.category is cnn_codes.CnnCodesWarning] == []
    with pytest.warns(cnn_codes.CnnCodesWarning, match="note: averaging the codes over height and width does better"):
        cnn_codes.train(train, validation, out=tmp_path / "told", head="logistic")
    with pytest.warns(cnn_codes.CnnCodesWarning, match="folds changes nothing"):
        cnn_codes.train(train, validation, out=tmp_path / "head", head="nearest-centroid", folds=4)


def test_bars_are_for_terminals_and_notebooks(monkeypatch):
    from cnn_codes._progress import Listener, shows_bars

    monkeypatch.setitem(sys.modules, "IPython", None)
    for is_terminal in (True, False):
        monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal, raising=False)
        assert shows_bars() is is_terminal
    assert Listener()._tqdm is None


LONG = """
import pathlib, signal, sys
# A shell that starts the tests in the background ignores SIGINT, and its children do.
signal.signal(signal.SIGINT, signal.default_int_handler)
import cnn_codes
files = [str(file) for file in sorted(pathlib.Path(sys.argv[1]).rglob("*.jpg"))]
print("begun", flush=True)
try:
    cnn_codes.extract(files, sys.argv[2], checkpoint_every=0, batch_size=2, threads=1)
except KeyboardInterrupt:
    print("stopped", flush=True)
"""


def test_ctrl_c_keeps_what_is_done_and_the_next_call_goes_on(tmp_path):
    out = tmp_path / "store"
    process = subprocess.Popen([sys.executable, "-c", LONG, str(DATA / "train"), str(out)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "begun\n"
    deadline = time.monotonic() + 60
    while not any(journal.stat().st_size > 400 for journal in (tmp_path / "store.partial").glob("journal*")):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=60)
    assert rest == "stopped\n" and process.returncode == 0
    assert not out.exists() and (tmp_path / "store.partial").exists()
    files = sorted((DATA / "train").rglob("*.jpg"))
    went_on = cnn_codes.extract(files, out, checkpoint_every=0, batch_size=2, threads=1)
    at_once = cnn_codes.extract(files, tmp_path / "at-once", batch_size=2, threads=1)
    same_files(went_on.path, at_once.path, ["codes.npy", "images.csv", "failures.csv"])
