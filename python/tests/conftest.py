"""The demo pictures, and stores and a head of them."""

import os
import pathlib
import shutil
import sys

import pytest

import cnn_codes

ROOT = pathlib.Path(__file__).parents[2]
DATA = ROOT / "data"
SCRIPT = pathlib.Path(sys.executable).with_name("cnn-codes")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def pytest_runtest_logreport(report):
    """Names what is skipped where `scripts/test.sh` counts it. What scikit-learn skips of its own checks is not counted."""
    counted = os.environ.get("CNN_CODES_TEST_SKIPS")
    if report.skipped and counted and "test_scikit_learns_checks" not in report.nodeid:
        reason = report.longrepr[-1] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        with open(counted, "a", encoding="utf-8") as file:
            file.write(f"python/{report.nodeid}: {reason.splitlines()[0]}\n")


@pytest.fixture(scope="session", autouse=True)
def models():
    """The folder with VGG16, which `scripts/test.sh` fills."""
    folder = pathlib.Path(os.environ.get("CNN_CODES_MODELS", ROOT / "models"))
    if not (folder / "vgg16_notop.onnx").exists():
        pytest.skip(f"no VGG16 in {folder}; run `cnn-codes fetch vgg16`")
    os.environ["CNN_CODES_MODELS"] = str(folder)
    return folder


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("codes")


@pytest.fixture(scope="session")
def train(place):
    return cnn_codes.extract(DATA / "train", place / "train", threads=2)


@pytest.fixture(scope="session")
def validation(place):
    return cnn_codes.extract(DATA / "validation", place / "validation", threads=2)


@pytest.fixture(scope="session")
def head(place, train, validation):
    cnn_codes.train(train, validation, out=place / "head", epochs=3)
    return place / "head"


@pytest.fixture(scope="session")
def files(validation):
    """The validation pictures, in the order of the store's rows."""
    return [DATA / "validation" / path for path in validation.paths]


@pytest.fixture(scope="session")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("there is no chromium")
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()
