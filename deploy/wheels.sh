#!/usr/bin/env bash
# Collect every wheel of an installation, each checked against its hash in deploy/locked/:
#   deploy/wheels.sh OUT [3.11|3.13] [aarch64|x86_64]
# PYTHON names the interpreter whose pip does it; any version will do.
set -euo pipefail
out="$(realpath -m "${1:?usage: deploy/wheels.sh OUT [3.11|3.13] [aarch64|x86_64]}")"
version="${2:-3.13}" machine="${3:-aarch64}" python="${PYTHON:-python3}"
cd "$(dirname "$0")/.."
lock="deploy/locked/$version.txt"
[ -f "$lock" ] || { echo "wheels.sh: Python $version is not locked: no $lock" >&2; exit 2; }
mkdir -p "$out"
pip=("$python" -m pip --quiet --disable-pip-version-check)

"${pip[@]}" download --dest "$out" --no-deps --require-hashes --only-binary=:all: \
    --python-version "$version" --implementation cp --platform "manylinux_2_28_$machine" \
    --platform "manylinux_2_27_$machine" --platform "manylinux_2_17_$machine" \
    --platform "manylinux2014_$machine" -r "$lock"

# facegate's own wheel, made by packages that are locked too.
maker="$(mktemp -d)"
trap 'rm -rf "$maker"' EXIT
"${pip[@]}" install --target "$maker" --no-deps --require-hashes -r deploy/locked/build.txt
rm -f "$out"/facegate-*.whl
PYTHONPATH="$maker" "${pip[@]}" wheel --no-deps --no-build-isolation --wheel-dir "$out" .
echo "$(find "$out" -name '*.whl' | wc -l) wheels for Python $version on $machine in $out"
