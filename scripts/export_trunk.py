#!/usr/bin/env python3
"""Write a trunk of timm, torchvision or transformers as an ONNX file with its model card.

    python3 -m venv torch && torch/bin/pip install -r scripts/torch-requirements.txt
    torch/bin/python scripts/export_trunk.py timm:convnext_tiny.in12k_ft_in1k --out models
    torch/bin/python scripts/export_trunk.py transformers:facebook/dinov2-small --out models
    torch/bin/python scripts/export_trunk.py torchvision:resnet50 --out models
    cnn-codes doctor --trunk dinov2-small

Weights come from where the library gets them. Size, fit, filter, means and deviations on the card are those
with which the library prepares pictures. Before anything is written, ONNX Runtime runs the file, and its codes must
be PyTorch's: of three reference pictures, whose first numbers go onto the card, for `cnn-codes doctor --trunk`.
"""

import argparse
import json
import math
import pathlib
import sys
import tempfile
from dataclasses import dataclass, field

# The pictures and the tolerance are those of `cnn-codes doctor`.
REFERENCES = [(7, 13, 29), (1, 1, 85), (2, 5, 100)]
N_NUMBERS = 32
SAME = 1e-4

# Pillow's number of a filter, and the names that the libraries have for those that cnn-codes offers.
PILLOW_FILTERS = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}
FILTERS = set(PILLOW_FILTERS.values())
# Inputs of so many pixels and more are whole pictures, where transformers has a crop_pct.
WHOLE_FROM = 384

KINDS = ["pooled", "cls", "mean", "map"]


class ExportError(Exception):
    """Something that the user can do something about."""


@dataclass
class Preparation:
    """How a picture becomes the input."""

    width: int
    height: int
    mean: list  # of levels from 0 to 255, red first
    deviation: list
    fit: str
    filter: str
    remarks: list = field(default_factory=list)


@dataclass
class Source:
    """A model with all that is known of it."""

    model: object  # a module from (N, 3, H, W) to codes
    preparation: Preparation
    licence: str
    origin: str
    take: str | None = None
    layout: str | None = None


def fit_of(shorter_side, width, height):
    """The card's word for a shorter side and a centre crop."""
    if shorter_side < max(width, height):
        raise ExportError(
            f"the shorter side becomes {shorter_side} pixels, and {width} x {height} are cut out of it, which would leave "
            "black borders; cnn-codes has no word for that"
        )
    return f"crop:{shorter_side}"


def of_levels(numbers, scale=255.0):
    """Means or deviations of pixels from 0 to 1 as those of levels."""
    return [float(number) * scale for number in numbers]


def filter_of(name, remarks):
    if name in FILTERS:
        return name
    remarks.append(f"the library resamples with {name}, which cnn-codes does not offer; the card has bicubic")
    return "bicubic"


# --- timm ---


def from_timm(torch, name, kind, is_random):
    import timm

    try:
        model = timm.create_model(name, pretrained=not is_random, num_classes=0)
    except Exception as error:
        raise ExportError(f"timm cannot make {name}: {error}") from error
    config = timm.data.resolve_model_data_config(model)
    _, height, width = config["input_size"]
    remarks = []
    share, mode = config.get("crop_pct") or 1.0, config.get("crop_mode", "center")
    if mode == "squash" and share == 1.0:
        fit = "stretch"
    else:
        if mode != "center":
            remarks.append(f"timm's crop mode {mode} is taken for center")
        fit = fit_of(math.floor(min(width, height) / share), width, height)
    preparation = Preparation(
        width,
        height,
        of_levels(config["mean"]),
        of_levels(config["std"]),
        fit,
        filter_of(config["interpolation"], remarks),
        remarks,
    )
    licence = model.pretrained_cfg.get("license") or "unknown"
    source = Source(model, preparation, licence, f"timm {timm.__version__}: {name}")
    if kind in (None, "pooled"):
        return source
    with torch.no_grad():
        shape = model.forward_features(torch.zeros(1, 3, height, width)).shape
    if (len(shape) == 3) != (kind in ("cls", "mean")):
        raise ExportError(f"{name} has features of shape {list(shape)}, which have no {kind}; leave --codes out")
    if kind == "map":
        source.layout = "channels_last" if getattr(model, "output_fmt", "NCHW") == "NHWC" else "channels_first"
    else:
        source.take = kind

    class Features(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, pictures):
            return self.model.forward_features(pictures)

    source.model = Features()
    return source


# --- torchvision ---


