#!/usr/bin/env python3
"""Measures the figures of README and docs, and writes them into docs/figures.json.

    scripts/figures.py speed [--python PYTHON] [--only BENCH,...]     the benches, cnn-codes and others in turns
    scripts/figures.py tutorial PRODUCE                               errors on the tutorial's pictures, two recipes
    scripts/figures.py sizes PRODUCE                                  the same with inputs of 224 and 150 pixels
    scripts/figures.py views PRODUCE                                  the same with views of each picture

`scripts/documents.py refresh` then fills them into the pages. PRODUCE holds train/ and validation/ with the tutorial's
pictures. PYTHON is one with what is compared with (Keras, scikit-learn, onnx); without it those rows keep what they
were. A measured row names its processor and its day; rows that are not measured keep theirs.

Needs `cargo build --release` and `cnn-codes fetch`; `sizes` needs a PYTHON with the package onnx.
"""

import argparse
import datetime
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
FIGURES = ROOT / "docs/figures.json"
SEEDS = 10
COLUMNS = ["job", "cnn-codes", "compared with", "ratio", "processor"]


def processor():
    """The processor, its cores, and the widest instructions."""
    told = pathlib.Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*:\s*(.*)", told)[1].strip()
    widest = next((name for flag, name in (("avx512f", "AVX-512"), ("avx2", "AVX2")) if flag in told), "no AVX2")
    return f"{model}, {os.cpu_count()} cores, {widest}"


