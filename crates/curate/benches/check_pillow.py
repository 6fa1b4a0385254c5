"""Makes altered copies of pictures for `cargo bench --bench check -- found`, or pictures for `cost`.

    python crates/curate/benches/check_pillow.py alter SOURCE OUT    OUT/ALTERATION/CLASS/NAME.jpg
    python crates/curate/benches/check_pillow.py make N OUT          OUT/{a,b}/NUMBER.jpg, one in a hundred a copy

Needs Pillow. Copies that are turned have black corners, or (NAME_inside) lose their corners.
"""

import math
import pathlib
import random
import sys

from PIL import Image, ImageOps

ENDINGS = {".jpg", ".jpeg", ".png", ".webp"}


def cut(picture, left, above, right, below):
    width, height = picture.size
    return picture.crop(
        (round(left * width), round(above * height), round(width - right * width), round(height - below * height))
    )


def turned(picture, degrees):
    return picture.rotate(degrees, Image.BICUBIC)


def turned_inside(picture, degrees):
    """The largest part of the same shape that is within the turned picture."""
    (width, height), angle = picture.size, math.radians(degrees)
    sin, cos = math.sin(angle), math.cos(angle)
    share = min(width / (width * cos + height * sin), height / (width * sin + height * cos))
    margin = (1 - share) / 2
    return cut(turned(picture, -degrees), margin, margin, margin, margin)


def scaled(picture, factor):
    return picture.resize([max(1, round(side * factor)) for side in picture.size], Image.BICUBIC)


# What is done, and the JPEG quality that the copy is saved with.
ALTERATIONS = {
    **{f"jpeg{quality}": (lambda picture: picture, quality) for quality in (30, 50, 70, 90)},
    "half": (lambda picture: scaled(picture, 0.5), 90),
    "double": (lambda picture: scaled(picture, 2), 90),
    "cut_5_percent": (lambda picture: cut(picture, 0.025, 0.025, 0.025, 0.025), 90),
    "cut_5_percent_each_side": (lambda picture: cut(picture, 0.05, 0.05, 0.05, 0.05), 90),
    "cut_5_percent_left_and_above": (lambda picture: cut(picture, 0.05, 0.05, 0, 0), 90),
    "mirrored": (ImageOps.mirror, 90),
    "mirrored_cut_jpeg50": (lambda picture: ImageOps.mirror(cut(picture, 0.025, 0.025, 0.025, 0.025)), 50),
    **{f"turned_{d}": (lambda picture, d=d: turned(picture, d), 90) for d in (1, 2, 3)},
    **{f"turned_{d}_inside": (lambda picture, d=d: turned_inside(picture, d), 90) for d in (1, 2, 3)},
}


def alter(source, out):
    for path in sorted(source.rglob("*")):
        if path.suffix.lower() not in ENDINGS:
            continue
        picture = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
        for name, (change, quality) in ALTERATIONS.items():
            to = (out / name / path.relative_to(source)).with_suffix(".jpg")
            to.parent.mkdir(parents=True, exist_ok=True)
            change(picture).save(to, quality=quality)


def make(n, out):
    """Soft patches of colour, 320 x 240, of which each hundredth is saved again worse."""
    for name in "ab":
        (out / name).mkdir(parents=True)
    for number in range(n):
        path = out / "ab"[number % 2] / f"{number}.jpg"
        if number % 100 == 99:
            picture.save(path, quality=50)
            continue
        patches = random.Random(number).randbytes(12 * 9 * 3)
        picture = Image.frombytes("RGB", (12, 9), patches).resize((320, 240), Image.BICUBIC)
        picture.save(path, quality=85)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["alter", source, out]:
            alter(pathlib.Path(source), pathlib.Path(out))
        case ["make", n, out]:
            make(int(n), pathlib.Path(out))
        case _:
            sys.exit(__doc__)