def from_torchvision(torch, name, kind, is_random):
    import torchvision

    if kind not in (None, "pooled"):
        raise ExportError("of torchvision's models the pooled codes are taken; leave --codes out")
    try:
        weights = torchvision.models.get_model_weights(name).DEFAULT
        model = torchvision.models.get_model(name, weights=None if is_random else weights)
    except Exception as error:
        raise ExportError(f"torchvision cannot make {name}: {error}") from error
    head = next((head for head in ("fc", "classifier", "heads", "head") if hasattr(model, head)), None)
    if head is None:
        raise ExportError(f"{name} has no classifier by a name that is known, so its codes cannot be told")
    last = getattr(model, head)
    if isinstance(last, torch.nn.Sequential) and len(last) > 1:
        # What stands before the last layer is part of the codes, as pooling and normalisation can be.
        last[-1] = torch.nn.Identity()
    else:
        setattr(model, head, torch.nn.Identity())
    transforms = weights.transforms()
    remarks = []
    (width,), (shorter_side,) = transforms.crop_size, transforms.resize_size
    preparation = Preparation(
        width,
        width,
        of_levels(transforms.mean),
        of_levels(transforms.std),
        fit_of(shorter_side, width, width),
        filter_of(transforms.interpolation.value, remarks),
        remarks,
    )
    licence = "BSD-3-Clause"
    return Source(model, preparation, licence, f"torchvision {torchvision.__version__}: {name}, {weights}")


# --- transformers ---


def sides(size):
    """Width, height, and whether it is the shorter side alone, of what a configuration calls a size."""
    if isinstance(size, int):
        return size, size, False
    if "shortest_edge" in size:
        return size["shortest_edge"], size["shortest_edge"], True
    return size["width"], size["height"], False


def transformers_preparation(config):
    remarks = []
    scale = 1.0 / config.get("rescale_factor", 1 / 255) if config.get("do_rescale", True) else 1.0
    is_normalized = config.get("do_normalize", True)
    mean = config["image_mean"] if is_normalized else [0.0] * 3
    deviation = config["image_std"] if is_normalized else [1.0] * 3
    width, height, is_shorter = sides(config["size"])
    shorter_side = min(width, height)
    if config.get("do_center_crop") and config.get("crop_size"):
        width, height, _ = sides(config["crop_size"])
        fit = fit_of(shorter_side, width, height)
    elif config.get("crop_pct") and width < WHOLE_FROM:
        fit = fit_of(int(width / config["crop_pct"]), width, height)
    else:
        fit = "crop" if is_shorter and not config.get("crop_pct") else "stretch"
    name = PILLOW_FILTERS.get(config.get("resample", 2), "another filter")
    filter_name = filter_of(name, remarks)
    return Preparation(width, height, of_levels(mean, scale), of_levels(deviation, scale), fit, filter_name, remarks)


def from_transformers(torch, name, kind, is_random):
    import transformers

    try:
        if is_random:
            config = transformers.AutoConfig.from_pretrained(name)
            model = transformers.AutoModel.from_config(config)
        else:
            model = transformers.AutoModel.from_pretrained(name)
        processor = transformers.AutoImageProcessor.from_pretrained(name).to_dict()
    except Exception as error:
        raise ExportError(f"transformers cannot load {name}: {error}") from error
    # CLIP and SigLIP have a network for text beside that for pictures.
    model = getattr(model, "vision_model", model)
    preparation = transformers_preparation(processor)
    source = Source(model, preparation, "unknown", f"transformers {transformers.__version__}: {name}")
    with torch.no_grad():
        seen = model(pixel_values=torch.zeros(1, 3, preparation.height, preparation.width))
    features, pooled = seen.last_hidden_state, getattr(seen, "pooler_output", None)
    is_map = features.ndim == 4
    if kind is None:
        kind = "pooled" if pooled is not None else "map" if is_map else "cls"
    if (kind == "pooled" and pooled is None) or (kind == "map" and not is_map) or (kind in ("cls", "mean") and is_map):
        raise ExportError(f"{name} has no codes of the kind {kind}; leave --codes out")
    if kind == "map":
        source.layout = "channels_first"
    elif kind != "pooled":
        source.take = kind

    class Codes(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, pictures):
            seen = self.model(pixel_values=pictures)
            return seen.pooler_output.flatten(1) if kind == "pooled" else seen.last_hidden_state

    source.model = Codes()
    return source


LIBRARIES = {"timm": from_timm, "torchvision": from_torchvision, "transformers": from_transformers}

# --- ONNX, the check, the card ---


def reference_pictures(torch, preparation):
    """(3, 3, H, W), as the card's recipe has them."""
    rows, columns = torch.arange(preparation.height), torch.arange(preparation.width)
    pictures = []
    for a, b, c in REFERENCES:
        levels = [(a * columns[None, :] + b * rows[:, None] + c * channel) % 256 for channel in range(3)]
        pictures.append(torch.stack(levels).to(torch.float32))
    mean = torch.tensor(preparation.mean, dtype=torch.float32)[:, None, None]
    deviation = torch.tensor(preparation.deviation, dtype=torch.float32)[:, None, None]
    return (torch.stack(pictures) - mean) / deviation


