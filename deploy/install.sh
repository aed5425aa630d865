#!/usr/bin/env bash
# Install, upgrade or remove facegate on 64-bit Raspberry Pi OS (bookworm, trixie) or Debian.
# Run it again to upgrade: settings, key and people stay, and a version that fails its own check is
# not switched to.
set -euo pipefail

PREFIX=/opt/facegate
CONFIG=/etc/facegate
STATE=/var/lib/facegate
UNITS=/etc/systemd/system
KEEP_RELEASES=2

usage() {
    cat <<'TEXT'
usage: sudo deploy/install.sh [--dry-run] [--wheels DIR] [--no-apt]
       sudo deploy/install.sh --uninstall [--purge] [--dry-run]

  --dry-run     say what would be done, change nothing
  --wheels DIR  take every Python package from DIR (see deploy/wheels.sh); no network
  --no-apt      install no Debian packages
  --uninstall   remove the program; settings, key and enrolled people stay
  --purge       with --uninstall: remove those too
TEXT
}

dry=no wheels="" apt=yes uninstall=no purge=no
while [ $# -gt 0 ]; do
    case "$1" in
        --dry-run) dry=yes ;;
        --wheels) wheels="${2:?--wheels needs a folder}"; shift ;;
        --no-apt) apt=no ;;
        --uninstall) uninstall=yes ;;
        --purge) purge=yes ;;
        -h | --help) usage; exit 0 ;;
        *) usage >&2; echo "install.sh: unknown option $1" >&2; exit 2 ;;
    esac
    shift
done

say() { echo "facegate: $*"; }
fail() { echo "facegate: $*" >&2; exit 1; }
run() {
    if [ "$dry" = yes ]; then echo "  would run: $*"; else "$@"; fi
}
booted() { [ -d /run/systemd/system ]; }

cd "$(dirname "$0")/.."
[ -f pyproject.toml ] || fail "run it from a checkout of facegate"
if [ "$dry" = no ] && [ "$(id -u)" != 0 ]; then fail "needs root: sudo deploy/install.sh"; fi

if [ "$uninstall" = yes ]; then
    if booted; then run systemctl disable --now facegate.service || true; fi
    run rm -f "$UNITS/facegate.service" /usr/lib/sysusers.d/facegate.conf \
        /usr/lib/tmpfiles.d/facegate.conf /usr/lib/systemd/catalog/facegate.catalog \
        /etc/systemd/journald.conf.d/facegate.conf /usr/local/bin/facegate
    run rm -rf "$PREFIX"
    if booted; then run systemctl daemon-reload; fi
    run journalctl --update-catalog
    if [ "$purge" = yes ]; then
        run rm -rf "$CONFIG" "$STATE"
        say "removed, with settings and enrolled people."
    else
        say "removed. Kept: $CONFIG (settings), $STATE (people and their key)."
    fi
    exit 0
fi

# What it needs.
case "$(uname -m)" in
    aarch64 | x86_64) ;;
    *) fail "$(uname -m): needs a 64-bit system; on a Pi, the 64-bit Raspberry Pi OS" ;;
esac
# shellcheck source=/dev/null
[ ! -f /etc/os-release ] || . /etc/os-release
case "${VERSION_CODENAME:-}" in
    bookworm | trixie) ;;
    *) say "warning: ${PRETTY_NAME:-this system} is untried; bookworm and trixie are supported" ;;
esac
if [ -n "$wheels" ]; then
    wheels="$(realpath -e "$wheels")" || fail "$wheels: no such folder"
    ls "$wheels"/*.whl > /dev/null 2>&1 || fail "$wheels: no wheels in it; see deploy/wheels.sh"
fi

if [ "$apt" = yes ]; then
    packages="python3 python3-venv python3-systemd libgl1 libglib2.0-0"
    # picamera2 must match the system's libcamera, so it comes from Raspberry Pi OS itself.
    if apt-cache show python3-picamera2 > /dev/null 2>&1; then
        packages="$packages python3-picamera2"
    fi
    say "Debian packages: $packages"
    # shellcheck disable=SC2086
    run env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $packages
fi
python=/usr/bin/python3
[ -x "$python" ] || [ "$dry" = yes ] || fail "$python is missing; leave out --no-apt"

# The program, in a folder of its own beside the one that runs.
release="$PREFIX/releases/$(date -u +%Y%m%dT%H%M%S)"
say "program: $release"
run mkdir -p "$PREFIX/releases"
# System packages stay visible for picamera2 and systemd; what facegate needs else is its own.
run "$python" -m venv --system-site-packages "$release"
# picamera2 is built for the system's numpy; with another one beside it, it does not import.
constraints="$(mktemp)"
trap 'rm -f "$constraints"' EXIT
"$python" -c 'import numpy; print("numpy==" + numpy.__version__)' > "$constraints" 2> /dev/null || true
options=(--quiet --disable-pip-version-check --constraint "$constraints")
if [ -n "$wheels" ]; then
    run "$release/bin/pip" install "${options[@]}" --no-index --find-links "$wheels" facegate
else
    run "$release/bin/pip" install "${options[@]}" .
fi

# Files around it.
say "user, units, catalog"
run install -D -m 644 systemd/facegate.sysusers /usr/lib/sysusers.d/facegate.conf
run install -D -m 644 systemd/facegate.tmpfiles /usr/lib/tmpfiles.d/facegate.conf
run install -D -m 644 systemd/facegate.catalog /usr/lib/systemd/catalog/facegate.catalog
run install -D -m 644 systemd/journald-facegate.conf /etc/systemd/journald.conf.d/facegate.conf
run install -D -m 644 systemd/facegate.service "$UNITS/facegate.service"
run systemd-sysusers
run systemd-tmpfiles --create facegate.conf
if [ ! -f "$CONFIG/config.yaml" ]; then
    run install -D -m 644 config.yaml "$CONFIG/config.yaml"
    say "settings: $CONFIG/config.yaml (defaults; set gpio.chip and the lines)"
else
    say "settings: $CONFIG/config.yaml kept"
fi
run journalctl --update-catalog

# Its own check decides whether it is switched to.
if [ "$dry" = no ]; then
    if ! "$release/bin/facegate" config check "$CONFIG/config.yaml" > /dev/null ||
        ! "$release/bin/python" -I - <<'PY'
from facegate import parts
from facegate.config import Config

vision = parts.load_vision(Config())
print(f"facegate: networks load, {vision.embedder.model.delegate}")
PY
    then
        rm -rf "$release"
        fail "the new version fails its own check; nothing was switched, the old one goes on"
    fi
fi
previous="$(readlink "$PREFIX/venv" 2> /dev/null || true)"
run ln -sfn "$release" "$PREFIX/venv"
run ln -sfn "$PREFIX/venv/bin/facegate" /usr/local/bin/facegate

if booted; then
    run systemctl daemon-reload
    run systemctl enable facegate.service
    if ! run systemctl restart facegate.service && [ -n "$previous" ]; then
        ln -sfn "$previous" "$PREFIX/venv"
        systemctl restart facegate.service || true
        rm -rf "$release"
        fail "the new version does not start; back to $previous. See: journalctl -u facegate"
    fi
fi
if [ "$dry" = no ]; then
    find "$PREFIX/releases" -mindepth 1 -maxdepth 1 | sort | head -n "-$KEEP_RELEASES" |
        xargs -r rm -rf
fi
say "done. Next: facegate doctor; then add operators: adduser NAME facegate"
