"""What arguments may be."""

import os
from typing import Any, Sequence, Union

import numpy as np

Path = Union[str, "os.PathLike[str]"]
# A path, the bytes of a file, a picture of PIL's, or pixels: uint8 (H, W, 3).
Picture = Union[str, bytes, "os.PathLike[str]", np.ndarray, Any]
Pictures = Union[Picture, Sequence[Picture]]
