"""`cnn-codes review` in a browser: labels are corrected by keyboard, and the head is trained again."""

import csv
import os
import shutil
import subprocess

import pytest

import cnn_codes
from conftest import DATA, SCRIPT

# Pictures of each class but the last, by their places, that stand in the next class's folder.
WRONG = (3, 7)


@pytest.fixture(scope="module")
def noisy(tmp_path_factory, train):
    """A head of pictures of which some have wrong labels; the true classes of these by their names."""
    place = tmp_path_factory.mktemp("review")
    shutil.copytree(DATA / "train", place / "pictures")
    classes = sorted(folder.name for folder in (place / "pictures").iterdir() if folder.is_dir())
    truth = {}
    for this, other in zip(classes, classes[1:]):
        files = sorted(file for file in (DATA / "train" / this).iterdir() if file.suffix == ".jpg")
        for file in (files[number] for number in WRONG):
            (place / "pictures" / this / file.name).rename(place / "pictures" / other / f"moved-{file.name}")
            truth[f"{other}/moved-{file.name}"] = this
    store = cnn_codes.extract(place / "pictures", place / "codes", threads=2, reuse=[train.path])
    cnn_codes.train(store, out=place / "head", folds=3, head="logistic")
    return place, classes, truth


class Review:
    def __init__(self, place):
        self.process = subprocess.Popen(
            [SCRIPT, "review", place / "head", "--port", "0"], stdout=subprocess.PIPE, text=True
        )
        self.address = self.process.stdout.readline().strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(60)


def said(place):
    with open(place / "relabel.csv", encoding="utf-8", newline="") as file:
        return [(row["path"], row["old"], row["new"]) for row in csv.DictReader(file)]


def opened(browser, review, width):
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme="light" if width > 1000 else "dark")
    told = []
    page.on("console", lambda message: told.append(message.text))
    page.on("pageerror", lambda error: told.append(str(error)))
    page.goto(review.address)
    page.locator("#classes button").first.wait_for()
    return page, told


def correct(page, classes, truth, n):
    """Goes through the queue by keyboard until `n` labels are corrected; looks at no more than 30 pictures."""
    done = []
    for _ in range(30):
        path = page.locator("#path").text_content()
        place = page.locator("#place").text_content()
        if path in truth:
            page.keyboard.press(str(classes.index(truth[path]) + 1))
            done.append(path)
        else:
            page.keyboard.press("Enter")
        page.wait_for_function("before => document.getElementById('place').textContent !== before", arg=place)
        if len(done) == n:
            return done
    raise AssertionError(f"{done} of {n} wrong labels were among the first 30")


@pytest.mark.parametrize("width", [400, 1600])
def test_labels_are_corrected_by_keyboard_and_the_head_trained_again(browser, noisy, tmp_path, width):
    place, classes, truth = noisy
    shutil.rmtree(place / "before", ignore_errors=True)
    shutil.copytree(place / "head", place / "before")
    shots = os.environ.get("SCREENSHOTS", str(tmp_path))
    try:
        with Review(place) as review:
            page, told = opened(browser, review, width)
            page.wait_for_function("document.getElementById('large').naturalWidth > 0")
            page.wait_for_function("document.querySelectorAll('#neighbours img').length === 6")
            page.screenshot(path=f"{shots}/review-{width}.png", full_page=True)
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
            done = correct(page, classes, truth, 5)
            page.keyboard.press("u")
            page.wait_for_function("path => document.getElementById('path').textContent === path", arg=done[-1])
            corrected = [row for row in said(place) if row[1] != row[2]]
            assert sorted(corrected) == sorted((path, path.split("/")[0], truth[path]) for path in done[:4])
            page.keyboard.press("b")
            assert page.locator("#zoom").is_visible()
            page.keyboard.press("Escape")
            # A server that is gone loses nothing, and the page says so.
            review.process.kill()
            review.process.wait(60)
            page.keyboard.press("x")
            page.get_by_text("The server does not answer").wait_for()
            assert [text for text in told if "ERR_" not in text] == []
            page.close()
        with Review(place) as review:
            page, told = opened(browser, review, width)
            page.get_by_text("4 labels changed").wait_for()
            assert len(correct(page, classes, truth, 1)) == 1
            page.get_by_text("5 labels changed").wait_for()
            page.get_by_role("button", name="Train again").press("Enter")
            row = page.locator("#rounds tbody tr")
            row.wait_for(timeout=120_000)
            cells = row.locator("td").all_text_contents()
            assert cells[0] == "5 changed"
            before_by_old, before, after = (float(cell.split(" ")[0]) for cell in cells[1:4])
            assert before_by_old > before >= after, cells
            assert 0.5 <= float(cells[4]) <= 1
            page.get_by_text("nothing changed").wait_for()
            page.screenshot(path=f"{shots}/review-trained-{width}.png", full_page=True)
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
            assert told == []
            page.close()
        assert (place / "head" / "relabel.csv").read_bytes() == (place / "relabel.csv").read_bytes()
    finally:
        (place / "relabel.csv").unlink(missing_ok=True)
        shutil.rmtree(place / "head")
        (place / "before").rename(place / "head")


def test_a_page_without_the_token_shows_nothing(browser, noisy):
    place, _, _ = noisy
    with Review(place) as review:
        page = browser.new_page()
        page.goto(review.address.split("#")[0])
        page.get_by_text("this needs the token").wait_for()
        assert page.locator("#look").is_hidden()
        page.close()
