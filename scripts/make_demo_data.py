"""Make data/train and data/validation from an unpacked tuxpaint-stamps-default.

Called by make_demo_data.sh, which fetches and checks the package and pins Pillow.

    make_demo_data.py STAMPS OUT     STAMPS is usr/share/tuxpaint/stamps; OUT must be empty
    make_demo_data.py --distances STAMPS    print the closest pairs of pictures, for the threshold

The same package and the same Pillow give the same bytes: files are visited in sorted order, the
split follows SHA-256 of names, and the JPEGs carry no metadata.
"""

import hashlib
import sys
from pathlib import Path

from PIL import Image

SIDE = 224  # pixels; what VGG16 takes
QUALITY = 88  # JPEG; the whole set stays well under MAX_BYTES
MAX_BYTES = 3_000_000
MIN_PER_CLASS = 20
MAX_PER_CLASS = 60
VALIDATION = 0.2
# Pixels more transparent than this are no part of the picture when its margins are cut off.
ALPHA_FLOOR = 32

# Two pictures are near-identical when their difference hashes (16 x 16 bits, grey, the smaller of
# the distances to the other picture and to its mirror image) differ in at most this many of the
# 256 bits. In this package the mirrored and recoloured pairs lie at 0, 1 and 13 bits; the closest
# pair of different things (two cars seen from the side, on white) at 21: see `--distances`.
NEAR_BITS = 16

# class -> folders of the package, each without its sub-folders unless it ends in /**
SOURCES = {
    "birds": ["animals/birds"],
    "flowers": ["plants/flowers"],
    "fruit": ["food/fruit"],
    "mammals": ["animals/mammals/**", "animals/marsupials"],
    "vehicles": ["vehicles/**", "military/vehicles"],
}

# Photographs of the class that the package files elsewhere.
EXTRA = {
    "fruit": ["plants/trees/rambutan"],  # a bunch of rambutans, filed as "an alien tree"
    "vehicles": ["space/apollo_lander", "space/voyager2"],  # photographs of spacecraft
}

# Drawings and toys have their own folders in the package.
SKIP_FOLDERS = {"cartoon", "toys", "plastic"}

# Pictures in the folders above that aren't photographs of one thing of the class.
EXCLUDE = {
    "animals/birds/tucan": "looks painted: outlined bill and claws",
    "animals/birds/vulture": "looks engraved or painted",
    "plants/flowers/appooppanthady": "a tuft of milkweed seeds, no flower",
    "animals/mammals/aquatic/orca": "an illustration (or a model), with the lines of its print",
    "animals/mammals/aquatic/whale": "recoloured to a blue silhouette",
    "animals/mammals/camel/dromedary": "looks painted",
    "animals/mammals/dogs/dog": "a painting of a husky",
    "animals/mammals/echidna": "a black silhouette",
    "animals/mammals/hedgehog": "a drawing",
    "animals/mammals/rhino_black": "looks like a statue: no eyes, no skin",
    "vehicles/7spoke256": "a wheel, no vehicle (and drawn)",
    "vehicles/wheel_tractor": "a wheel, no vehicle",
    "vehicles/emergency/sedan_police": "emblems to put on the sedan, no vehicle",
    "vehicles/emergency/sedan_police_mirror": "emblems to put on the sedan, no vehicle",
    "vehicles/ship/chineseJunk": "a painting",
    "vehicles/ship/walnutBoat": "a walnut shell with a sail: a toy",
}

# What the hash can't know: the same animal, plant or thing in another pose, size or colour.
SAME_SUBJECT = [
    ["animals/birds/heron_greatblue", "animals/birds/heron_greatblue_flying"],
    [
        "animals/mammals/bovines/gnu-baby",
        "animals/mammals/bovines/gnu-baby-stand",
        "animals/mammals/bovines/gnu-sitting",
        "animals/mammals/bovines/gnu-stand",
    ],
    ["animals/mammals/pig_golden", "animals/mammals/pig_golden2"],
    ["food/fruit/apple_green", "food/fruit/apple_red"],  # one photograph in two colours
]


def stamps_of(root: Path, label: str) -> list[str]:
    """The class's stamps, as paths under root without .png, sorted."""
    found = []
    for folder in SOURCES[label]:
        deep = folder.endswith("/**")
        base = root / folder.removesuffix("/**")
        if not base.is_dir():
            sys.exit(f"error: the package has no folder {base}")
        for png in base.rglob("*.png") if deep else base.glob("*.png"):
            name = png.relative_to(root).with_suffix("")
            if not SKIP_FOLDERS.intersection(name.parts):
                found.append(name.as_posix())
    found += EXTRA.get(label, [])
    return sorted(name for name in found if name not in EXCLUDE)


