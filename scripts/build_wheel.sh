#!/usr/bin/env bash
# Builds the Python wheel, and an sdist, into dist/ (or the folder that is given).
# Needs Rust (cargo), a C compiler and Python 3.9 or later with pip.
set -euo pipefail
cd "$(dirname "$0")/.."

out=$(realpath -m "${1:-dist}")
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
export CARGO_TARGET_DIR=$target
maturin=$target/maturin
if [ ! -x "$maturin/bin/maturin" ]; then
  python3 -m venv "$maturin"
  "$maturin/bin/python" -m pip install --quiet 'maturin>=1.9.4,<2'
fi
# From the checkout, so that a second build compiles what changed alone.
"$maturin/bin/maturin" build --quiet --release --locked --manifest-path python/Cargo.toml --out "$out"
"$maturin/bin/maturin" sdist --manifest-path python/Cargo.toml --out "$out" >/dev/null 2>&1
ls "$out"
