"""docs/python.md and the example run as a reader runs them."""

import os
import re
import subprocess
import sys

import cnn_codes
from conftest import DATA, ROOT


def blocks(page):
    return re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)


def test_the_page_runs_from_top_to_bottom(tmp_path):
    (tmp_path / "data").symlink_to(DATA)
    code = "\n".join(blocks((ROOT / "docs/python.md").read_text("utf-8")))
    assert code.count("import cnn_codes") == 1 and "HeadClassifier" in code
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "errors of 33" in done.stdout and "(130, 7, 7, 512) float32" in done.stdout and "['birds']" in done.stdout


def test_the_page_names_every_exception_and_function():
    page = (ROOT / "docs/python.md").read_text("utf-8")
    for name in cnn_codes.__all__:
        if name not in ("Comparison", "TrunkComparison", "StoppedError", "__version__"):
            assert name in page, name


def test_the_example_runs_and_caffe_makes_fewer_errors(tmp_path):
    where = dict(os.environ, PICTURES=str(DATA), PLACE=str(tmp_path))
    example = ROOT / "examples/tomatoes.py"
    done = subprocess.run([sys.executable, str(example)], env=where, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told = re.search(r"rescale: \{'logistic': (\d+), 'mlp': (\d+)\}, caffe: \{'logistic': (\d+), 'mlp': (\d+)\}", done.stdout)
    rescale, caffe = sum(map(int, told.groups()[:2])), sum(map(int, told.groups()[2:]))
    assert caffe < rescale, done.stdout
    assert "report: " in done.stdout
