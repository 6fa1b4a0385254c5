#!/usr/bin/env bash
# The README's table: errors of both heads on the tutorial's pictures, for two recipes.
set -euo pipefail

usage="usage: scripts/reproduce_tutorial.sh PRODUCE [SEEDS]

PRODUCE holds train/ and validation/ with the tutorial's pictures of pumpkins, tomatoes and
watermelons. Trains the MLP with the seeds 0 to SEEDS - 1 (default 10). Needs
\`cargo build --release\` and \`cnn-codes fetch\`; leaves its stores and heads in quickstart/produce."

case "${1:-}" in
  -h | --help) echo "$usage"; exit 0 ;;
  "" | -*) echo "$usage" >&2; exit 2 ;;
esac
produce=$(realpath -- "$1")
seeds=${2:-10}
cd "$(dirname "$0")/.."
cnn_codes=${CARGO_TARGET_DIR:-target}/release/cnn-codes
out=quickstart/produce

for recipe in rescale caffe; do
  for side in train validation; do
    "$cnn_codes" extract-features "$produce/$side" --out "$out/$recipe/$side" --recipe "$recipe" \
      --overwrite >/dev/null
  done
  stores=(--train "$out/$recipe/train" --validation "$out/$recipe/validation" --overwrite)
  "$cnn_codes" train-head "${stores[@]}" --repeats "$seeds" --out "$out/$recipe/head" --format json |
    python3 -c 'import json, sys
for name, head in json.load(sys.stdin)["heads"].items():
    seeds = head["errors_by_seed"]
    text = ", with each seed: {values}, mean {mean:.2f}".format(**seeds) if seeds else ""
    print(sys.argv[1], name, head["errors"], "errors of", head["n"], text)' "$recipe"
done
