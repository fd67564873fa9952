#!/bin/bash
# Builds the kernels for 64-bit ARM Linux and runs a command of Python there, under user-mode emulation.
#   tests/arm/run.sh CPU ARGUMENTS...     CPU: cortex-a72 (Raspberry Pi 4), cortex-a76 (Pi 5), max
# as in  tests/arm/run.sh cortex-a72 -m pytest tests/parity/test_kernels_twins.py
#
# Everything lands in build/arm/: an ARM Python with its libraries from this Debian's own package mirror, the
# Python packages of constraints.txt as ARM wheels, the compiled kernels. A second call compiles what changed.
# Exit code 77 with a sentence on stderr: this machine lacks what it takes.
set -euo pipefail
cd "$(dirname "$0")/../.."
HERE=$PWD/build/arm SYSTEM=$PWD/build/arm/system
PYTHON=${PYTHON:-$PWD/.venv/bin/python}

cannot() { echo "the ARM tests cannot run here: $*" >&2; exit 77; }

QEMU=$(command -v qemu-aarch64-static || command -v qemu-aarch64) || cannot "qemu-aarch64 is missing; install qemu-user-static"
command -v aarch64-linux-gnu-g++ > /dev/null || cannot "the compiler is missing; install g++-aarch64-linux-gnu"
command -v apt-get dpkg-deb cmake ninja > /dev/null || cannot "apt-get, dpkg-deb, cmake and ninja are needed"
mkdir -p "$HERE"

# Debian's Python 3.11 and what it is linked with, unpacked, not installed: no rights are needed.
PACKAGES="python3.11-minimal libpython3.11-minimal libpython3.11-stdlib libpython3.11-dev libc6 libgcc-s1 libstdc++6
  zlib1g libexpat1 libffi8 libbz2-1.0 liblzma5 libssl3 libsqlite3-0 libuuid1 libncursesw6 libtinfo6 libreadline8 libcrypt1"
if [ ! -e "$HERE/.system" ]; then
  rm -rf "$HERE/apt" "$SYSTEM"
  mkdir -p "$HERE"/apt/{lists/partial,cache/archives/partial,debs} "$SYSTEM"
  apt() {
    apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures::=arm64 -o APT::Sandbox::User= -o Dir::State="$HERE/apt" \
      -o Dir::State::Lists="$HERE/apt/lists" -o Dir::State::status=/dev/null -o Dir::Cache="$HERE/apt/cache" "$@"
  }
  # shellcheck disable=SC2086
  (apt update && cd "$HERE/apt/debs" && apt download $PACKAGES) > "$HERE/apt/log" 2>&1 ||
    cannot "the package mirror does not give Python 3.11 for arm64 (see build/arm/apt/log); it takes Debian 12 online"
  for deb in "$HERE"/apt/debs/*.deb; do dpkg-deb -x "$deb" "$SYSTEM"; done
  touch "$HERE/.system"
fi

# The package's own dependencies and what the tests import, as ARM wheels.
if [ ! "$HERE/.wheels" -nt constraints.txt ]; then
  rm -rf "$HERE/wheels"
  "$PYTHON" -m pip install --quiet --disable-pip-version-check --target "$HERE/wheels" --only-binary=:all: \
    --implementation cp --python-version 3.11 --platform manylinux_2_28_aarch64 --platform manylinux_2_17_aarch64 \
    --platform manylinux2014_aarch64 --constraint constraints.txt \
    numpy tokenizers safetensors click rich pytest hypothesis > "$HERE/pip.log" 2>&1 ||
    cannot "the Python packages are not to be had for arm64 (see build/arm/pip.log)"
  touch "$HERE/.wheels"
fi

cmake -S kernels -B "$HERE/kernels" -G Ninja -DCMAKE_TOOLCHAIN_FILE="$PWD/tests/arm/toolchain.cmake" \
  -DPython_EXECUTABLE="$PYTHON" -DPython_INCLUDE_DIR="$SYSTEM/usr/include/python3.11" \
  -DSKBUILD_SOABI=cpython-311-aarch64-linux-gnu -DCMAKE_CXX_FLAGS="-isystem $SYSTEM/usr/include" > "$HERE/cmake.log"
cmake --build "$HERE/kernels" --parallel "${JOBS:-2}" > "$HERE/build.log" || { cat "$HERE/build.log" >&2; exit 1; }

# The package as it would be installed: the sources, by links, and the compiled kernels among them.
rm -rf "$HERE/package"
mkdir -p "$HERE/package"
cp -Rs "$PWD/src/petitlm" "$HERE/package/"
find "$HERE/package" -name "_kernels*.so" -delete
ln -s "$HERE"/kernels/_kernels*.so "$HERE/package/petitlm/"

CPU=$1
shift
export PYTHONPATH="$HERE/package:$HERE/wheels" PYTHONDONTWRITEBYTECODE=1
exec "$QEMU" -cpu "$CPU" -L "$SYSTEM" "$SYSTEM/usr/bin/python3.11" "$@"