def exported(torch, source, path):
    """Writes the ONNX file; PyTorch's output for the reference pictures, which ONNX Runtime's must equal."""
    import numpy as np
    import onnxruntime

    model = source.model.eval()
    pictures = reference_pictures(torch, source.preparation)
    with torch.no_grad():
        expected = model(pictures).numpy()
    torch.onnx.export(
        model,
        (pictures,),
        str(path),
        input_names=["input"],
        output_names=["codes"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        external_data=False,
        dynamo=True,
        verbose=False,
    )
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for batch in (1, len(REFERENCES)):
        (actual,) = session.run(None, {"input": pictures[:batch].numpy()})
        off = np.abs(actual - expected[:batch]).max() / np.abs(expected).max()
        # NaN is as far as can be.
        if not off <= SAME:
            raise ExportError(f"ONNX Runtime's codes are off by {off:.1e} of the largest number; nothing is written")
    print(f"ONNX Runtime's codes are PyTorch's, to {off:.0e} of the largest number", file=sys.stderr)
    return expected


def codes_of(source, output):
    """The codes (N, ...) of the model's output, with channels last."""
    if source.take == "cls":
        return output[:, 0]
    if source.take == "mean":
        return output.mean(axis=1)
    if source.layout == "channels_first":
        return output.transpose(0, 2, 3, 1)
    return output


def number(value):
    """As short as float32 allows."""
    import numpy as np

    text = np.format_float_positional(np.float32(value), unique=True, trim="0")
    return text if "." in text else text + ".0"


def formula(preparation):
    def told(numbers):
        words = [number(value).removesuffix(".0") for value in numbers]
        return words[0] if len(set(words)) == 1 else f"[{', '.join(words)}]"

    return f"(rgb - {told(preparation.mean)}) / {told(preparation.deviation)}"


def card_text(source, name, file, expected):
    preparation = source.preparation
    quoted = lambda text: json.dumps(text, ensure_ascii=False)
    lines = [
        "format = 2",
        f"name = {quoted(name)}",
        f"file = {quoted(file)}",
        f"licence = {quoted(source.licence)}",
        f"attribution = {quoted(source.origin)}",
        f"sources = [{quoted(source.origin)}]",
        "",
        "[input]",
        'name = "input"',
        f"width = {preparation.width}",
        f"height = {preparation.height}",
        'layout = "channels_first"',
        f"recipe = {quoted(formula(preparation))}",
        f"fit = {quoted(preparation.fit)}",
        f"filter = {quoted(preparation.filter)}",
        "",
        "[output]",
        'name = "codes"',
        f"shape = {list(expected.shape[1:])}",
    ]
    lines += [f"layout = {quoted(source.layout)}"] if source.layout else []
    lines += [f"take = {quoted(source.take)}"] if source.take else []
    for picture, code in zip(REFERENCES, codes_of(source, expected)):
        numbers = ", ".join(number(value) for value in code.reshape(-1)[:N_NUMBERS])
        lines += ["", "[[reference]]", f"picture = {list(picture)}", f"codes = [{numbers}]"]
    return "\n".join(lines) + "\n"


def export(arguments):
    library, _, model_name = arguments.model.partition(":")
    if library not in LIBRARIES or not model_name:
        raise ExportError(f"{arguments.model} names no model; give LIBRARY:MODEL with one of {', '.join(LIBRARIES)}")
    try:
        import torch
    except ImportError as error:
        raise ExportError(
            f"PyTorch cannot be imported ({error}); install it: pip install -r scripts/torch-requirements.txt"
        ) from error
    name = arguments.name or model_name.rstrip("/").rsplit("/", 1)[-1]
    out = pathlib.Path(arguments.out)
    paths = [out / f"{name}.onnx", out / f"{name}.toml"]
    there = [path for path in paths if path.exists()]
    if there:
        raise ExportError(f"{there[0]} is there already; give another --name or --out")
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(arguments.seed)
    try:
        source = LIBRARIES[library](torch, model_name, arguments.codes, arguments.random)
    except ImportError as error:
        raise ExportError(f"{library} cannot be imported ({error}); install it: pip install {library}") from error
    # Both files appear when the check has passed, the card last.
    with tempfile.TemporaryDirectory(dir=out) as place:
        draft = pathlib.Path(place) / paths[0].name
        expected = exported(torch, source, draft)
        card = draft.with_suffix(".toml")
        card.write_text(card_text(source, name, paths[0].name, expected), encoding="utf-8")
        draft.rename(paths[0])
        card.rename(paths[1])
    for remark in source.preparation.remarks:
        print(f"note: {remark}", file=sys.stderr)
    if source.licence == "unknown":
        print(f"note: the licence is not known here: look at that of the weights, and write it into {paths[1]}", file=sys.stderr)
    print(f"trunk: {paths[0]}\ncard: {paths[1]}")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], epilog="licences differ: look at that of the weights before you publish"
    )
    parser.add_argument("model", metavar="LIBRARY:MODEL", help="timm:NAME, torchvision:NAME or transformers:NAME_OR_FOLDER")
    parser.add_argument("--out", required=True, metavar="MODELS", help="the folder for the ONNX file and its card")
    parser.add_argument("--name", help="what the trunk is called [default: the model's own name]")
    parser.add_argument(
        "--codes", choices=KINDS, help="which codes are taken: what the model pools itself, the class token, the mean of "
        "all tokens, or the feature map [default: pooled, where the model does that]"
    )
    parser.add_argument("--random", action="store_true", help="random weights in place of trained ones, for tests")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random weights [default: 0]")
    try:
        export(parser.parse_args())
    except ExportError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
