"""The command `cnn-codes`."""

import os
import sys

from . import _runtime
from ._native import program


def main():
    """Does what the command line says, and ends with the program's exit code."""
    library = _runtime.library()
    if library is not None:
        os.environ.setdefault("ORT_DYLIB_PATH", library)
    sys.exit(program(sys.argv[1:]))


if __name__ == "__main__":
    main()
