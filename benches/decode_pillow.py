"""The Python half of decode.rs: Pillow and NumPy in one process, told by lines on its input.

    photographs FOLDER N LIST WIDTH HEIGHT   makes N photographs in FOLDER from the pictures that LIST names
    prepare LIST                             makes tensors of the pictures that LIST names, in batches
    draft LIST                               the same, by way of JPEGs at a smaller size, twice that of the tensors

Words are parted by tabs; LIST is a file with one path a line. Every line is answered with "ok".
"""

import sys

import numpy as np
from PIL import Image

SIDE, BATCH = 224, 20
BGR_MEANS = np.array([103.939, 116.779, 123.68], np.float32)

# Standard deviation of the noise: with it, a file has the 150 to 350 KB of a camera's.
NOISE_LEVELS = 8.0


def prepare(paths, drafts):
    batch = np.empty((BATCH, SIDE, SIDE, 3), np.float32)
    for index, path in enumerate(paths):
        picture = Image.open(path)
        if drafts:
            picture.draft("RGB", (2 * SIDE, 2 * SIDE))
        picture = picture.convert("RGB")
        if picture.size != (SIDE, SIDE):
            picture = picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        bgr = np.asarray(picture, np.float32)[..., ::-1]
        np.subtract(bgr, BGR_MEANS, out=batch[index % BATCH])


def make_photographs(folder, count, paths, size):
    random = np.random.default_rng(0)
    for index in range(count):
        picture = Image.open(paths[index * len(paths) // count]).convert("RGB")
        smooth = np.asarray(picture.resize(size, Image.Resampling.LANCZOS), np.float32)
        noisy = smooth + random.normal(0, NOISE_LEVELS, smooth.shape)
        photograph = Image.fromarray(noisy.round().clip(0, 255).astype(np.uint8))
        photograph.save(f"{folder}/{index:03}.jpg", quality=90, subsampling="4:2:0")


def lines_of(path):
    with open(path, encoding="utf-8") as file:
        return file.read().splitlines()


for line in sys.stdin:
    command, *arguments = line.rstrip("\n").split("\t")
    if command == "photographs":
        folder, count, paths, *size = arguments
        make_photographs(folder, int(count), lines_of(paths), tuple(map(int, size)))
    else:
        prepare(lines_of(arguments[0]), command == "draft")
    print("ok", flush=True)
