#!/usr/bin/env bash
# From a clean clone to a comparison: builds, fetches ONNX Runtime and VGG16, extracts the codes of
# a train/ and a validation/ folder (data/ unless another is given), and trains both heads.
set -euo pipefail

usage="usage: scripts/quickstart.sh [PICTURES]

PICTURES holds train/ and validation/, each with one folder of pictures per class; default: data.
Everything it makes goes into quickstart/ and models/. Needs Rust (cargo), Python 3 with pip, and a
C compiler. The second run fetches nothing."

case "${1:-}" in
  -h | --help) echo "$usage"; exit 0 ;;
  -*) echo "$usage" >&2; exit 2 ;;
esac
pictures=$(realpath -- "${1:-$(dirname "$0")/../data}")
cd "$(dirname "$0")/.."

for tool in cargo python3 cc; do
  command -v "$tool" >/dev/null || { echo "quickstart.sh needs $tool, which is not on the PATH" >&2; exit 1; }
done
for side in train validation; do
  [ -d "$pictures/$side" ] || { echo "$pictures has no folder $side/" >&2; exit 1; }
done

step() { printf '\n== %s\n' "$*" >&2; }

step "Building"
cargo build --release --locked
cnn_codes=${CARGO_TARGET_DIR:-target}/release/cnn-codes

step "Fetching ONNX Runtime and VGG16 into models/"
"$cnn_codes" fetch

for side in train validation; do
  step "Extracting the codes of $pictures/$side"
  "$cnn_codes" extract-features "$pictures/$side" --out "quickstart/codes/$side" --overwrite
done

step "Training the heads"
"$cnn_codes" train-head --train quickstart/codes/train --validation quickstart/codes/validation \
  --out quickstart/head --overwrite
