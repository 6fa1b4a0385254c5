"""Keyword arguments as the words of a command line, so that options, defaults and checks are the program's."""

import os

from . import _runtime
from ._native import run as _run
from ._messages import in_python
from ._progress import Listener
from .errors import CnnCodesError, RuntimeMissingError


def words(**options):
    """`batch_size=20, strict=True` as `--batch-size 20 --strict`. None and False are left out.

    A list is given with commas, a list of paths once for each.
    """
    made = []
    for name, value in options.items():
        option = "--" + name.replace("_", "-")
        if value is None or value is False:
            continue
        if value is True:
            made.append(option)
        elif isinstance(value, (list, tuple)):
            if any(isinstance(item, os.PathLike) for item in value) or name == "reuse":
                for item in value:
                    made += [option, os.fspath(item)]
            else:
                made += [option, ",".join(map(str, value))]
        elif isinstance(value, os.PathLike):
            made += [option, os.fspath(value)]
        else:
            # With =, so that a value may begin with a dash.
            made.append(f"{option}={value}")
    return made


def path(value):
    """A path as a word; one that begins with a dash is no option."""
    text = os.fspath(value)
    if isinstance(text, bytes):
        text = os.fsdecode(text)
    return os.path.join(os.curdir, text) if text.startswith("-") else text


def runtime(onnxruntime=None):
    """The words that name ONNX Runtime's library."""
    return words(onnxruntime=onnxruntime or _runtime.library())


def translated(error):
    """The same exception, its message for Python."""
    message = in_python(str(error))
    if isinstance(error, RuntimeMissingError) and _runtime.library() is None:
        message = f"{message}; {_runtime.HINT}"
    return type(error)(message)


class translating:
    """Within it, messages of the program become messages for Python."""

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if isinstance(error, CnnCodesError):
            raise translated(error) from None
        return False


def run(verb, *arguments, input=None, progress=None):
    """What the program prints for a verb, as text."""
    with translating(), Listener(progress) as listener:
        printed, _ = _run([verb, *arguments], input, listener)
    return printed
