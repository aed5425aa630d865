#!/usr/bin/env bash
# Pin every Python package of an installation, with its hashes, into deploy/locked/. Run it after a
# change of pyproject's dependencies, and to take newer versions; needs PyPI and uv (pip install uv).
set -euo pipefail
cd "$(dirname "$0")/.."
command -v uv > /dev/null || { echo "lock.sh: uv is missing: pip install uv" >&2; exit 1; }

pin() { # SOURCE OUT PYTHON: the hashes of every machine's wheels are in it, not just aarch64's
    uv pip compile --quiet --upgrade --generate-hashes --only-binary :all: --python-version "$3" \
        --python-platform aarch64-manylinux_2_28 --default-index https://pypi.org/simple \
        --no-annotate --custom-compile-command deploy/lock.sh "${@:4}" -o "deploy/locked/$2" "$1"
}

# numpy is Debian's own, because picamera2 is built for it; the rest must suit that version.
# backports.strenum 1.3 is for Pythons before 3.11, which pip minds and uv does not.
for suite in bookworm:3.11:1.24.2 trixie:3.13:2.2.4; do
    IFS=: read -r name python numpy <<< "$suite"
    echo "$name: Python $python, numpy $numpy"
    pin pyproject.toml "$python.txt" "$python" --no-emit-package numpy \
        --constraints <(printf '%s\n' "numpy==$numpy" 'backports-strenum<1.3')
done
# What makes facegate's own wheel; these are plain Python and the same everywhere.
echo hatchling | pin - build.txt 3.11
