#!/usr/bin/env bash
# Sets up what the tests need and runs them: format, lints, docs, tests, doctests.
# What it needs: Rust (cargo), Python 3 with pip, a C compiler.
set -euo pipefail
cd "$(dirname "$0")/.."

step() { printf '\n== %s\n' "$*"; }

for tool in cargo python3 cc; do
  command -v "$tool" >/dev/null || { echo "test.sh needs $tool, which is not on the PATH" >&2; exit 1; }
done

step "Format"
cargo fmt --check

step "Lints"
cargo clippy --locked --all-targets -- -D warnings

step "Assets: ONNX Runtime and VGG16"
cargo run --locked --quiet -- fetch

step "Python with NumPy, to open what Rust wrote"
python=${CARGO_TARGET_DIR:-target}/test-python
if ! cmp -s scripts/test-requirements.txt "$python/installed.txt"; then
  python3 -m venv --clear "$python"
  "$python/bin/python" -m pip install --quiet --only-binary=:all: -r scripts/test-requirements.txt
  cp scripts/test-requirements.txt "$python/installed.txt"
fi
CNN_CODES_TEST_PYTHON=$(realpath "$python")/bin/python
export CNN_CODES_TEST_PYTHON

step "strace, with which the tests cause accidents"
if ! command -v strace >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  { apt-get update -qq && apt-get install -y -qq strace; } >/dev/null 2>&1 || true
fi
command -v strace || echo "There is none: the tests of accidents will be skipped."

# The tests called shared_* compare with Keras' numbers in ../shared, which is no part of the project.
if [ -d ../shared/fixtures ]; then
  only=()
else
  only=(--filterset 'not binary(/^shared_/)')
fi

step "Tests"
if cargo nextest --version >/dev/null 2>&1; then
  cargo nextest run --locked "${only[@]}"
else
  cargo test --locked
fi

step "Documentation and its examples"
RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --quiet
cargo test --locked --quiet --doc

if [ ! -d ../shared/fixtures ]; then
  printf '\nSkipped, because there is no ../shared beside the checkout:\n'
  grep -H -A1 '^#\[test\]' tests/shared_*.rs | sed -n 's/^tests\/\(.*\)\.rs-fn \([a-z0-9_]*\).*/  \1::\2/p'
fi

if ! command -v strace >/dev/null; then
  printf '\nSkipped, because there is no strace here:\n'
  sed -n 's/^fn \([a-z_]*_accidents\)().*/  accidents::\1/p' tests/accidents/main.rs
fi
