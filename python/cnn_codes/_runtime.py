"""ONNX Runtime's library, which is that of the wheel `onnxruntime`."""

import importlib.util
import os
import pathlib
import sys

# ONNX Runtime's own switch, which must be set before its library is loaded: it would tell its maker of this machine.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
# `fetch` takes this Python's pip.
os.environ.setdefault("CNN_CODES_PYTHON", sys.executable or "")

HINT = "install ONNX Runtime: pip install onnxruntime (with a GPU: onnxruntime-gpu)"

NAMES = {"linux": "libonnxruntime.so*", "darwin": "libonnxruntime*.dylib", "win32": "onnxruntime.dll"}


def library():
    """The library's path, or None where the wheel is not installed.

    The module is not imported: a library that the interpreter has loaded already is the same one.
    """
    spec = importlib.util.find_spec("onnxruntime")
    for place in (spec.submodule_search_locations or []) if spec else []:
        found = sorted(pathlib.Path(place, "capi").glob(NAMES.get(sys.platform, NAMES["linux"])))
        if found:
            return str(found[-1])
    return None
