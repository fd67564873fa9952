#!/bin/bash
# Builds the kernels with the address and undefined-behaviour sanitizers and runs a command of Python with them.
#   tests/sanitizers/run.sh -m pytest tests/parity/test_kernels_twins.py
#
# Any read or write beyond an array, use after free, overflow, bad shift or misaligned access ends the process with a
# report. Everything lands in build/sanitizers/. Exit code 77 with a sentence on stderr: this machine lacks what it takes.
set -euo pipefail
cd "$(dirname "$0")/../.."
HERE=$PWD/build/sanitizers
PYTHON=${PYTHON:-$PWD/.venv/bin/python}

cannot() { echo "the sanitizers cannot run here: $*" >&2; exit 77; }

[ "$(uname -s)" = Linux ] || cannot "this script preloads them as Linux does"
command -v g++ > /dev/null || cannot "g++ is missing"
# The compiler names a file that it does not have by its bare name.
LIBRARIES="$(g++ -print-file-name=libasan.so) $(g++ -print-file-name=libubsan.so)"
case "$LIBRARIES" in *" libubsan.so" | "libasan.so "*) cannot "g++ has no libasan and libubsan" ;; esac
mkdir -p "$HERE"

cmake -S kernels -B "$HERE/kernels" -DCMAKE_CXX_COMPILER=g++ -DPython_EXECUTABLE="$PYTHON" -DPETIT_SANITIZE=ON \
  > "$HERE/cmake.log"
cmake --build "$HERE/kernels" --parallel "${JOBS:-2}" > "$HERE/build.log" 2>&1 || { cat "$HERE/build.log" >&2; exit 1; }

# The package as it would be installed: the sources, by links, and the compiled kernels among them.
rm -rf "$HERE/package"
mkdir -p "$HERE/package"
cp -Rs "$PWD/src/petitlm" "$HERE/package/"
find "$HERE/package" \( -name "_kernels*.so" -o -name "_text*.so" \) -delete
ln -s "$HERE"/kernels/_kernels*.so "$HERE"/kernels/_text*.so "$HERE/package/petitlm/"

# An editable installation would come before PYTHONPATH; Python itself leaks, by design, at its end.
mkdir -p "$HERE/site"
cat > "$HERE/site/sitecustomize.py" << 'PY'
import sys
sys.meta_path[:] = [finder for finder in sys.meta_path if "petitlm" not in type(finder).__module__ + repr(finder)]
PY
export PYTHONPATH="$HERE/site:$HERE/package" PYTHONDONTWRITEBYTECODE=1 LD_PRELOAD="$LIBRARIES"
export ASAN_OPTIONS=detect_leaks=0:abort_on_error=0:halt_on_error=1 UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
exec "$PYTHON" "$@"
