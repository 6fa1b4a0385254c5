#!/usr/bin/env python3
"""Compare pixels, codes, training and heads with Pillow, Keras, ONNX Runtime and scikit-learn.

    python3 -m venv parity && parity/bin/pip install -r scripts/parity-requirements.txt
    cargo build --release && target/release/cnn-codes fetch
    parity/bin/python scripts/parity.py                      # on data/
    parity/bin/python scripts/parity.py PICTURES             # another folder with train/ and validation/
    parity/bin/python scripts/parity.py --write docs/parity.md

Each row of the tables is one comparison: how many numbers, how many are not equal, the largest difference, and its
tolerance. A package that is missing skips its comparisons, by name. The exit code is 1 if a tolerance is not kept.

`--write` puts the tables between the marks of a page that has them for this folder: `<!-- parity: data pixels -->`
and `<!-- parity: end -->`, with the folder's name and the table's.

Keras' VGG16 gets the weights of the ONNX file, layer by layer: nothing is downloaded.
"""

import argparse
import contextlib
import csv
import datetime
import json
import logging
import math
import os
import pathlib
import platform
import re
import struct
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[1]
SIDE = 224
RECIPES = ["caffe", "rescale"]
KERNELS = ["winograd", "onnxruntime"]

# The tutorial's head.
HIDDEN, DROPOUT, BATCH, EPOCHS, LEARNING_RATE = 256, 0.5, 20, 20, 2e-4
# The loss of one picture counts up to -ln(1e-7), 16.1, in what the program reports of training.
CUT = 1e-7
# Larger stores are not shuffled as a whole.
SHUFFLED_BYTES = 512 << 20

# Share of a picture's largest code.
CODES = 1e-5

# A mean loss of an epoch, which begins at about 2. Another formula moves its first digit.
FIRST_EPOCH = 1e-2

# Levels. An inverse DCT that rounds elsewhere moves Y, Cb and Cr by 1; where colours are halved, the
# interpolation moves Cb and Cr by 1 again. Blue is Y + 1.772 Cb: 1 + 1.772 * 2 is 4.5, rounded 5 at the most.
MAX_LEVELS = {"grey": 1, "4:4:4": 3, "4:2:2": 5, "4:2:0": 5}

# Probabilities: where pixels are the same, and where JPEG decoders make other pixels.
SAME_PIXELS, OTHER_PIXELS = 1e-4, 0.15


# What comes with a package that is compared with: told once, beside the tables.
VERSIONS = {}
SKIPPED = []


class Missing(Exception):
    """A package or a file without which a comparison is skipped."""


# --- What is compared ---


@dataclass
class Row:
    """One comparison. Differences are absolute, or shares of what `compare` was given as a scale."""

    what: str
    peer: str
    count: int
    unequal: int | None  # None where means are compared
    largest: float
    median: float  # of those that are not equal
    tolerance: float
    reason: str
    more: dict = field(default_factory=dict)
    other_classes: bool = False  # more pictures than may get another class

    @property
    def kept(self):
        """False for NaN too."""
        return self.largest <= self.tolerance and not self.other_classes


def compare(what, peer, ours, theirs, tolerance, reason, scale=1.0, more=None):
    """The row of two arrays of one shape; `scale` divides the differences, as NumPy broadcasts it."""
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    if ours.shape != theirs.shape:
        raise ValueError(f"{what}: shapes {ours.shape} and {theirs.shape}")
    if ours.size == 0:
        raise ValueError(f"{what}: nothing to compare")
    differences = np.abs(ours - theirs) / scale
    unequal = differences[differences != 0]
    median = float(np.median(unequal)) if unequal.size else 0.0
    return Row(what, peer, ours.size, unequal.size, float(differences.max()), median, tolerance, reason, more or {})


def broken(tables):
    """The rows whose tolerance is not kept."""
    return [row for table in tables for row in table.rows if not row.kept]


# --- The program ---


class Program:
    """cnn-codes on the command line; stores and heads lie in `place`, and are made once."""

    def __init__(self, path, models, place):
        self.path, self.models, self.place = path, models, place
        self.version = self.run("--version").split()[-1]

    def run(self, *words, stdin=None):
        words = [str(self.path), *map(str, words)]
        where = dict(os.environ, CNN_CODES_MODELS=str(self.models))
        done = subprocess.run(words, input=stdin, env=where, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(words)}\n{done.stderr}")
        return done.stdout

    def extract(self, pictures, name, *options):
        """Codes of files, in their order."""
        store = self.place / f"{self.path.parent.name}-{self.path.name}-{name}"
        self.run("extract-features", "-", "--out", store, *options, stdin="\n".join(map(str, pictures)) + "\n")
        with open(store / "images.csv", newline="", encoding="utf-8") as table:
            paths = [row["path"] for row in csv.DictReader(table)]
        assert paths == list(map(str, pictures)), "a picture was left out, or the order is another"
        manifest = json.loads((store / "store.json").read_text("utf-8"))
        self.decoder, self.onnxruntime = manifest["decoder"], manifest["onnxruntime"]
        return np.load(store / "codes.npy")

    def pixels(self, pictures, name, *options):
        """Bytes (N, 224, 224, 3): the trunk's input, before its first layer, without a recipe."""
        tensors = self.extract(pictures, name, "--output", "input", "--recipe", "none", *options)
        pixels = tensors.astype(np.uint8)
        assert (pixels == tensors).all()
        return pixels

    def train(self, stores, name, *options):
        """A folder with heads."""
        head = self.place / name
        if not head.exists():
            train, validation = stores
            self.run("train-head", "--train", train, "--validation", validation, "--out", head, *options)
        return head

    def predict(self, head, kind, pictures, classes):
        """Probabilities (N, K) of the classes in their order."""
        words = ["predict", head, "-", "--head", kind, "--top-k", len(classes), "--format", "jsonl"]
        lines = self.run(*words, stdin="\n".join(map(str, pictures)) + "\n").splitlines()
        answers = {}
        for line in map(json.loads, lines):
            if "path" in line:
                answers[line["path"]] = {one["class"]: one["probability"] for one in line["predictions"]}
        return np.array([[answers[str(path)][name] for name in classes] for path in pictures])


