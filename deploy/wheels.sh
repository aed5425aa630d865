#!/usr/bin/env bash
# Collect every wheel facegate needs, for an installation without a network:
#   deploy/wheels.sh OUT [3.11|3.13] [aarch64|x86_64]
set -euo pipefail
cd "$(dirname "$0")/.."
out="${1:?usage: deploy/wheels.sh OUT [3.11|3.13] [aarch64|x86_64]}"
version="${2:-3.11}" machine="${3:-aarch64}"
mkdir -p "$out"
# Bookworm's picamera2 is built for numpy 1, and this is the last OpenCV that takes it.
older=()
if [ "$version" = 3.11 ]; then older=("numpy<2" "opencv-python-headless<4.12"); fi
python3 -m pip wheel --quiet --no-deps --wheel-dir "$out" .
python3 -m pip download --quiet --dest "$out" --only-binary=:all: --python-version "$version" \
    --implementation cp --platform "manylinux_2_28_$machine" --platform "manylinux_2_27_$machine" \
    --platform "manylinux_2_17_$machine" --platform "manylinux2014_$machine" \
    "${older[@]}" "$out"/facegate-*.whl
echo "$(find "$out" -name '*.whl' | wc -l) wheels for Python $version on $machine in $out"