def bench(name, *arguments, package=None, features=None, python=None):
    """What a bench prints."""
    command = ["cargo", "bench", "--bench", name]
    command += ["--package", package] if package else []
    command += ["--features", features] if features else []
    environment = dict(os.environ)
    if python:
        environment["CNN_CODES_TEST_PYTHON"] = str(python)
    print("+", *command, "--", *arguments, file=sys.stderr)
    done = subprocess.run([*command, "--", *map(str, arguments)], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    print(done.stdout, file=sys.stderr)
    return done.stdout


def found(pattern, text):
    """The groups of the first match; an error that shows the text where there is none."""
    match = re.search(pattern, text)
    if not match:
        raise SystemExit(f"figures.py: the bench did not print {pattern!r}:\n{text}")
    return match.groups()


def winograd(python):
    text = bench("winograd", features="stage-times")
    batch = text[text.index("batch of 20"):]
    (bare,) = found(r"ONNX Runtime\s+([\d.]+) pictures/s", batch)
    ours, ratio = found(r"Winograd\s+([\d.]+) pictures/s\s+ratio ([\d.]+)", batch)
    return "codes of VGG16, batches of 20", f"{ours} pictures/s", f"ONNX Runtime 1.32: {bare} pictures/s", ratio


def whole_job(python):
    text = bench("job", ROOT / "data", 2, python=python)
    ours, = found(r"cnn-codes .*all\s+([\d.]+) s", text)
    theirs, = found(r"Keras .*all\s+([\d.]+) s", text)
    ratio, = found(r"ratio: .*all ([\d.]+)", text)
    return "pictures of data/ to two judged heads", f"{ours} s", f"Keras 3 on JAX: {theirs} s", ratio


def decode(python):
    text = bench("decode", ROOT / "data/train", 5, python=python)
    ours, theirs, ratio = found(
        r"data/train[\s\S]*?ours, full, \d+ threads: (\d+) pictures/s[\s\S]*?Pillow and NumPy, prepare: (\d+) pictures/s; ratio ([\d.]+)", text
    )
    return "decoding, resizing, recipe (data/train)", f"{ours} pictures/s", f"Pillow and NumPy, one process: {theirs} pictures/s", ratio


def mlp(python):
    text = bench("mlp", python=python)
    ours, = found(r"ours\s+([\d.]+) s", text)
    theirs, ratio = found(r"Keras\s+([\d.]+) s; Keras / ours ([\d.]+)", text)
    return "MLP, 600 codes, 20 epochs", f"{ours} s", f"Keras 3 on JAX: {theirs} s", ratio


def logistic(python):
    text = bench("logistic", "--python", python)
    ours, = found(r"one strength\s+([\d.]+) s", text)
    theirs, = found(r"scikit-learn\s+([\d.]+) s", text)
    ratio, = found(r"scikit-learn / ours: ([\d.]+)", text)
    return "logistic regression, 600 codes", f"{ours} s", f"scikit-learn: {theirs} s", ratio


def fine_tune(python):
    text = bench("fine_tune", package="cnn-codes-tail", python=python)
    ours, = found(r"an epoch takes ([\d.]+) s", text)
    theirs, ratio = found(r"PyTorch takes ([\d.]+) s .*?, ([\d.]+) times", text)
    return "fine-tuning block5, an epoch of 600 pictures", f"{ours} s", f"PyTorch: {theirs} s", ratio


BENCHES = {
    "winograd": winograd, "job": whole_job, "decode": decode, "mlp": mlp, "logistic": logistic, "fine_tune": fine_tune,
}


def speed(arguments, before):
    """Rows of the benches that were asked for; the others as they were."""
    rows = {row[0]: row for row in before["rows"]} if before else {}
    for name in arguments.only or BENCHES:
        row = BENCHES[name](arguments.python)
        rows[row[0]] = [*row, processor()]
    return {"columns": COLUMNS, "rows": list(rows.values())}


class Tutorial:
    """Heads on the tutorial's pictures."""

    def __init__(self, produce, folder):
        self.program = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release/cnn-codes"
        self.produce, self.folder = produce.resolve(), pathlib.Path(folder)

    def run(self, *words):
        environment = dict(os.environ)
        environment.setdefault("CNN_CODES_MODELS", str(ROOT / "models"))
        done = subprocess.run([self.program, *map(str, words)], env=environment, stdout=subprocess.PIPE, text=True, check=True)
        return done.stdout

    def judged(self, name, recipe, *options, training=()):
        """What train-head says of the heads, over all seeds."""
        stores = [self.folder / name / side for side in ("train", "validation")]
        for store in stores:
            if not store.exists():
                self.run("extract-features", self.produce / store.name, "--out", store, "--recipe", recipe, *options)
        words = ["--train", stores[0], "--validation", stores[1], "--repeats", SEEDS, "--format", "json", *training]
        out = self.folder / name / "-".join(["head", *training])
        return json.loads(self.run("train-head", *words, "--out", out))

    def cells(self, name, recipe, *options, training=()):
        """Errors of the MLP over the seeds, and of the logistic regression."""
        heads = self.judged(name, recipe, *options, training=training)["heads"]
        seeds = heads["mlp"]["errors_by_seed"]["values"]
        mean = sum(seeds) / len(seeds)
        return f"{min(seeds):.0f} to {max(seeds):.0f}, mean {mean:.1f}", f"{heads['logistic']['errors']}"


MLP, REGRESSION = f"MLP, errors of 150, {SEEDS} seeds", "logistic regression"
RECIPES = {"rescale": "`rescale`, the tutorial's", "caffe": "`caffe`, as VGG16 was trained"}


def tutorial(arguments, before):
    with tempfile.TemporaryDirectory() as folder:
        heads = Tutorial(arguments.produce, folder)
        rows = []
        for recipe, told in RECIPES.items():
            plain, regression = heads.cells(recipe, recipe)
            tuned, tuned_regression = heads.cells(recipe, recipe, training=["--tune"])
            rows.append([told, plain, tuned, regression, tuned_regression])
    return {"columns": ["recipe", MLP, "with `--tune`", REGRESSION, "with `--tune`"], "rows": rows}


def sizes(arguments, before):
    """The recipe and the size of the input, each by itself."""
    with tempfile.TemporaryDirectory() as folder:
        card = smaller(pathlib.Path(folder), arguments.python)
        heads = Tutorial(arguments.produce, folder)
        rows = []
        for recipe in RECIPES:
            for side, options in ((224, ()), (150, ("--card", card))):
                rows.append([f"`{recipe}`", f"{side} x {side}", *heads.cells(f"{recipe}-{side}", recipe, *options)])
    return {"columns": ["recipe", "input", MLP, REGRESSION], "rows": rows}


SMALLER = """
import sys, onnx
model = onnx.load(sys.argv[1])
for tensor, sides in ((model.graph.input[0], (150, 150)), (model.graph.output[0], (4, 4))):
    for axis, side in zip(tensor.type.tensor_type.shape.dim[1:3], sides):
        axis.dim_value = side
onnx.save(model, sys.argv[2])
"""


def smaller(folder, python):
    """The card of VGG16 with an input of 150 x 150 pixels: its convolutions take any size."""
    models = pathlib.Path(os.environ.get("CNN_CODES_MODELS", ROOT / "models"))
    arguments = [models / "vgg16_notop.onnx", folder / "vgg16_150.onnx"]
    subprocess.run([python or sys.executable, "-c", SMALLER, *arguments], check=True)
    card = (ROOT / "models/vgg16.toml").read_text()
    card = card[: card.index("# Pictures of a formula")]
    card = re.sub(r"(?m)^(tensors|graph)_sha256.*\n", "", card)
    card = card.replace("vgg16_notop.onnx", "vgg16_150.onnx").replace("= 224", "= 150").replace("[7, 7, 512]", "[4, 4, 512]")
    (folder / "vgg16_150.toml").write_text(card)
    return folder / "vgg16_150.toml"


def views(arguments, before):
    """What views brought, by the paired comparison with the same heads on the pictures alone."""
    columns = ["recipe", "views", "head", "errors without", "with", "wrong -> right, right -> wrong", "points, 95% interval over 10 seeds"]
    with tempfile.TemporaryDirectory() as folder:
        heads = Tutorial(arguments.produce, folder)
        rows = []
        for recipe in RECIPES:
            for names in ("flip", "flips+crops:6"):
                told = heads.judged(f"{recipe}-{names}", recipe, "--views", names)["views"]["heads"]
                for head in told:
                    low, high = head["difference"]["interval_95"]
                    difference = head["difference"]["difference"]
                    rows.append([
                        f"`{recipe}`", f"`{names}`", head["head"], str(head["errors_without"]), str(head["errors_with"]),
                        f"{head['wrong_to_right']}, {head['right_to_wrong']}",
                        f"{100 * difference:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})",
                    ])
    return {"columns": columns, "rows": rows}


MEASURES = {"speed": speed, "tutorial": tutorial, "sizes": sizes, "views": views}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figure", choices=MEASURES)
    parser.add_argument("produce", nargs="?", type=pathlib.Path)
    parser.add_argument("--python", type=pathlib.Path)
    parser.add_argument("--only", type=lambda text: text.split(","))
    arguments = parser.parse_args()
    if arguments.figure != "speed" and not arguments.produce:
        parser.error(f"{arguments.figure} needs PRODUCE")
    unknown = set(arguments.only or []) - set(BENCHES)
    if unknown:
        parser.error(f"no bench {', '.join(sorted(unknown))} (choose from: {', '.join(BENCHES)})")
    figures = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    before = figures.get(arguments.figure)
    measured = MEASURES[arguments.figure](arguments, before)
    words = ["scripts/figures.py", arguments.figure] + (["PRODUCE"] if arguments.produce else [])
    is_by_row = "processor" in measured["columns"]
    figures[arguments.figure] = {
        **measured,
        "command": " ".join(words),
        "processor": "processors as named" if is_by_row else processor(),
        "date": datetime.date.today().isoformat(),
    }
    FIGURES.write_text(json.dumps(figures, indent=2, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