@dataclass
class Work:
    """What all comparisons share."""

    program: Program
    turbojpeg: Program | None
    folder: pathlib.Path
    n_pictures: int
    n_seeds: int
    n_same_seeds: int
    kept: dict = field(default_factory=dict)

    def once(self, key, make):
        if key not in self.kept:
            self.kept[key] = make()
        return self.kept[key]

    def stored(self, name, make):
        """Arrays by their names, made once for a place."""
        file = self.program.place / f"{name}.npz"
        if not file.exists():
            np.savez(file, **make())
        with np.load(file) as arrays:
            return dict(arrays)

    @property
    def pictures(self):
        """Validation pictures, spread evenly over the classes."""
        files = sorted(path for path in (self.folder / "validation").rglob("*") if path.is_file())
        count = min(self.n_pictures, len(files))
        return [files[i * len(files) // count] for i in range(count)]

    def stores(self, recipe, kernels="winograd"):
        """The stores of train/ and validation/."""

        def make():
            stores = []
            for side in ("train", "validation"):
                store = self.program.place / f"{recipe}-{side}-{kernels}"
                options = ["--recipe", recipe, "--kernels", kernels]
                self.program.run("extract-features", self.folder / side, "--out", store, *options)
                stores.append(store)
            return stores

        return self.once(("stores", recipe, kernels), make)

    def arrays(self, recipe):
        """Codes (N, D) and labels (N) of both stores."""

        def make():
            loaded = []
            for store in self.stores(recipe):
                codes, labels = np.load(store / "codes.npy"), np.load(store / "labels.npy")
                loaded += [codes.reshape(len(codes), -1), labels]
            return loaded

        return self.once(("arrays", recipe), make)

    def classes(self, recipe="caffe"):
        return json.loads((self.stores(recipe)[0] / "store.json").read_text("utf-8"))["classes"]

    def our_pixels(self):
        return self.once("pixels", lambda: self.program.pixels(self.pictures, "pixels"))

    def pillow_pixels(self):
        return self.once("pillow", lambda: np.stack([pillow_pixels(path) for path in self.pictures]))

    def head(self, recipe):
        """Both heads of seed 0, with the defaults."""
        return self.program.train(self.stores(recipe), f"{recipe}-head")

    def predictions(self, recipe, kind):
        """Probabilities (N, K) of the compared pictures by `predict`."""
        predict = self.program.predict
        return self.once(
            ("predictions", recipe, kind), lambda: predict(self.head(recipe), kind, self.pictures, self.classes())
        )

    def keras_codes(self, recipe, decoder):
        """Codes (N, D) by Keras in float32, of our pixels or of Pillow's."""

        def make():
            pixels = self.our_pixels() if decoder == "ours" else self.pillow_pixels()
            tensors = keras_recipe(recipe, pixels)
            return {"codes": run_keras(keras_vgg16(self.onnx_file), tensors).reshape(len(tensors), -1)}

        return self.stored(f"keras-codes-{recipe}-{decoder}-{len(self.pictures)}", make)["codes"]

    @property
    def onnx_file(self):
        return self.program.models / "vgg16_notop.onnx"


@dataclass
class Table:
    """Rows under one heading, or lines that are a table already."""

    name: str
    title: str
    rows: list = field(default_factory=list)
    lines: list = field(default_factory=list)


# --- Pixels ---


def package(name):
    try:
        return __import__(name)
    except ImportError as error:
        raise Missing(f"{name} is not installed") from error


def pillow():
    package("PIL")
    from PIL import Image, ImageOps, features

    version = f"Pillow {package('PIL').__version__}"
    VERSIONS[version] = f"libjpeg-turbo {features.version('libjpeg_turbo') or 'not used'}"
    return Image, ImageOps, version


def pillow_pixels(path, filter_name="bilinear"):
    """Upright RGB (224, 224, 3)."""
    Image, ImageOps, _ = pillow()
    with Image.open(path) as picture:
        upright = ImageOps.exif_transpose(picture).convert("RGB")
    return np.asarray(upright.resize((SIDE, SIDE), Image.Resampling[filter_name.upper()]))


def compare_pixels(work):
    """JPEG as it comes, the same as PNG with every filter, and what each step of JPEG adds."""
    _, _, peer = pillow()
    table = Table("pixels", "Pixels")
    theirs = work.pillow_pixels()
    programs = [(work.program, 5, "the inverse DCT and the interpolation of colours round elsewhere")]
    if work.turbojpeg:
        programs.append((work.turbojpeg, 0, "the same library"))
    for program, tolerance, reason in programs:
        ours = program.pixels(work.pictures, "pixels")
        what = f"JPEG by {program.decoder}, bilinear"
        table.rows.append(compare(what, peer, ours, theirs, tolerance, reason))
    table.rows += compare_filters(work, peer)
    table.rows += compare_jpeg_steps(work, peer)
    return [table]


def compare_filters(work, peer):
    """PNG files of the same pictures, cut to a shape that has to be stretched."""
    Image, _, _ = pillow()
    folder = work.program.place / "png"
    folder.mkdir(exist_ok=True)
    files = [folder / f"{number:04}.png" for number in range(len(work.pictures))]
    for file, picture in zip(files, work.pictures):
        with Image.open(picture) as opened:
            width, height = opened.size
            opened.convert("RGB").crop((3, 5, width - width // 7, height - height // 5)).save(file)
    for name in ("nearest", "bilinear", "bicubic", "lanczos"):
        ours = work.program.pixels(files, f"png-{name}", "--filter", name)
        theirs = np.stack([pillow_pixels(file, name) for file in files])
        yield compare(f"PNG, {name}", peer, ours, theirs, 0, "Pillow's own arithmetic, in integers")


def compare_jpeg_steps(work, peer):
    """JPEG files that need no resizing: grey has the inverse DCT alone, 4:4:4 adds colours, 4:2:0 their interpolation."""
    Image, _, _ = pillow()
    reasons = {
        "grey": "the inverse DCT rounds elsewhere",
        "4:4:4": "and Y, Cb, Cr become red, green, blue",
        "4:2:2": "and colours are interpolated along rows",
        "4:2:0": "and along columns",
    }
    for step, reason in reasons.items():
        folder = work.program.place / f"jpeg-{step.replace(':', '')}"
        folder.mkdir(exist_ok=True)
        files = [folder / f"{number:04}.jpg" for number in range(len(work.pictures))]
        for file, pixels in zip(files, work.pillow_pixels()):
            picture = Image.fromarray(pixels)
            if step == "grey":
                picture.convert("L").save(file, quality=90)
            else:
                picture.save(file, quality=90, subsampling=step)
        ours = work.program.pixels(files, folder.name)
        theirs = np.stack([pillow_pixels(file) for file in files])
        what = f"JPEG by {work.program.decoder}, {step}, not resized"
        yield compare(what, peer, ours, theirs, MAX_LEVELS[step], reason)


# --- Recipes ---


def load_keras():
    keras = package("keras")
    version, backend = f"Keras {keras.__version__}", keras.backend.backend()
    VERSIONS[version] = f"{backend} {package(backend).__version__}"
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    return keras, version


def keras_recipe(recipe, pixels):
    """Tensors (N, 224, 224, 3) of bytes, by the preprocess_input that has the recipe."""
    keras, _ = load_keras()
    applications = keras.applications
    tensors = pixels.astype(np.float32)
    if recipe == "rescale":
        return np.asarray(keras.layers.Rescaling(1.0 / 255)(tensors))
    modules = {"caffe": applications.vgg16, "torch": applications.densenet, "tf": applications.mobilenet}
    return modules[recipe].preprocess_input(tensors)


def compare_recipes(work):
    _, peer = load_keras()
    table = Table("recipes", "Recipes")
    pictures = work.pictures[:8]
    for recipe in ("caffe", "rescale", "torch", "tf"):
        ours = work.program.extract(pictures, f"recipe-{recipe}", "--output", "input", "--recipe", recipe)
        theirs = keras_recipe(recipe, work.our_pixels()[:8])
        table.rows.append(compare(recipe, peer, ours, theirs, 0, "the same float32 operations in the same order"))
    return [table]


# --- Codes ---


def keras_vgg16(onnx_file):
    """Keras' VGG16 with the weights of the ONNX file, in Keras' present float type."""
    keras, _ = load_keras()
    onnx = package("onnx")
    graph = onnx.load(onnx_file).graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    network = keras.applications.VGG16(weights=None, include_top=False, input_shape=(SIDE, SIDE, 3))
    layers = [layer for layer in network.layers if layer.weights]
    assert len(layers) == len(convolutions) == 13
    for layer, node in zip(layers, convolutions):
        filters, bias = (onnx.numpy_helper.to_array(weights[name]) for name in node.input[1:3])
        layer.set_weights([filters.transpose(2, 3, 1, 0), bias])  # OIHW to HWIO
    return network


def run_keras(network, tensors):
    return np.concatenate([network.predict_on_batch(tensors[i : i + 4]) for i in range(0, len(tensors), 4)])


@contextlib.contextmanager
def in_float64():
    """Keras makes float64 layers, optimizers and losses."""
    keras, _ = load_keras()
    if keras.backend.backend() != "tensorflow":
        raise Missing("float64 is compared on TensorFlow alone (KERAS_BACKEND=tensorflow)")
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    try:
        yield
    finally:
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")


def run_onnxruntime(onnx_file, inputs, outputs=None):
    """All outputs of a file, for one array of inputs, 4 at a time."""
    onnxruntime = package("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(onnx_file), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    batches = [session.run(outputs, {name: inputs[i : i + 4]}) for i in range(0, len(inputs), 4)]
    return [np.concatenate(parts) for parts in zip(*batches)]


def onnxruntime_version():
    return f"onnxruntime {package('onnxruntime').__version__}"


def compare_codes(what, peer, ours, theirs, tolerance, reason):
    """Differences as a share of the picture's largest code; zeros are counted."""
    ours, theirs = (codes.reshape(len(codes), -1) for codes in (ours, theirs))
    scale = np.abs(theirs).max(axis=1, keepdims=True)
    zeros = (ours == 0).astype(int) + (theirs == 0)
    more = {
        "largest, absolute": number(np.abs(ours.astype(np.float64) - theirs).max()),
        "0 in both": f"{100 * (zeros == 2).mean():.2f}%",
        "0 in one": f"{(zeros == 1).sum():,}",
    }
    return compare(what, peer, ours, theirs, tolerance, reason, scale, more)


def compare_all_codes(work):
    """Both kernels against onnxruntime and Keras, and all four against float64."""
    table = Table("codes", "Codes, as shares of the largest code of their picture")
    for recipe in RECIPES:
        ours = {k: work.program.extract(work.pictures, f"{recipe}-{k}", "--recipe", recipe, "--kernels", k) for k in KERNELS}
        others = {}
        with skipping(f"codes, {recipe}, onnxruntime"):
            tensors = work.our_pixels().astype(np.float32)
            tensors = tensors * np.float32(1 / 255) if recipe == "rescale" else caffe(tensors)
            others[onnxruntime_version()] = run_onnxruntime(work.onnx_file, tensors)[0]
        with skipping(f"codes, {recipe}, Keras"):
            others[load_keras()[1]] = work.keras_codes(recipe, "ours")
        for kernels, codes in ours.items():
            for peer, theirs in others.items():
                tolerance, reason = CODES, "sums in another order"
                if kernels == "winograd":
                    reason = "Winograd's transforms, and sums in another order"
                elif peer == f"onnxruntime {work.program.onnxruntime}":
                    tolerance, reason = 0, "the same library"
                table.rows.append(compare_codes(f"{recipe}, kernels {kernels}", peer, codes, theirs, tolerance, reason))
        with skipping(f"codes, {recipe}, float64"):
            everybody = {f"kernels {name}": codes for name, codes in ours.items()} | others
            table.rows += compare_with_float64(work, recipe, everybody)
    return [table]


def caffe(tensors):
    return tensors[..., ::-1] - np.array([103.939, 116.779, 123.68], np.float32)


def compare_with_float64(work, recipe, everybody, n_pictures=4):
    """How far each is from Keras' VGG16 in float64, on the same float32 tensors."""
    tensors = keras_recipe(recipe, work.our_pixels()[:n_pictures])
    with in_float64():
        exact = run_keras(keras_vgg16(work.onnx_file), tensors.astype(np.float64))
    peer = f"{load_keras()[1]}, float64"
    for name, codes in everybody.items():
        what = f"{recipe}, {name}, {n_pictures} pictures"
        yield compare_codes(what, peer, codes[:n_pictures], exact, CODES, "float32 sums of up to 4,608 products, 13 layers deep")


# --- The order and the dropout of a seed ---


class Xoshiro256PlusPlus:
    """The generator of rand_xoshiro 0.6, with what rand 0.8 makes of its numbers."""

    MASK = (1 << 64) - 1
    JUMP = [0x180EC6D33CFD0ABA, 0xD5A61266F0C9392C, 0xA9582618E03FC9AA, 0x39ABDC4529B1661C]

    def __init__(self, seed):
        """SplitMix64 fills the state."""
        self.state = []
        for _ in range(4):
            seed = (seed + 0x9E3779B97F4A7C15) & self.MASK
            z = ((seed ^ (seed >> 30)) * 0xBF58476D1CE4E5B9) & self.MASK
            z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & self.MASK
            self.state.append(z ^ (z >> 31))

    def next_u32(self):
        """The upper half of the next number of 64 bits."""
        s0, s1, s2, s3 = self.state
        mask = self.MASK
        total = (s0 + s3) & mask
        result = (((total << 23) & mask | total >> 41) + s0) & mask
        s2 ^= s0
        s3 ^= s1
        self.state = [s0 ^ s3, s1 ^ s2, s2 ^ (s1 << 17) & mask, (s3 << 45) & mask | s3 >> 19]
        return result >> 32

    def jump(self):
        """2^128 numbers on."""
        state = [0, 0, 0, 0]
        for word in self.JUMP:
            for bit in range(64):
                if word >> bit & 1:
                    state = [a ^ b for a, b in zip(state, self.state)]
                self.next_u32()
        self.state = state

    def below(self, bound):
        """A whole number from 0 to bound - 1, all equally likely."""
        zone = (bound << (32 - bound.bit_length())) - 1
        while True:
            product = self.next_u32() * bound
            if product & 0xFFFFFFFF <= zone:
                return product >> 32

    def shuffle(self, rows):
        for i in range(len(rows) - 1, 0, -1):
            j = self.below(i + 1)
            rows[i], rows[j] = rows[j], rows[i]

    def uniform(self, count):
        """float32 numbers from 0 to below 1."""
        return np.array([self.next_u32() >> 8 for _ in range(count)], np.float32) * np.float32(2**-24)


def draws_of(seed, n_rows):
    """For each epoch of a seed: the order of the rows, and numbers (N, 256) by which units are left out.

    As src/head/mlp/{trainer,order}.rs draw them. Were they drawn otherwise there, the losses of a run would differ
    from Keras' in their first digit.
    """
    order = Xoshiro256PlusPlus(seed)
    order.jump()
    dropout = Xoshiro256PlusPlus(seed)
    dropout.jump()
    dropout.jump()
    rows = list(range(n_rows))
    draws = []
    for _ in range(EPOCHS):
        order.shuffle(rows)
        draws.append((np.array(rows), dropout.uniform(n_rows * HIDDEN).reshape(n_rows, HIDDEN)))
    return draws


# --- The MLP ---


def read_safetensors(path):
    """The float32 tensors of a file by their names."""
    data = pathlib.Path(path).read_bytes()
    start = 8 + struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:start])
    header.pop("__metadata__", None)
    tensors = {}
    for name, tensor in header.items():
        begin, end = tensor["data_offsets"]
        tensors[name] = np.frombuffer(data[start + begin : start + end], "<f4").reshape(tensor["shape"])
    return tensors


def mlp_weights(head):
    tensors = read_safetensors(head / "mlp.safetensors")
    return [tensors[f"mlp.{layer}.{part}"] for layer in (0, 1) for part in ("weight", "bias")]


def history_of(head):
    """Epochs as columns: loss and val_loss and val_acc (20 each)."""
    with open(head / "history.csv", newline="", encoding="utf-8") as table:
        rows = list(csv.DictReader(table))
    return {name: np.array([float(row[name]) for row in rows]) for name in ("loss", "val_loss", "val_acc")}


def train_ours(work, recipe, seed, kernels="winograd"):
    stores, name = work.stores(recipe, kernels), f"{recipe}-{kernels}-mlp-{seed}"
    head = work.program.train(stores, name, "--head", "mlp", "--seed", seed)
    return history_of(head)


def initial_weights(work, recipe, seed):
    """A learning rate that no weight feels leaves those that training starts from."""
    words = ["--head", "mlp", "--seed", seed, "--epochs", 1, "--learning-rate", 1e-30]
    first, _, second, _ = mlp_weights(work.program.train(work.stores(recipe), f"{recipe}-initial-{seed}", *words))
    return [first, np.zeros(first.shape[1]), second, np.zeros(second.shape[1])]


def keras_head(n_features, n_classes, with_masks):
    """The tutorial's head; with masks, its dropout is an input (N, 256) that multiplies the hidden units."""
    keras, _ = load_keras()
    layers, dtype = keras.layers, keras.config.floatx()
    codes, masks = keras.Input((n_features,), dtype=dtype), keras.Input((HIDDEN,), dtype=dtype)
    hidden = layers.Dense(HIDDEN, activation="relu")(codes)
    hidden = layers.Multiply()([hidden, masks]) if with_masks else layers.Dropout(DROPOUT)(hidden)
    output = layers.Dense(n_classes, activation="softmax")(hidden)
    model = keras.Model([codes, masks] if with_masks else codes, output)
    model.compile(
        optimizer=keras.optimizers.RMSprop(LEARNING_RATE),
        loss=keras.losses.CategoricalCrossentropy(dtype=dtype),
        metrics=["accuracy", cut_loss],
    )
    return model


def cut_loss(targets, probabilities):
    """The loss with each picture's cut off, as the program reports it."""
    ops = load_keras()[0].ops
    right = ops.sum(ops.cast(targets, probabilities.dtype) * probabilities, axis=-1)
    return -ops.log(ops.clip(right, CUT, 1 - CUT))


def train_same(work, recipe, seed):
    """Keras' losses by epoch from our initial weights, with our order and our dropout."""
    keras, _ = load_keras()
    codes, labels, val_codes, val_labels = work.arrays(recipe)
    if codes.nbytes > SHUFFLED_BYTES:
        raise Missing("the store is so large that its rows are shuffled in windows")
    n_classes = len(work.classes())
    model = keras_head(codes.shape[1], n_classes, with_masks=True)
    model.set_weights(work.once(("initial", recipe, seed), lambda: initial_weights(work, recipe, seed)))
    targets, val_targets = (keras.utils.to_categorical(one, n_classes) for one in (labels, val_labels))
    ones = np.ones((len(val_codes), HIDDEN), np.float32)
    losses = {"loss": [], "val_loss": []}
    for rows, numbers in work.once(("draws", seed), lambda: draws_of(seed, len(codes))):
        masks = np.where(numbers < DROPOUT, 0.0, 1.0 / (1.0 - DROPOUT)).astype(np.float32)
        fit = model.fit(
            [codes[rows], masks],
            targets[rows],
            batch_size=BATCH,
            shuffle=False,
            validation_data=([val_codes, ones], val_targets),
            verbose=0,
        )
        losses["loss"] += fit.history["cut_loss"]
        losses["val_loss"] += fit.history["val_cut_loss"]
    return losses


def need_tensorflow():
    keras, peer = load_keras()
    if keras.backend.backend() != "tensorflow":
        raise Missing("on other backends than TensorFlow, Keras has no gradient for a picture whose loss is cut off")
    return peer


def compare_training(work):
    """The same run in Keras, in float32 and float64, and ours once more on the codes of the other kernels."""
    peer = need_tensorflow()
    table = Table("training", "Training: the same initial weights, order and dropout")
    growth = Table("growth", "How differences of the validation loss grow: smallest to largest of the seeds")
    growth.lines += [
        f"| codes | epoch | cnn-codes, {peer} | cnn-codes, float64 | {peer}, float64 | cnn-codes, other kernels' codes |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for recipe in RECIPES:
        runs = []
        for seed in range(work.n_same_seeds):
            single = work.stored(f"keras-same-{recipe}-{seed}", lambda: train_same(work, recipe, seed))
            with in_float64():
                double = work.stored(f"keras-same-{recipe}-{seed}-float64", lambda: train_same(work, recipe, seed))
            runs.append((train_ours(work, recipe, seed), single, double, train_ours(work, recipe, seed, "onnxruntime")))
        seeds = [train_ours(work, recipe, seed) for seed in range(work.n_seeds)]
        table.rows += training_rows(recipe, peer, runs, seeds)
        growth.lines += growth_lines(recipe, runs)
    return [table, growth]


def training_rows(recipe, peer, runs, seeds):
    """The first epoch by a fixed tolerance; all epochs by what two seeds of the program differ at one of them."""
    for name, title in (("loss", "training loss"), ("val_loss", "validation loss")):
        ours, theirs = (np.stack([run[side][name] for run in runs]) for side in (0, 1))
        reason = "float32 sums in another order"
        yield compare(f"{recipe}: {title}, epoch 1", peer, ours[:, 0], theirs[:, 0], FIRST_EPOCH, reason)
        between_seeds = np.ptp(np.stack([run[name] for run in seeds]), axis=0).max()
        reason = "rounding grows from step to step; the tolerance is what two seeds differ"
        yield compare(f"{recipe}: {title}, {EPOCHS} epochs", peer, ours, theirs, float(between_seeds), reason)


def growth_lines(recipe, runs):
    for epoch in (1, 2, 5, 10, 15, 20):
        ranges = []
        for first, second in ((0, 1), (0, 2), (1, 2), (0, 3)):
            values = [abs(run[first]["val_loss"][epoch - 1] - run[second]["val_loss"][epoch - 1]) for run in runs]
            ends = dict.fromkeys(number(value) for value in (min(values), max(values)))
            ranges.append(" to ".join(ends))
        yield f"| {recipe} | {epoch} | {' | '.join(ranges)} |"


def keras_run(work, recipe, seed):
    """Keras' own run: its initial weights, order and dropout. Validation loss and errors by epoch."""
    keras, _ = load_keras()
    keras.utils.set_random_seed(seed)
    codes, labels, val_codes, val_labels = work.arrays(recipe)
    n_classes = len(work.classes())
    model = keras_head(codes.shape[1], n_classes, with_masks=False)
    targets, val_targets = (keras.utils.to_categorical(one, n_classes) for one in (labels, val_labels))
    fit = model.fit(codes, targets, batch_size=BATCH, epochs=EPOCHS, validation_data=(val_codes, val_targets), verbose=0)
    errors = (1 - np.array(fit.history["val_accuracy"])) * len(val_codes)
    return {"val_loss": fit.history["val_cut_loss"], "errors": errors}


def compare_seeds(work):
    """Seeds of ours against seeds of Keras: errors and validation loss, as distributions."""
    peer = need_tensorflow()
    table = Table("seeds", f"{work.n_seeds} seeds of each, with random numbers of their own")
    curves = Table("curves", "Validation loss by epoch: mean (lowest to highest)")
    curves.lines += [f"| codes | epoch | cnn-codes, {work.n_seeds} seeds | {peer}, {work.n_seeds} seeds |", "|---|---:|---|---|"]
    for recipe in RECIPES:
        n_judged = len(work.arrays(recipe)[2])
        seeds = range(work.n_seeds)
        ours = [train_ours(work, recipe, seed) for seed in seeds]
        theirs = [work.stored(f"keras-{recipe}-{seed}", lambda: keras_run(work, recipe, seed)) for seed in seeds]
        losses = tuple(np.stack([run["val_loss"] for run in side]) for side in (ours, theirs))
        errors = np.stack([(1 - run["val_acc"]) * n_judged for run in ours]), np.stack([run["errors"] for run in theirs])
        table.rows += seeds_rows(recipe, peer, losses, errors)
        curves.lines += curves_lines(recipe, losses)
    return [table, curves]


def seeds_rows(recipe, peer, losses, errors):
    """Means, in standard errors of their difference; four of these are rarely chance."""
    reason = "other random numbers; in standard errors"
    ends = tuple(side[:, -1] for side in errors)
    more = {"of cnn-codes": spread(ends[0], "{:.0f}"), "of Keras": spread(ends[1], "{:.0f}")}
    yield Row(f"{recipe}: mean errors at the end", peer, ends[0].size + ends[1].size, None, welch(*ends), welch(*ends), 4, reason, more)
    distances = np.array([welch(*(side[:, epoch] for side in losses)) for epoch in range(EPOCHS)])
    ends = tuple(side[:, -1] for side in losses)
    more = {"of cnn-codes": spread(ends[0]), "of Keras": spread(ends[1])}
    largest, median = float(distances.max()), float(np.median(distances))
    yield Row(f"{recipe}: mean validation loss, each epoch", peer, losses[0].size * 2, None, largest, median, 4, reason, more)


def welch(ours, theirs):
    """The difference of two means in its standard errors."""
    error = math.sqrt(ours.var(ddof=1) / ours.size + theirs.var(ddof=1) / theirs.size)
    difference = abs(ours.mean() - theirs.mean())
    return difference / error if error else (0.0 if difference == 0 else math.inf)


def spread(values, form="{:.3f}"):
    ends = [form.format(round(value, 9)) for value in (values.min(), values.max())]
    return f"{values.mean():.3f} ({ends[0]} to {ends[1]})"


def curves_lines(recipe, losses):
    for epoch in (1, 2, 3, 5, 10, 15, 20):
        ours, theirs = (spread(side[:, epoch - 1]) for side in losses)
        yield f"| {recipe} | {epoch} | {ours} | {theirs} |"


# --- The logistic regression ---


def compare_logistic(work):
    """scikit-learn in float64, converged: weights, probabilities, objective; and how far its defaults get."""
    peer = f"scikit-learn {package('sklearn').__version__}"
    table = Table("logistic", "Logistic regression, l2 = 1")
    optimum = Table("optimum", "How far the objective is above the smallest one found, as a share of it")
    optimum.lines += ["| codes | cnn-codes | scikit-learn, newton-cholesky | scikit-learn, its defaults |"]
    optimum.lines += ["|---|---:|---:|---:|"]
    for recipe in RECIPES:
        codes, labels, val_codes, val_labels = work.arrays(recipe)
        tensors = read_safetensors(work.head(recipe) / "logistic.safetensors")
        ours = tensors["logistic.weight"].astype(np.float64), tensors["logistic.bias"].astype(np.float64)
        codes = codes.astype(np.float64)
        converged, quick = fit_in_span(codes, labels), fit_sklearn(codes, labels)
        table.rows += logistic_rows(recipe, peer, ours, converged, (codes, labels), (val_codes, val_labels))
        values = [objective(parameters, codes, labels) for parameters in (ours, converged, quick)]
        shares = " | ".join(number(value / min(values) - 1) for value in values)
        optimum.lines.append(f"| {recipe} | {shares} |")
    return [table, optimum]


def fit_sklearn(codes, labels, **how):
    """Weights (D, K) and bias (K) for l2 = 1. With two classes scikit-learn has one vector, for C = 2 / l2."""
    from sklearn.linear_model import LogisticRegression

    two = len(np.unique(labels)) == 2
    regression = LogisticRegression(C=2.0 if two else 1.0, max_iter=10_000, **how)
    regression.fit(codes, labels)
    weights, bias = regression.coef_.T, regression.intercept_
    if two:
        weights, bias = np.hstack([-weights, weights]) / 2, np.array([-bias[0], bias[0]]) / 2
    return weights, bias


def fit_in_span(codes, labels):
    """The optimum by Newton's method. It lies in the span of the N codes, so N numbers stand for each in place of D:
    they have the same inner products, and weights the same L2 norm."""
    left, singular, basis = np.linalg.svd(codes, full_matrices=False)
    weights, bias = fit_sklearn(left * singular, labels, solver="newton-cholesky", tol=1e-10)
    return basis.T @ weights, bias


def objective(parameters, codes, labels):
    """Sum of the log losses + l2 / 2 * squared weights, for l2 = 1."""
    weights, bias = parameters
    return log_loss(codes @ weights + bias, labels) * len(labels) + 0.5 * (weights**2).sum()


def log_loss(logits, labels):
    logits = logits - logits.max(axis=1, keepdims=True)
    return float((np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(labels)), labels]).mean())


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def logistic_rows(recipe, peer, ours, theirs, train, validation):
    reason = "the program keeps float32, and stops at a small gradient"
    scale = np.abs(theirs[0]).max()
    yield compare(f"{recipe}: weights, as shares of the largest", peer, ours[0], theirs[0], 1e-4, reason, scale)
    # A number that is added to every bias changes nothing.
    biases = [side[1] - side[1].mean() for side in (ours, theirs)]
    yield compare(f"{recipe}: biases", peer, *biases, 1e-4, reason)
    codes = validation[0].astype(np.float64)
    logits = [codes @ weights + bias for weights, bias in (ours, theirs)]
    yield compare(f"{recipe}: validation probabilities", peer, *map(softmax, logits), 1e-4, reason)
    losses = [log_loss(side, validation[1]) for side in logits]
    yield compare(f"{recipe}: validation log loss", peer, [losses[0]], [losses[1]], 1e-5, reason)
    values = [objective(side, *train) for side in (ours, theirs)]
    yield compare(f"{recipe}: objective, as a share", peer, [values[0]], [values[1]], 1e-8, reason, abs(values[1]))


# --- Predictions ---


def head_probabilities(head, kind, codes):
    """Probabilities (N, K) by Keras' layers, with the weights of a head."""
    keras, _ = load_keras()
    if kind == "mlp":
        weights = mlp_weights(head)
    else:
        tensors = read_safetensors(head / "logistic.safetensors")
        weights = [tensors["logistic.weight"], tensors["logistic.bias"]]
    units = [part.size for part in weights[1::2]]
    layers = [keras.layers.Dense(count, activation="relu") for count in units[:-1]]
    model = keras.Sequential([keras.Input((codes.shape[1],)), *layers, keras.layers.Dense(units[-1], activation="softmax")])
    model.set_weights(weights)
    return model.predict(codes, verbose=0)


def with_classes(row, ours, theirs, may_differ):
    """Adds how many pictures get another class than in Python."""
    others = int((ours.argmax(axis=1) != theirs.argmax(axis=1)).sum())
    row.more["other classes"] = f"{others} of {len(ours)}"
    row.other_classes = others > may_differ
    return row


def compare_predictions(work):
    """`predict` against Keras' trunk and layers, on our pixels and on Pillow's."""
    _, peer = load_keras()
    _, _, pillow_version = pillow()
    table = Table("predictions", "Predictions")
    for recipe in RECIPES:
        same_pixels, from_files = (work.keras_codes(recipe, decoder) for decoder in ("ours", "Pillow"))
        for kind in ("mlp", "logistic"):
            head = work.head(recipe)
            ours = work.predictions(recipe, kind)
            theirs = head_probabilities(head, kind, same_pixels)
            what = f"{recipe}, {kind}, the same pixels"
            row = compare(what, peer, ours, theirs, SAME_PIXELS, "the codes' last digits")
            table.rows.append(with_classes(row, ours, theirs, 0))
            theirs = head_probabilities(head, kind, from_files)
            what = f"{recipe}, {kind}, from the files"
            row = compare(what, f"{peer}, {pillow_version}", ours, theirs, OTHER_PIXELS, "the JPEG decoder")
            table.rows.append(with_classes(row, ours, theirs, 1))
    return [table]


def compare_exports(work):
    """The exported file by onnxruntime, on our pixels and on Pillow's."""
    peer = onnxruntime_version()
    table = Table("exports", "Exported ONNX files")
    for recipe in RECIPES:
        for kind in ("mlp", "logistic"):
            file = work.program.place / f"{recipe}-{kind}.onnx"
            if not file.exists():
                work.program.run("export", work.head(recipe), "--head", kind, "--out", file)
            ours = work.predictions(recipe, kind)
            (theirs,) = run_onnxruntime(file, work.our_pixels(), ["probabilities"])
            row = compare(f"{recipe}, {kind}, the same pixels", peer, ours, theirs, SAME_PIXELS, "the codes' last digits")
            table.rows.append(with_classes(row, ours, theirs, 0))
            with skipping(f"exports, {recipe}, {kind}, Pillow"):
                (theirs,) = run_onnxruntime(file, work.pillow_pixels(), ["probabilities"])
                what = f"{recipe}, {kind}, from the files"
                row = compare(what, f"{peer}, {pillow()[2]}", ours, theirs, OTHER_PIXELS, "the JPEG decoder")
                table.rows.append(with_classes(row, ours, theirs, 1))
    return [table]


# --- What is printed ---

@contextlib.contextmanager
def skipping(name):
    """Names what lacks a package, and goes on."""
    try:
        yield
    except Missing as missing:
        SKIPPED.append(f"{name}: {missing}")


def number(value):
    """Two digits, or a whole number."""
    if value == 0 or (float(value).is_integer() and abs(value) < 1e6):
        return f"{value:.0f}"
    return re.sub(r"e([+-])0", r"e\1", f"{value:.1e}" if abs(value) < 1e-3 else f"{value:.2g}")


def share(row):
    if row.unequal is None:
        return ""
    percent = 100 * row.unequal / row.count
    return f"{row.unequal:,} ({percent:.0f}%)" if percent >= 10 else f"{row.unequal:,} ({percent:.2g}%)"


def table_lines(table):
    """A table of Markdown. Extra columns are those of its rows."""
    if not table.rows:
        return table.lines
    extra = list(dict.fromkeys(name for row in table.rows for name in row.more))
    head = ["what", "compared with", "numbers", "not equal", *extra, "largest difference", "median of the unequal", "tolerance", "why"]
    lines = [f"| {' | '.join(head)} |", "|---|---|" + "---:|" * (len(head) - 3) + "---|"]
    for row in table.rows:
        numbers = [f"{row.count:,}", share(row), *(row.more.get(name, "") for name in extra)]
        numbers += [number(row.largest), number(row.median), number(row.tolerance)]
        verdict = row.reason if row.kept else f"**not kept**; {row.reason}"
        lines.append(f"| {' | '.join([row.what, row.peer, *numbers, verdict])} |")
    return lines


def processor():
    try:
        cpuinfo = pathlib.Path("/proc/cpuinfo").read_text("utf-8")
        name = re.search(r"model name\s*: (.*)", cpuinfo).group(1)
        sets = [wanted for wanted in ("avx512f", "avx2") if f" {wanted} " in cpuinfo]
        return f"{name} ({', '.join(sets[:1]) or 'neither AVX2 nor AVX-512'}), {os.cpu_count()} cores"
    except (OSError, AttributeError):
        return f"{platform.machine()}, {os.cpu_count()} cores"


def told_run(work):
    """One line: where, when, with what."""
    versions = "".join(f", {name} with {what}" for name, what in VERSIONS.items())
    counts = [len([p for p in (work.folder / side).rglob("*") if p.is_file()]) for side in ("train", "validation")]
    return (
        f"{datetime.date.today()}, {processor()}, {platform.system()}; cnn-codes {work.program.version}, "
        f"Python {platform.python_version()}, NumPy {np.__version__}{versions}. {counts[0]} training and {counts[1]} validation "
        f"pictures; {len(work.pictures)} of these are compared as pixels, codes and predictions. "
        f"Seeds that both train alike: {work.n_same_seeds}; seeds of each side's own: {work.n_seeds}."
    )


def write_page(page, name, parts):
    """Puts lines between the marks of `name` in a page; every part needs its mark, and every mark its part."""
    text = page.read_text("utf-8")
    for part, lines in parts.items():
        mark = f"<!-- parity: {name} {part} -->\n"
        pattern = re.compile(re.escape(mark) + r".*?(?=<!-- parity: end -->)", flags=re.DOTALL)
        if len(pattern.findall(text)) != 1:
            raise SystemExit(f"{page} has no place for {name} {part}: {mark.strip()} ... <!-- parity: end -->")
        body = mark + "\n" + "\n".join(lines) + "\n\n"
        text = pattern.sub(lambda _, body=body: body, text)
    page.write_text(text, "utf-8")


COMPARISONS = {
    "pixels": compare_pixels,
    "recipes": compare_recipes,
    "codes": compare_all_codes,
    "training": compare_training,
    "seeds": compare_seeds,
    "logistic": compare_logistic,
    "predictions": compare_predictions,
    "exports": compare_exports,
}


def arguments(words=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    models = os.environ.get("CNN_CODES_MODELS", ROOT / "models")
    parser.add_argument("folder", nargs="?", type=pathlib.Path, default=ROOT / "data", help="has train/ and validation/")
    parser.add_argument("--program", type=pathlib.Path, default=target / "release/cnn-codes")
    parser.add_argument("--turbojpeg", type=pathlib.Path, help="the program, built with --features turbojpeg")
    parser.add_argument("--models", type=pathlib.Path, default=pathlib.Path(models), help="has VGG16 and ONNX Runtime")
    parser.add_argument("--pictures", type=int, default=150, help="validation pictures that are compared, at most")
    parser.add_argument("--seeds", type=int, default=8, help="runs of each side, for distributions")
    parser.add_argument("--same-seeds", type=int, default=3, help="runs that are trained alike")
    parser.add_argument("--only", nargs="+", choices=list(COMPARISONS), default=list(COMPARISONS))
    parser.add_argument("--work", type=pathlib.Path, help="keeps stores and heads, and takes those that are there")
    parser.add_argument("--write", type=pathlib.Path, metavar="PAGE", help="refreshes the tables of a page")
    given = parser.parse_args(words)
    if given.write and given.only != list(COMPARISONS):
        parser.error("--write refreshes all tables of a page, so that one date holds for them: leave --only out")
    return given


def run(given, place):
    turbojpeg = Program(given.turbojpeg.resolve(), given.models.resolve(), place) if given.turbojpeg else None
    program = Program(given.program.resolve(), given.models.resolve(), place)
    work = Work(program, turbojpeg, given.folder.resolve(), given.pictures, given.seeds, given.same_seeds)
    parts, tables = {}, []
    for name in given.only:
        with skipping(name):
            for table in COMPARISONS[name](work):
                tables.append(table)
                parts[table.name] = table_lines(table)
                print(f"\n{table.title}\n", *parts[table.name], sep="\n", flush=True)
    parts["run"] = [told_run(work)]
    print("", *parts["run"], *(f"Skipped: {line}" for line in SKIPPED), sep="\n")
    if given.write and SKIPPED:
        print(f"{given.write} stays as it is, as comparisons were skipped", file=sys.stderr)
    elif given.write:
        write_page(given.write, work.folder.name, parts)
    return broken(tables)


def main():
    given = arguments()
    if not given.program.exists():
        raise SystemExit(f"there is no {given.program}: cargo build --release, or --program")
    with contextlib.ExitStack() as stack:
        place = given.work or pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        place.mkdir(parents=True, exist_ok=True)
        too_large = run(given, place.resolve())
    for row in too_large:
        print(f"not kept: {row.what}, {row.peer}: {row.largest:.3g}, tolerance {row.tolerance:.3g} {row.more or ''}", file=sys.stderr)
    sys.exit(1 if too_large else 0)


if __name__ == "__main__":
    main()
