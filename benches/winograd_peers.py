"""The Python half of winograd.rs: VGG16 on another engine, told by lines on its input.

    winograd_peers.py ENGINE ONNX FOLDER THREADS

ENGINE is openvino, openvino-bf16, mnn, ncnn or torch; FOLDER holds "pictures", float32 of shape
(N, 224, 224, 3), and gets what an engine has to be given as files. A line on the input is a number
of pictures, which run as one batch, or "codes", which leaves the codes of the last batch in
FOLDER/ENGINE, float32 of shape (N, 7, 7, 512). Each is answered with "ok".
"""

import os
import sys
from pathlib import Path

import numpy as np
import onnx

# Engines print what they like on standard output, which is for answers.
answers = open(os.dup(1), "w", buffering=1)
os.dup2(2, 1)

engine, onnx_file, folder, threads = sys.argv[1:]
folder, threads = Path(folder), int(threads)
PICTURES = np.fromfile(folder / "pictures", np.float32).reshape(-1, 224, 224, 3)
PLANES = np.ascontiguousarray(PICTURES.transpose(0, 3, 1, 2))


def layers():
    """The weights of VGG16's convolutions, and "pool" where a pooling is."""
    graph = onnx.load(onnx_file).graph
    weights = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Conv":
            yield weights[node.input[1]], weights[node.input[2]]
        elif node.op_type == "MaxPool":
            yield "pool"


def openvino(precision):
    import openvino as ov

    core = ov.Core()
    options = {
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
    }
    # A model for each number of pictures, as its engine is fastest with shapes that are known.
    compiled = {}

    def run(n):
        if n not in compiled:
            model = core.read_model(onnx_file)
            model.reshape([n, 224, 224, 3])
            compiled[n] = core.compile_model(model, "CPU", options).create_infer_request()
        compiled[n].infer([PICTURES[:n]], share_inputs=True, share_outputs=True)
        return compiled[n].get_output_tensor(0).data

    return run


def mnn():
    # MNN's command-line tools install a package and report their use; what they call does not.
    import _tools
    import MNN
    from MNN import expr

    converted = folder / "vgg16.mnn"
    model = ["--modelFile", onnx_file, "--MNNModel", str(converted)]
    _tools.mnnconvert(["mnnconvert", "-f", "ONNX", *model, "--bizCode", "vgg16"])
    manager = MNN.nn.create_runtime_manager(
        ({"backend": "CPU", "numThread": threads, "precision": "high"},)
    )
    graph = onnx.load(onnx_file, load_external_data=False).graph
    names = [[graph.input[0].name], [graph.output[0].name]]
    net = MNN.nn.load_module_from_file(str(converted), *names, runtime_manager=manager)

    def run(n):
        # Of rank 4, in the order that the graph has it, which MNN calls NCHW whatever it is.
        pictures = expr.const(PICTURES[:n], [n, 224, 224, 3], expr.NCHW)
        return np.array(net.onForward([pictures])[0].read())

    return run


def ncnn():
    import ncnn

    text, last, n_layers = ["Input x 0 1 x"], "x", 1
    with open(folder / "vgg16.bin", "wb") as weights:
        for n_layers, layer in enumerate(layers(), 2):
            output = f"x{n_layers}"
            if layer == "pool":
                text.append(f"Pooling {output} 1 1 {last} {output} 0=0 1=2 2=2 5=1")
            else:
                filters, bias = layer
                parameters = f"0={len(bias)} 1=3 4=1 5=1 6={filters.size} 9=1"
                text.append(f"Convolution {output} 1 1 {last} {output} {parameters}")
                weights.write(bytes(4) + filters.tobytes() + bias.tobytes())
            last = output
    head = f"7767517\n{n_layers} {n_layers}\n"
    (folder / "vgg16.param").write_text(head + "\n".join(text) + "\n")
    net = ncnn.Net()
    net.opt.num_threads = threads
    for number in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage"):
        setattr(net.opt, f"use_{number}", False)
    net.load_param(str(folder / "vgg16.param"))
    net.load_model(str(folder / "vgg16.bin"))

    def run(n):
        # It takes one picture at a time.
        codes = []
        for picture in PLANES[:n]:
            with net.create_extractor() as extractor:
                extractor.input("x", ncnn.Mat(picture))
                codes.append(np.array(extractor.extract(last)[1]))
        return np.stack(codes).transpose(0, 2, 3, 1)

    return run


def torch():
    import torch

    torch.set_num_threads(threads)
    modules = []
    for layer in layers():
        if layer == "pool":
            modules.append(torch.nn.MaxPool2d(2))
            continue
        filters, bias = layer
        convolution = torch.nn.Conv2d(filters.shape[1], filters.shape[0], 3, padding=1)
        convolution.weight.data = torch.from_numpy(filters.copy())
        convolution.bias.data = torch.from_numpy(bias.copy())
        modules += [convolution, torch.nn.ReLU(inplace=True)]
    net = torch.nn.Sequential(*modules).eval().to(memory_format=torch.channels_last)
    # The same numbers, whose channels lie last in memory.
    planes = torch.from_numpy(PICTURES).permute(0, 3, 1, 2)

    def run(n):
        with torch.inference_mode():
            return net(planes[:n]).permute(0, 2, 3, 1).numpy()

    return run


ENGINES = {
    "openvino": lambda: openvino("f32"),
    "openvino-bf16": lambda: openvino("bf16"),
    "mnn": mnn,
    "ncnn": ncnn,
    "torch": torch,
}

run = ENGINES[engine]()
for line in sys.stdin:
    if line == "codes\n":
        np.ascontiguousarray(codes, np.float32).tofile(folder / engine)
    else:
        codes = run(int(line))
    answers.write("ok\n")
