#!/usr/bin/env python3
"""Write models/vgg16_notop.onnx from Keras' own VGG16, and check that it is the pinned one.

`cnn-codes fetch vgg16` makes the same file without Keras; this is the way for those who would
rather have the weights from keras.applications. It needs Python 3.11, NumPy and onnx, and
Keras unless --weights-from is given:

    python3 -m pip install onnx keras tensorflow
    python3 scripts/export_vgg16.py

The file's weights must have the hash that the model card (models/vgg16.toml) states; nothing is
written otherwise.
"""

import argparse
import hashlib
import os
import pathlib
import struct
import sys
import tempfile
import tomllib

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent

# (convolutions, channels) of the five blocks.
BLOCKS = [(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)]
LAYERS = [f"block{b}_conv{c}" for b, (n, _) in enumerate(BLOCKS, 1) for c in range(1, n + 1)]

# What the file made by `cnn-codes fetch vgg16` declares.
IR_VERSION = 7
OPSET = 13

KERAS_SOURCE = "keras.applications.VGG16(weights='imagenet', include_top=False)"


class ExportError(Exception):
    """Something that the user can do something about."""


def weights_from_keras():
    """Kernels (O, I, H, W) and biases by layer, from keras.applications."""
    try:
        from keras.applications import VGG16
    except ImportError as error:
        raise ExportError(
            f"Keras cannot be imported ({error}); install it (python3 -m pip install keras tensorflow), "
            "give --weights-from, or run `cnn-codes fetch vgg16` instead"
        ) from error
    try:
        model = VGG16(weights="imagenet", include_top=False, input_shape=(224, 224, 3))
    except Exception as error:  # Keras raises a plain Exception where its download fails.
        raise ExportError(
            f"Keras cannot load its VGG16 weights ({error}); without access to them, "
            "run `cnn-codes fetch vgg16` instead"
        ) from error
    pairs = {name: model.get_layer(name).get_weights() for name in LAYERS}
    return {name: (kernel.transpose(3, 2, 0, 1), bias) for name, (kernel, bias) in pairs.items()}


def weights_from_file(path):
    """Kernels (O, I, H, W) and biases by layer, and their source, from an .onnx or .npz file.

    Both hold them as LAYER/kernel and LAYER/bias. The kernels in .npz are Keras' (H, W, I, O).
    """
    try:
        if path.suffix == ".npz":
            with np.load(path) as arrays:
                tensors = {name: arrays[name] for name in arrays.files}
            kernel_axes = (3, 2, 0, 1)
            source = KERAS_SOURCE
        elif path.suffix == ".onnx":
            import onnx

            model = onnx.load(path)
            tensors = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
            kernel_axes = (0, 1, 2, 3)
            source = {entry.key: entry.value for entry in model.metadata_props}.get("source", str(path))
        else:
            raise ExportError(f"{path}: --weights-from takes an .onnx or .npz file")
    except ExportError:
        raise
    except Exception as error:  # NumPy, zipfile and protobuf each raise their own.
        raise ExportError(f"{path} cannot be read: {error}") from error
    try:
        pairs = {name: (tensors[f"{name}/kernel"], tensors[f"{name}/bias"]) for name in LAYERS}
    except KeyError as missing:
        raise ExportError(f"{path} has no array named {missing}; it must have LAYER/kernel and LAYER/bias") from None
    return {name: (kernel.transpose(kernel_axes), bias) for name, (kernel, bias) in pairs.items()}, source


def check_shapes(weights):
    """Every kernel and bias must have VGG16's shape, and be float32."""
    inputs = 3
    for block, (n_convs, channels) in enumerate(BLOCKS, 1):
        for conv in range(1, n_convs + 1):
            name = f"block{block}_conv{conv}"
            kernel, bias = weights[name]
            expected = ((channels, inputs, 3, 3), (channels,))
            if (kernel.shape, bias.shape) != expected or {kernel.dtype, bias.dtype} != {np.dtype(np.float32)}:
                raise ExportError(
                    f"{name} has {kernel.dtype} {kernel.shape} and {bias.dtype} {bias.shape}; "
                    f"VGG16 has float32 {expected[0]} and {expected[1]}"
                )
            inputs = channels


