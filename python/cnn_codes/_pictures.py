"""Pictures as files: paths and bytes as they are, arrays and PIL pictures as a BMP in memory, which loses nothing."""

import os
import struct

import numpy as np

from .errors import PictureError, UsageError


def given(pictures):
    """A list of paths and bytes, and whether one picture was given in place of a list."""
    if is_one(pictures):
        return [file_of(pictures)], True
    if isinstance(pictures, np.ndarray) and pictures.dtype == object:
        pictures = pictures.ravel()
    return [file_of(picture) for picture in pictures], False


def is_one(value):
    """Whether it is one picture, and no list of them."""
    if isinstance(value, (str, bytes, bytearray, memoryview, os.PathLike)) or is_pil(value):
        return True
    return isinstance(value, np.ndarray) and value.dtype == np.uint8 and value.ndim == 3


def is_pil(value):
    """Whether it is a picture of PIL's, which need not be installed."""
    return hasattr(value, "convert") and hasattr(value, "tobytes") and hasattr(value, "mode")


def file_of(picture):
    """The path or the bytes of one picture."""
    if isinstance(picture, (bytes, bytearray, memoryview)):
        return bytes(picture)
    if isinstance(picture, (str, os.PathLike)):
        return os.fspath(picture)
    if is_pil(picture):
        return bmp(pixels_of_pil(picture))
    if isinstance(picture, np.ndarray):
        return bmp(picture)
    raise UsageError(
        f"{type(picture).__name__} is no picture; give paths, bytes of files, PIL pictures, or uint8 arrays (H, W, 3)"
    )


def pixels_of_pil(picture):
    """Pixels (H, W, 3), turned as its EXIF says, transparent parts over white: as files are read."""
    from PIL import Image, ImageOps

    picture = ImageOps.exif_transpose(picture)
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        white = Image.new("RGB", picture.size, (255, 255, 255))
        white.paste(picture.convert("RGB"), mask=picture.getchannel("A"))
        picture = white
    return np.asarray(picture.convert("RGB"))


def bmp(pixels):
    """Pixels as a file: RGB of 0 to 255, uint8, (H, W, 3) or (H, W)."""
    if pixels.dtype != np.uint8:
        raise PictureError(
            f"a picture's array is of {pixels.dtype}; it must be uint8, levels from 0 to 255, and not yet normalised"
        )
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[:, :, None], 3, axis=2)
    if pixels.ndim == 3 and pixels.shape[0] == 3 and pixels.shape[2] != 3:
        raise PictureError(f"a picture's array is {pixels.shape}; its channels must be last: (H, W, 3)")
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.size == 0:
        raise PictureError(f"a picture's array is {pixels.shape}; it must be (H, W, 3), red first")
    height, width, _ = pixels.shape
    rows = np.zeros((height, (3 * width + 3) // 4 * 4), np.uint8)
    # From bottom to top, blue first.
    rows[:, : 3 * width] = pixels[::-1, :, ::-1].reshape(height, 3 * width)
    offset = 14 + 40
    header = struct.pack("<2sIHHI", b"BM", offset + rows.size, 0, 0, offset)
    header += struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, rows.size, 2835, 2835, 0, 0)
    return header + rows.tobytes()


def complain(unusable, n, errors):
    """Raises or warns of pictures that cannot be used, as `errors` says."""
    if not unusable or errors == "nan":
        return
    _, name, reason, _ = unusable[0]
    more = f", and {len(unusable) - 1} more of {n}" if len(unusable) > 1 else ""
    raise PictureError(f"{name}: {reason}{more}; errors='nan' gives NaN in their rows")


def check_errors(errors):
    """Refuses a word that says nothing of errors."""
    if errors not in ("raise", "nan"):
        raise UsageError(f"errors is {errors!r}; it must be 'raise' or 'nan'")
