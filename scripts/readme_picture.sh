#!/usr/bin/env bash
# Makes docs/report.png, the README's picture of a report: the result, the confusion matrix and the wrong pictures.
set -euo pipefail

usage="usage: scripts/readme_picture.sh

Trains on data/ and draws parts of HEAD/report.html as docs/report.png, at most 200 KB. Needs cnn-codes
on the PATH (with VGG16), chromium (or \$CHROMIUM), and Python with Pillow (or \$PYTHON)."

case "${1:-}" in
  -h | --help) echo "$usage"; exit 0 ;;
  "") ;;
  *) echo "$usage" >&2; exit 2 ;;
esac
cd "$(dirname "$0")/.."
place=$(mktemp -d)
trap 'rm -r "$place"' EXIT

for side in train validation; do
  cnn-codes extract-features "data/$side" --out "$place/$side" >/dev/null
done
cnn-codes train-head --train "$place/train" --validation "$place/validation" --out "$place/head" >/dev/null

# The page without most sections and without the pictures that are right, so that it is a screen or two long.
"${PYTHON:-python3}" - "$place/head/report.html" "$place/page.html" <<'PYTHON'
import re
import sys

page = open(sys.argv[1], encoding="utf-8").read()
for section in ("curves", "classes", "calibration", "map", "configuration"):
    page, n = re.subn(rf'<section id="{section}">.*?</section>', "", page, flags=re.S)
    assert n == 1, section
page, n = re.subn(r'<h3>Classified right.*?</ul>', "", page, flags=re.S)
assert n == 1, "pictures that are right"
open(sys.argv[2], "w", encoding="utf-8").write(page)
PYTHON

"${CHROMIUM:-chromium}" --headless=new --no-sandbox --disable-gpu --hide-scrollbars --force-device-scale-factor=2 \
  --window-size=860,2400 --screenshot="$place/page.png" "file://$place/page.html" 2>/dev/null

"${PYTHON:-python3}" - "$place/page.png" docs/report.png <<'PYTHON'
import os
import sys

from PIL import Image, ImageChops

picture = Image.open(sys.argv[1]).convert("RGB")
paper = Image.new("RGB", picture.size, picture.getpixel((picture.width - 1, 0)))
*_, bottom = ImageChops.difference(picture, paper).getbbox()
assert bottom < picture.height - 40, "the page is longer than the window"
picture = picture.crop((0, 0, picture.width, bottom + 40))
for scale in (1, 0.75, 0.5):  # twice the size at which it is read, if that is small enough
    size = [round(side * scale) for side in picture.size]
    small = picture.resize(size, Image.Resampling.LANCZOS) if scale < 1 else picture
    for colors in (256, 128, 64):
        dithered = Image.Dither.NONE
        small.quantize(colors, Image.Quantize.MAXCOVERAGE, dither=dithered).save(sys.argv[2], optimize=True)
        if os.path.getsize(sys.argv[2]) <= 200_000:
            print(f"{sys.argv[2]}: {size[0]} x {size[1]}, {os.path.getsize(sys.argv[2])} bytes, {colors} colours")
            sys.exit()
sys.exit(f"{sys.argv[2]} is larger than 200 KB")
PYTHON