def compose(path: Path) -> Image.Image:
    """The stamp without its transparent margins, on white, fitted into SIDE x SIDE."""
    with Image.open(path) as opened:
        stamp = opened.convert("RGBA")
    alpha = stamp.getchannel("A")
    box = alpha.point(lambda a: 255 if a >= ALPHA_FLOOR else 0).getbbox()
    if box is None:
        sys.exit(f"error: {path}: nothing but transparent pixels")
    stamp = stamp.crop(box)
    # White first, then the resizing: the colour under transparent pixels must not bleed in.
    flat = Image.new("RGB", stamp.size, "white")
    flat.paste(stamp, (0, 0), stamp)
    scale = SIDE / max(flat.size)
    size = tuple(max(1, min(SIDE, round(edge * scale))) for edge in flat.size)
    flat = flat.resize(size, Image.Resampling.LANCZOS)
    canvas = Image.new("RGB", (SIDE, SIDE), "white")
    canvas.paste(flat, ((SIDE - size[0]) // 2, (SIDE - size[1]) // 2))
    return canvas


def dhash(picture: Image.Image) -> int:
    small = picture.convert("L").resize((17, 16), Image.Resampling.BOX)
    pixels = small.tobytes()
    bits = 0
    for y in range(16):
        for x in range(16):
            bits = bits << 1 | (pixels[17 * y + x] > pixels[17 * y + x + 1])
    return bits


def hashes(picture: Image.Image) -> tuple[int, int]:
    return dhash(picture), dhash(picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT))


def distance(a: tuple[int, int], b: tuple[int, int]) -> int:
    """Bits that differ, for the better of the two ways round."""
    return min((a[0] ^ b[0]).bit_count(), (a[0] ^ b[1]).bit_count())


def groups_of(names: list[str], prints: dict[str, tuple[int, int]]) -> list[list[str]]:
    """Names in sets that must stay on one side, each sorted; the sets by first name."""
    leader = {name: name for name in names}

    def find(name: str) -> str:
        while leader[name] != name:
            name = leader[name]
        return name

    def join(a: str, b: str) -> None:
        a, b = sorted((find(a), find(b)))
        leader[b] = a

    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            if distance(prints[a], prints[b]) <= NEAR_BITS:
                join(a, b)
    for same in SAME_SUBJECT:
        for name in same[1:]:
            if same[0] in leader:
                join(same[0], name)
    for name in names:
        for suffix in ("_mirror", "_flip"):
            if name.endswith(suffix) and name.removesuffix(suffix) in leader:
                join(name, name.removesuffix(suffix))

    sets: dict[str, list[str]] = {}
    for name in names:
        sets.setdefault(find(name), []).append(name)
    return [sets[key] for key in sorted(sets)]


def split(groups: list[list[str]]) -> set[str]:
    """The names for validation: whole groups, in the order of their names' SHA-256, as long as
    they fit into VALIDATION of the class."""
    room = round(VALIDATION * sum(map(len, groups)))
    chosen: set[str] = set()
    for group in sorted(groups, key=lambda g: hashlib.sha256(g[0].encode()).hexdigest()):
        if len(chosen) + len(group) <= room:
            chosen.update(group)
    return chosen


def distances(root: Path) -> None:
    for label in SOURCES:
        names = stamps_of(root, label)
        prints = {name: hashes(compose(root / f"{name}.png")) for name in names}
        pairs = sorted(
            (distance(prints[a], prints[b]), a, b)
            for i, a in enumerate(names)
            for b in names[i + 1 :]
        )
        for bits, a, b in pairs[:15]:
            print(f"{bits:4} {label:9} {a}  {b}")


def make(root: Path, out: Path) -> None:
    for name in list(EXCLUDE) + [n for same in SAME_SUBJECT for n in same]:
        if not (root / f"{name}.png").is_file():
            sys.exit(f"error: {name}.png is named in this script but not in the package")

    total = 0
    table = []
    for label in SOURCES:
        names = stamps_of(root, label)
        if not MIN_PER_CLASS <= len(names) <= MAX_PER_CLASS:
            sys.exit(f"error: {label}: {len(names)} pictures")
        files = {name: name.rsplit("/", 1)[1] + ".jpg" for name in names}
        if len({file.casefold() for file in files.values()}) != len(files):
            sys.exit(f"error: {label}: two stamps of one name")

        pictures = {name: compose(root / f"{name}.png") for name in names}
        prints = {name: hashes(picture) for name, picture in pictures.items()}
        groups = groups_of(names, prints)
        validation = split(groups)
        sides = {"train": [], "validation": []}
        for name in names:
            side = "validation" if name in validation else "train"
            sides[side].append(name)
            path = out / side / label / files[name]
            path.parent.mkdir(parents=True, exist_ok=True)
            # optimize: smaller tables, same pixels. Nothing of the stamp's metadata is passed on.
            pictures[name].save(path, "JPEG", quality=QUALITY, subsampling=0, optimize=True)
            with Image.open(path) as written:
                if written.size != (SIDE, SIDE) or written.mode != "RGB":
                    sys.exit(f"error: {path}: {written.size} {written.mode}")
            total += path.stat().st_size
        nearest = min(
            distance(prints[a], prints[b]) for a in sides["train"] for b in sides["validation"]
        )
        if nearest <= NEAR_BITS:
            sys.exit(f"error: {label}: near-identical pictures on both sides")
        table.append((label, len(sides["train"]), len(sides["validation"]), nearest))
        for group in groups:
            if len(group) > 1:
                side = "validation" if group[0] in validation else "train"
                print(f"kept together in {side}/{label}: {', '.join(files[n] for n in group)}")

    if total > MAX_BYTES:
        sys.exit(f"error: {total} bytes of pictures, more than {MAX_BYTES}")
    print(f"{'class':10} {'train':>6} {'validation':>11} {'sum':>4}   closest pair across the sides")
    for label, train, validation, nearest in table:
        print(f"{label:10} {train:6} {validation:11} {train + validation:4}   {nearest} of 256 bits")
    train, validation = (sum(row[i] for row in table) for i in (1, 2))
    print(f"{'all':10} {train:6} {validation:11} {train + validation:4}   {total} bytes of JPEG")


def main() -> None:
    match sys.argv[1:]:
        case ["--distances", root]:
            distances(Path(root))
        case [root, out]:
            make(Path(root), Path(out))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
