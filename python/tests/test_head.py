"""Heads and trunks that are kept: the program's probabilities for whatever a picture is given as."""

import concurrent.futures
import multiprocessing
import pickle

import numpy as np
import pytest
from PIL import Image

import cnn_codes

# Pillow decodes JPEGs with another inverse transform: levels differ by 1, and these pictures' probabilities by 0.0012.
OTHER_DECODER = 5e-3


@pytest.fixture(scope="module")
def loaded(head):
    return cnn_codes.Head.load(head)


def test_paths_bytes_codes_and_a_store_agree(loaded, files, validation):
    of_paths = loaded.predict_proba(files)
    assert of_paths.shape == (33, 5) and of_paths.dtype == np.float32
    np.testing.assert_allclose(of_paths.sum(axis=1), 1, rtol=1e-5)
    assert np.array_equal(loaded.predict_proba([file.read_bytes() for file in files]), of_paths)
    assert np.array_equal(loaded.predict_proba(validation), of_paths)
    assert np.array_equal(loaded.predict_proba(np.asarray(validation.codes)), of_paths)
    assert list(loaded.predict(files)) == [loaded.classes[place] for place in of_paths.argmax(axis=1)]


def test_arrays_and_pil_pictures_are_pixels(loaded, files, tmp_path):
    pictures = [Image.open(file) for file in files[:5]]
    arrays = [np.asarray(picture.convert("RGB")) for picture in pictures]
    of_arrays = loaded.predict_proba(arrays)
    assert np.array_equal(loaded.predict_proba(pictures), of_arrays)
    np.testing.assert_allclose(of_arrays, loaded.predict_proba(files[:5]), atol=OTHER_DECODER)
    # The same pixels in a file that loses nothing are the same bytes.
    arrays[0] = np.ascontiguousarray(arrays[0][:-3, :-2])
    Image.fromarray(arrays[0]).save(tmp_path / "a.png")
    assert np.array_equal(loaded.predict_proba(arrays[0]), loaded.predict_proba(tmp_path / "a.png"))


def test_one_picture_is_one_answer(loaded, files):
    assert loaded.predict_proba(files[0]).shape == (5,)
    assert loaded.predict(str(files[0])) == "birds"


def test_a_turned_and_a_transparent_picture_are_read_as_files_are(loaded, files, tmp_path):
    picture = Image.open(files[0]).convert("RGB").crop((0, 0, 200, 150))
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(tmp_path / "turned.png", exif=exif)
    transparent = picture.convert("RGBA")
    transparent.putalpha(Image.linear_gradient("L").resize(picture.size))
    transparent.save(tmp_path / "transparent.png")
    for name in ("turned.png", "transparent.png"):
        ours = loaded.predict_proba(tmp_path / name)
        np.testing.assert_allclose(loaded.predict_proba(Image.open(tmp_path / name)), ours, atol=1e-6)


def test_pictures_that_cannot_be_used(loaded, files, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(files[0].read_bytes()[:500])
    given = [files[0], broken, tmp_path / "missing.jpg", b"no picture", files[1]]
    with pytest.raises(cnn_codes.PictureError, match="broken.jpg.*and 2 more of 5"):
        loaded.predict(given)
    probabilities = loaded.predict_proba(given, errors="nan")
    assert np.isnan(probabilities).any(axis=1).tolist() == [False, True, True, True, False]
    assert np.array_equal(probabilities[[0, 4]], loaded.predict_proba(files[:2]))
    assert list(loaded.predict(given, errors="nan"))[1:4] == ["", "", ""]


@pytest.mark.parametrize(
    "given, kind, said",
    [
        ([np.zeros((5, 5, 3))], cnn_codes.PictureError, "must be uint8"),
        ([np.zeros((3, 20, 20), np.uint8)], cnn_codes.PictureError, "channels must be last"),
        ([np.zeros((20, 20, 4), np.uint8)], cnn_codes.PictureError, r"must be \(H, W, 3\)"),
        ([np.zeros((0, 20, 3), np.uint8)], cnn_codes.PictureError, r"must be \(H, W, 3\)"),
        ([7], cnn_codes.UsageError, "int is no picture"),
        (np.zeros((3, 512), np.float32), cnn_codes.HeadError, "takes codes of 25088"),
        (b"", cnn_codes.PictureError, "picture 0"),
    ],
)
def test_bad_input_is_an_exception(loaded, given, kind, said):
    with pytest.raises(kind, match=said):
        loaded.predict(given)
    with pytest.raises(cnn_codes.UsageError, match="'raise' or 'nan'"):
        loaded.predict(given, errors="ignore")


def test_a_store_of_other_codes_is_refused(loaded, tmp_path, files):
    other = cnn_codes.extract(files[:4], tmp_path / "other", pool="avg", recipe="rescale")
    with pytest.raises(cnn_codes.HeadError, match="recipe"):
        loaded.predict(other)


def test_a_trunk_gives_the_stores_codes(files, validation):
    trunk = cnn_codes.Trunk("vgg16", threads=2)
    codes = trunk.codes(files[:8])
    assert np.array_equal(codes, validation.codes[:8].reshape(8, -1))
    pooled = cnn_codes.Trunk("vgg16", pool="avg")
    assert pooled.code_len == 512 and pooled.identity["pool"] == "avg"
    np.testing.assert_allclose(pooled.codes(files[0]), codes[0].reshape(49, 512).mean(axis=0), rtol=1e-5, atol=1e-5)


def predicted(work):
    head, file = work
    return head.predict_proba(file)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_other_processes_have_their_own_threads(loaded, files, method):
    expected = loaded.predict_proba(files[0])
    context = multiprocessing.get_context(method)
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as workers:
        for probabilities in workers.map(predicted, [(loaded, files[0])] * 3, timeout=120):
            assert np.array_equal(probabilities, expected)


def inherited(queue):
    queue.put(LOADED.predict_proba(FILE))


def test_a_forked_process_can_use_what_it_inherits(loaded, files):
    global LOADED, FILE
    LOADED, FILE = loaded, files[0]
    expected = loaded.predict_proba(files[0])
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    process = context.Process(target=inherited, args=(queue,))
    process.start()
    assert np.array_equal(queue.get(timeout=120), expected)
    process.join(60)
    assert process.exitcode == 0


def test_threads_share_a_head(loaded, files):
    expected = loaded.predict_proba(files[:4])
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        for row, probabilities in enumerate(threads.map(loaded.predict_proba, files[:4])):
            assert np.array_equal(probabilities, expected[row])


def test_many_calls_at_once_are_each_ones_own(loaded, files, validation, train, tmp_path):
    expected = loaded.predict_proba(files)

    def work(place):
        if place % 3 == 0:
            return np.array_equal(loaded.predict_proba(files), expected)
        if place % 3 == 1:
            return np.array_equal(loaded.predict_proba(np.asarray(validation.codes)), expected)
        comparison = cnn_codes.train(train, validation, out=tmp_path / str(place), head="logistic", progress=False)
        return comparison.path.name == str(place) and comparison.judged_pictures == 33

    with concurrent.futures.ThreadPoolExecutor(12) as threads:
        assert all(threads.map(work, range(24), timeout=300))


def test_a_head_can_be_pickled(loaded, files):
    again = pickle.loads(pickle.dumps(loaded))
    assert np.array_equal(again.predict_proba(files[0]), loaded.predict_proba(files[0]))
