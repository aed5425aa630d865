# shellcheck shell=bash
# Sourced by the scripts beside it: prepare EXTRAS makes .venv and installs facegate with them.

prepare() {
    local python="${PYTHON:-python3}"
    if ! "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))'; then
        echo "facegate needs Python 3.11 to 3.14; name one with PYTHON=/path/to/python3.11" >&2
        exit 2
    fi
    if ! [ -x .venv/bin/pip ]; then
        rm -rf .venv
        if ! "$python" -m venv .venv; then
            echo "on Debian: sudo apt install python3-venv" >&2
            exit 2
        fi
    fi
    # Nothing to do when neither the extras nor the project's file changed since the last time.
    local wanted
    wanted="$1 $(sha256sum pyproject.toml) $(.venv/bin/python -V)"
    if [ "$(cat .venv/prepared 2>/dev/null)" = "$wanted" ]; then return; fi
    echo "installing into .venv ($1) ..." >&2
    .venv/bin/pip install --quiet --disable-pip-version-check -e ".[$1]"
    echo "$wanted" > .venv/prepared
}
