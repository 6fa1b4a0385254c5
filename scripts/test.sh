#!/usr/bin/env bash
# Sets up what the tests need and runs them: format, lints, tests, documentation, other targets.
# What it needs: Rust (cargo), Python 3 with pip, a C compiler. As root on Debian it installs the rest.
#
# What cannot be run on this machine is skipped, and named and counted at the end.
# REQUIRE_ALL=1 makes a skip a failure.
set -euo pipefail
cd "$(dirname "$0")/.."

mkdir -p "${CARGO_TARGET_DIR:-target}"
target=$(realpath "${CARGO_TARGET_DIR:-target}")
# Tests add a line to this file where they are skipped, and so does this script.
export CNN_CODES_TEST_SKIPS=$target/test-skips.txt
: >"$CNN_CODES_TEST_SKIPS"

# Says which step begins, after how many seconds.
step() { printf '\n== %s (%s s)\n' "$*" "$SECONDS"; }

have() { command -v "$1" >/dev/null 2>&1; }

# skip NAME REASON: this step is not run.
skip() {
  echo "skipped: $2"
  echo "$1: $2" >>"$CNN_CODES_TEST_SKIPS"
  if [ "${REQUIRE_ALL:-0}" != 0 ]; then exit 1; fi
}

# Installs packages of Debian where that is allowed; whether it did, the caller sees by what is there.
install() {
  if [ "$(id -u)" = 0 ] && have apt-get; then
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends "$@"; } >/dev/null 2>&1 || true
  fi
}

for tool in cargo python3 cc; do
  have "$tool" || { echo "test.sh needs $tool, which is not on the PATH" >&2; exit 1; }
done

step "Format"
cargo fmt --check

step "Lints"
cargo clippy --locked --workspace --all-targets -- -D warnings

# All at once: packages picked by name have other features of what they depend on, which is then built
# again. So it is below, too.
step "The program and the tests"
cargo test --locked --workspace --tests --no-run

step "Assets: ONNX Runtime and VGG16"
"$target/debug/cnn-codes" fetch onnxruntime vgg16 efficientnet-lite0 efficientnet-lite1 efficientnet-lite2

step "Python with NumPy, to open what Rust wrote"
python=$target/test-python
if ! cmp -s scripts/test-requirements.txt "$python/installed.txt"; then
  python3 -m venv --clear "$python"
  "$python/bin/python" -m pip install --quiet --only-binary=:all: -r scripts/test-requirements.txt
  cp scripts/test-requirements.txt "$python/installed.txt"
fi
export CNN_CODES_TEST_PYTHON=$python/bin/python

step "strace, with which the tests cause accidents"
have strace || install strace
command -v strace || echo "There is none."

step "Tests"
if cargo nextest --version >/dev/null 2>&1; then
  cargo nextest run --locked --workspace
else
  cargo test --locked --workspace --tests
fi

step "The Python package: a wheel in an environment of its own"
scripts/build_wheel.sh "$target/wheels"
wheel_python=$target/wheel-python
if ! cmp -s python/tests/requirements.txt "$wheel_python/installed.txt"; then
  python3 -m venv --clear "$wheel_python"
  "$wheel_python/bin/python" -m pip install --quiet --only-binary=:all: -r python/tests/requirements.txt
  cp python/tests/requirements.txt "$wheel_python/installed.txt"
fi
have chromium || install chromium
have nginx || install nginx-light openssl curl
"$wheel_python/bin/python" -m pip install --quiet --force-reinstall --no-deps "$target"/wheels/cnn_codes-*.whl
(
  cd python/tests
  CNN_CODES_TEST_PROGRAM=$target/debug/cnn-codes CNN_CODES_MODELS=${CNN_CODES_MODELS:-$OLDPWD/models} \
    "$wheel_python/bin/python" -m pytest -q -rs -p no:cacheprovider
)

step "Documents: their commands, output, options and links"
python3 -m unittest discover -q -s scripts/tests
# The wheel has the program as a release build; the debug one would take many minutes.
python3 scripts/documents.py check --program "$wheel_python/bin/cnn-codes" --python "$wheel_python/bin/python"

step "Documentation and its examples"
RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --quiet
cargo test --locked --workspace --quiet --doc

step "JPEG through libjpeg-turbo: the feature turbojpeg"
have cmake || install cmake nasm
have cmake || "$python/bin/python" -m pip install --quiet --only-binary=:all: cmake || true
if PATH=$PATH:$python/bin have cmake; then
  PATH=$PATH:$python/bin cargo clippy --locked --workspace --lib --bins --features turbojpeg -- -D warnings
  PATH=$PATH:$python/bin cargo test --locked --workspace --features turbojpeg --test it -- picture_
else
  skip "the feature turbojpeg" "there is no cmake, and it cannot be installed"
fi

step "Another processor: the library for 64-bit Arm"
arm=aarch64-unknown-linux-gnu
if have rustup; then rustup --quiet target add "$arm" >/dev/null 2>&1 || true; fi
have aarch64-linux-gnu-gcc || install gcc-aarch64-linux-gnu libc6-dev-arm64-cross
if [ ! -d "$(rustc --print sysroot)/lib/rustlib/$arm/lib" ]; then
  skip "the library for $arm" "Rust's standard library for it is not there (rustup target add $arm)"
elif ! have aarch64-linux-gnu-gcc; then
  skip "the library for $arm" "there is no aarch64-linux-gnu-gcc for the C code of its dependencies"
else
  cargo clippy --locked --package cnn-codes --lib --target "$arm" -- -D warnings
fi

step "What was not tested"
ignored=$(cargo test --locked --workspace --tests --quiet -- --list --ignored 2>/dev/null | sed -n 's/: test$//p')
echo "Ignored: $(grep -c . <<<"$ignored" || true)"
sed 's/^/  /' <<<"$ignored"
sort -u -o "$CNN_CODES_TEST_SKIPS" "$CNN_CODES_TEST_SKIPS"
# A line is the name, a colon and a space, and the reason; a test may lack several things.
echo "Skipped: $(sed 's/: .*//' "$CNN_CODES_TEST_SKIPS" | sort -u | wc -l)"
sed 's/^/  /' "$CNN_CODES_TEST_SKIPS"