def build(weights, source, card):
    """The same model, node by node, as `cnn-codes fetch vgg16` cuts from its wheel."""
    from onnx import TensorProto, helper

    nodes, initializers = [], []
    previous = card["input"]["name"]

    def add(operator, output, *parameters, **attributes):
        nonlocal previous
        nodes.append(helper.make_node(operator, [previous, *parameters], [output], name=output, **attributes))
        previous = output

    def constant(name, array):
        raw = np.ascontiguousarray(array, dtype="<f4").tobytes()
        initializers.append(helper.make_tensor(name, TensorProto.FLOAT, array.shape, raw, raw=True))
        return name

    add("Transpose", "input/channels_first", perm=[0, 3, 1, 2])
    for block, (n_convs, _) in enumerate(BLOCKS, 1):
        for conv in range(1, n_convs + 1):
            layer = f"block{block}_conv{conv}"
            kernel, bias = weights[layer]
            parameters = constant(f"{layer}/kernel", kernel), constant(f"{layer}/bias", bias)
            window = dict(dilations=[1, 1], group=1, kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[1, 1])
            add("Conv", f"{layer}/linear", *parameters, **window)
            add("Relu", layer)
        last = "/channels_first" if block == len(BLOCKS) else ""
        add("MaxPool", f"block{block}_pool{last}", kernel_shape=[2, 2], strides=[2, 2])
    add("Transpose", card["output"]["name"], perm=[0, 2, 3, 1])

    side = [card["input"]["height"], card["input"]["width"]]
    graph = helper.make_graph(
        nodes,
        "vgg16_notop",
        [helper.make_tensor_value_info(card["input"]["name"], TensorProto.FLOAT, ["N", *side, 3])],
        [helper.make_tensor_value_info(card["output"]["name"], TensorProto.FLOAT, ["N", *card["output"]["shape"]])],
        initializers,
    )
    model = helper.make_model(graph, producer_name="cnn-codes", opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = IR_VERSION
    metadata = {
        "attribution": card["attribution"],
        "licence": card["licence"],
        "recipe": card["input"]["recipe"],
        "source": source,
    }
    helper.set_model_props(model, metadata)
    return model


def tensors_sha256(model):
    """The hash over a model's weights that crates/ort-winograd/src/hash/tensors.rs defines."""
    from onnx import numpy_helper

    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    sha = hashlib.sha256()
    for name in (name for node in model.graph.node for name in node.input):
        tensor = tensors.pop(name, None)  # Each one once, at its first reading.
        if tensor is not None:
            array = numpy_helper.to_array(tensor)
            sha.update(struct.pack("<II", tensor.data_type, array.ndim))
            sha.update(struct.pack(f"<{array.ndim}Q", *array.shape))
            sha.update(array.astype(array.dtype.newbyteorder("<")).tobytes())
    return sha.hexdigest()


def read_card(path):
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ExportError(f"the model card {path} cannot be read: {error}") from error


def write_whole(path, data):
    """Writes a file beside its place, and renames it there when all of it is on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=path.parent) as scratch:
        draft = pathlib.Path(scratch) / path.name
        with open(draft, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--weights-from",
        type=pathlib.Path,
        metavar="FILE",
        help="take the weights from an .onnx or .npz file (LAYER/kernel, LAYER/bias) instead of Keras",
    )
    parser.add_argument(
        "--card",
        type=pathlib.Path,
        default=ROOT / "models" / "vgg16.toml",
        metavar="CARD.toml",
        help="the model card (default: models/vgg16.toml)",
    )
    parser.add_argument(
        "--out",
        type=pathlib.Path,
        default=ROOT / "models" / "vgg16_notop.onnx",
        metavar="FILE.onnx",
        help="where to write (default: models/vgg16_notop.onnx)",
    )
    return parser.parse_args()


def export(options):
    try:
        import onnx
    except ImportError as error:
        raise ExportError(f"onnx cannot be imported ({error}); python3 -m pip install onnx") from error
    card = read_card(options.card)
    if options.weights_from:
        weights, source = weights_from_file(options.weights_from)
    else:
        weights, source = weights_from_keras(), KERAS_SOURCE
    check_shapes(weights)
    model = build(weights, source, card)
    onnx.checker.check_model(model, full_check=True)
    actual = tensors_sha256(model)
    if actual != card["tensors_sha256"]:
        raise ExportError(
            f"these weights have the SHA-256 {actual}, but {options.card} is for those with "
            f"{card['tensors_sha256']}; {options.out} was not written"
        )
    write_whole(options.out, model.SerializeToString(deterministic=True))
    print(f"{options.out}: weights as in {options.card}, SHA-256 {actual}")


def main():
    try:
        export(arguments())
    except ExportError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
