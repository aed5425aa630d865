#!/usr/bin/env bash
# Install, upgrade or remove facegate on 64-bit Raspberry Pi OS (bookworm, trixie) or Debian.
# Run it again to upgrade: settings, key and people stay, and a version that fails its own check, or
# does not start where the old one ran, or sees nothing where the old one saw, is not kept.
set -euo pipefail

PREFIX=/opt/facegate
CONFIG=/etc/facegate
STATE=/var/lib/facegate
BACKUPS=/var/backups/facegate
UNITS=/etc/systemd/system
TIMERS="facegate-verify.timer facegate-backup.timer"
SHIPPED_UNITS="facegate.service facegate-verify.service facegate-backup.service \
    facegate-tell.service $TIMERS"
# A new version has to run so long before the old one is given up.
SETTLE_S=5

usage() {
    cat <<'TEXT'
usage: sudo deploy/install.sh [--dry-run] [--wheels DIR] [--no-apt]
       sudo deploy/install.sh --uninstall [--purge] [--dry-run]

  --dry-run     say what would be done, change nothing
  --wheels DIR  take every Python package from DIR (see deploy/wheels.sh), none from the network
  --no-apt      install no Debian packages; with --wheels nothing needs a network
  --uninstall   remove the program; settings, key and enrolled people stay
  --purge       with --uninstall: overwrite and remove those too
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
# What holds keys and people is overwritten first; deleted only, it would stay on the card.
wipe() {
    local path
    for path in "$@"; do
        [ ! -e "$path" ] || run find "$path" -type f -exec shred --iterations=1 --remove {} + ||
            say "warning: not all of $path could be overwritten" >&2
    done
}
booted() { [ -d /run/systemd/system ]; }

# What lies outside $PREFIX, from the release that it belongs to.
put_files() {
    local files="$1/share/facegate/systemd" unit
    run install -D -m 644 "$files/facegate.sysusers" /usr/lib/sysusers.d/facegate.conf
    run install -D -m 644 "$files/facegate.tmpfiles" /usr/lib/tmpfiles.d/facegate.conf
    run install -D -m 644 "$files/facegate.catalog" /usr/lib/systemd/catalog/facegate.catalog
    run install -D -m 644 "$files/journald-facegate.conf" /etc/systemd/journald.conf.d/facegate.conf
    if [ "$dry" = yes ] || [ -f "$files/system-facegate.conf" ]; then
        run install -D -m 644 "$files/system-facegate.conf" /etc/systemd/system.conf.d/facegate.conf
    fi
    for unit in $SHIPPED_UNITS; do
        if [ "$dry" = yes ] || [ -f "$files/$unit" ]; then
            run install -D -m 644 "$files/$unit" "$UNITS/$unit"
        else  # an older version has none
            systemctl --quiet disable --now "$unit" || true
            rm -f "$UNITS/$unit"
        fi
    done
    run systemd-sysusers facegate.conf
    run systemd-tmpfiles --create facegate.conf
    run journalctl --update-catalog
    run ln -sfn "$1" "$PREFIX/venv"
    run ln -sfn "$PREFIX/venv/bin/facegate" /usr/local/bin/facegate
}

# Start the release that is in place; true if it got ready and then went on running.
start() {
    run systemctl daemon-reload
    run systemctl reset-failed facegate.service 2> /dev/null || true
    run systemctl restart facegate.service || return 1
    run sleep "$SETTLE_S"
    [ "$dry" = yes ] || { systemctl --quiet is-active facegate.service &&
        [ "$(systemctl show -P NRestarts facegate.service)" = 0 ]; }
}

# Whether pictures come: a gate without a camera runs all the same, and says so.
sees() {
    case "$(systemctl show -P StatusText facegate.service)" in "camera lost"*) return 1 ;; esac
}

# Whether the new version's network is the one that the enrolled people's templates are of.
knows_everybody() {
    "$release/bin/python" -I - "$CONFIG/config.yaml" <<'PY'
import sys
from pathlib import Path

from facegate.access.store_file import kept_model
from facegate.cli.options import embedder_model
from facegate.config import load_config

settings = load_config(Path(sys.argv[1]))
sys.exit(kept_model(settings.store_path) not in (None, embedder_model(settings)))
PY
}

# The form that a store is in, by its log too; nothing where that cannot be told.
form() {
    "$python" -I - "$1" 2> /dev/null <<'PY'
import sqlite3
import sys
from contextlib import closing

with closing(sqlite3.connect(f"file:{sys.argv[1]}?mode=rw", uri=True)) as store:
    print(store.execute("PRAGMA user_version").fetchone()[0])
PY
}

# Copy a store with what only its log holds yet; the copy has no log.
copy_store() {
    "$python" -I - "$1" "$2" <<'PY'
import sqlite3
import sys
from contextlib import closing

with closing(sqlite3.connect(f"file:{sys.argv[1]}?mode=rw", uri=True)) as store:
    with closing(sqlite3.connect(sys.argv[2])) as copy:
        store.backup(copy)
PY
    chown --reference="$1" "$2"
    chmod --reference="$1" "$2"
}

# Back to the version and the units that ran, and to the store where the new version changed its
# form: else nothing that was done meanwhile is undone. True if it runs again.
roll_back() {
    trap '' INT TERM HUP
    systemctl stop facegate.service || true
    put_files "$previous" || true
    if [ -f "$work/people.db" ] &&
        [ "$(form "$STATE/people.db")" != "$(form "$work/people.db")" ]; then
        if cp -a "$work/people.db" "$STATE/people.db.back"; then
            rm -f "$STATE"/people.db-*
            mv "$STATE/people.db.back" "$STATE/people.db" || true
        else
            rm -f "$STATE/people.db.back"
        fi
    fi
    start || return 1
    down=no
}

# However it ends: no door stays without its gate, and no half-made version on the card.
finish() {
    status=$?
    set +e  # nobody may be there any more to be told
    trap - EXIT
    trap '' INT TERM HUP
    if [ "$down" = yes ]; then
        say "broken off; back to $previous" >&2
        roll_back || say "$previous does not start: journalctl -u facegate" >&2
    fi
    if [ "$dry" = no ] && [ -n "$release" ] && [ "$(readlink "$PREFIX/venv")" != "$release" ]; then
        rm -rf "$release"
    fi
    wipe "$work"/people.db*
    rm -rf "$work"
    exit "$status"
}

umask 022  # root's own may keep the service's user from what is installed
if [ -n "$wheels" ]; then
    given="$wheels"
    wheels="$(realpath -e "$given" 2> /dev/null)" || fail "$given: no such folder"
    ls "$wheels"/facegate-*.whl > /dev/null 2>&1 ||
        fail "$wheels: no wheel of facegate in it; see deploy/wheels.sh"
fi
cd "$(dirname "$0")/.."
if [ "$dry" = no ] && [ "$(id -u)" != 0 ]; then fail "needs root: sudo deploy/install.sh"; fi
if [ -f /etc/overlayroot.local.conf ] && findmnt --noheadings --types overlay / > /dev/null; then
    fail "the system is read-only, nothing would last: first deploy/read-only.sh off, and reboot"
fi

if [ "$uninstall" = yes ]; then
    if booted; then
        # shellcheck disable=SC2086
        run systemctl disable --quiet --now facegate.service facegate-tell.service $TIMERS || true
    fi
    for unit in $SHIPPED_UNITS; do run rm -f "$UNITS/$unit" "$UNITS"/*.wants/"$unit"; done
    run rm -f /usr/lib/sysusers.d/facegate.conf /usr/lib/tmpfiles.d/facegate.conf \
        /usr/lib/systemd/catalog/facegate.catalog /etc/systemd/journald.conf.d/facegate.conf \
        /etc/systemd/system.conf.d/facegate.conf /usr/local/bin/facegate
    run rmdir --ignore-fail-on-non-empty /etc/systemd/journald.conf.d /etc/systemd/system.conf.d \
        2> /dev/null || true
    run rm -rf "$PREFIX" /var/lib/facegate-tell /var/lib/private/facegate-tell
    run journalctl --update-catalog
    if booted; then run systemctl daemon-reload; fi
    if [ "$purge" = yes ]; then
        for path in "$CONFIG" "$STATE" "$BACKUPS"; do
            wipe "$path"
            if mountpoint --quiet "$path"; then  # of deploy/read-only.sh
                run find "$path" -mindepth 1 -delete
                run umount "$path"
                run sed -i "\\: $path none bind:d" /etc/fstab
            fi
            run rm -rf "$path"
        done
        if getent passwd facegate > /dev/null; then run userdel facegate; fi
        if getent group facegate > /dev/null; then run groupdel facegate; fi
        say "removed, with settings and enrolled people. Kept: the journal, Debian's packages."
    else
        say "removed. Kept: $CONFIG (settings), $STATE (people, key, audit trail)," \
            "$BACKUPS, the user facegate, the journal, Debian's packages."
    fi
    exit 0
fi

# What it needs.
[ -f pyproject.toml ] || fail "run it from a checkout of facegate"
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

if [ "$apt" = yes ]; then
    packages="python3 python3-venv python3-numpy python3-systemd"
    # A fresh system's lists may be older than what its servers still have.
    run apt-get update || say "warning: no newer lists of packages; going on with those that are here"
    # picamera2 must match the system's libcamera, so it comes from Raspberry Pi OS itself.
    if apt-cache show python3-picamera2 > /dev/null 2>&1; then
        packages="$packages python3-picamera2"
    elif grep --quiet --text "Raspberry Pi" /proc/device-tree/model 2> /dev/null; then
        say "warning: no package python3-picamera2 here, so no camera on the ribbon cable: is this" \
            "Raspberry Pi OS, with archive.raspberrypi.com among its sources? A USB camera works"
    fi
    say "Debian packages: $packages"
    # shellcheck disable=SC2086
    run env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $packages
fi
python=/usr/bin/python3
version="$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2> /dev/null || true)"
lock="deploy/locked/$version.txt"
if [ "$dry" = no ]; then
    [ -n "$version" ] || fail "$python is missing; leave out --no-apt"
    [ -f "$lock" ] || fail "Python $version: not one of those that facegate is made for, 3.11 and 3.13"
    "$python" -c 'import numpy' 2> /dev/null ||
        fail "Debian's numpy is missing; leave out --no-apt, or: apt install python3-numpy"
fi

# The program, in a folder of its own beside the one that runs. System packages stay visible for
# numpy, picamera2 and systemd; what facegate needs else is its own, and each file's hash is known.
release="" down=no
work="$(mktemp -d)"
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
release="$PREFIX/releases/$(date -u +%Y%m%dT%H%M%S)"
say "program: $release"
run install -d -m 755 "$PREFIX" "$PREFIX/releases"
run "$python" -m venv --system-site-packages "$release"
if [ -z "$wheels" ]; then
    wheels="$work/wheels"
    run env PYTHON="$release/bin/python" deploy/wheels.sh "$wheels" "$version" "$(uname -m)"
fi
pip=("$release/bin/pip" install --quiet --disable-pip-version-check --no-index --no-deps)
run "${pip[@]}" --require-hashes --find-links "$wheels" -r "$lock"
run "${pip[@]}" "$wheels"/facegate-*.whl
run mkdir -p "$release/share/facegate/docs"
run cp -r systemd deploy "$release/share/facegate/"
run cp docs/operating.md docs/data-protection.md "$release/share/facegate/docs/"

# Its own check decides whether it is switched to.
if [ ! -f "$CONFIG/config.yaml" ]; then
    run install -D -m 644 config.yaml "$CONFIG/config.yaml"
    say "settings: $CONFIG/config.yaml (defaults; set the lines that are wired)"
else
    say "settings: $CONFIG/config.yaml kept"
fi
if [ "$dry" = no ]; then
    if ! "$release/bin/facegate" config check "$CONFIG/config.yaml" > /dev/null ||
        ! "$release/bin/python" -I - <<'PY'
from facegate import parts
from facegate.config import Config

vision = parts.load_vision(Config())
print(f"facegate: networks load, {vision.embedder.model.delegate}")
PY
    then
        fail "the new version fails its own check; nothing was switched, the old one goes on"
    fi
fi

# The switch. Where the old version ran and the new one does not, all is put back as it was.
previous="$(readlink "$PREFIX/venv" 2> /dev/null || true)"
say "user, units, catalog"
if ! booted; then
    put_files "$release"
    # shellcheck disable=SC2086
    run systemctl --quiet enable facegate.service facegate-tell.service $TIMERS
else
    ran=no saw=no
    if [ -n "$previous" ] && systemctl --quiet is-active facegate.service; then
        ran=yes
        if sees; then saw=yes; fi
        if [ "$dry" = no ] && ! knows_everybody; then
            fail "the new version brings another face network, to which nobody is known: nothing" \
                "was switched, the old one goes on. See 'A new network' in docs/operating.md"
        fi
    fi
    if [ "$dry" = no ]; then down="$ran"; fi
    run systemctl stop facegate.service 2> /dev/null || true
    # A new version may bring the store into a form that the old one cannot read.
    if [ "$ran" = yes ] && [ -f "$STATE/people.db" ]; then
        run copy_store "$STATE/people.db" "$work/people.db.part"
        run mv "$work/people.db.part" "$work/people.db"
    fi
    put_files "$release"
    run systemctl restart systemd-journald.service
    run systemctl daemon-reload
    # shellcheck disable=SC2086
    run systemctl --quiet enable --now $TIMERS
    run systemctl --quiet enable facegate.service facegate-tell.service
    if ! start || { [ "$saw" = yes ] && [ "$dry" = no ] && ! sees; }; then
        if [ "$ran" = yes ]; then
            if ! roll_back; then
                down=no
                fail "neither the new version starts nor the old one: journalctl -u facegate"
            fi
            fail "the new version does not start, or finds no camera; back to $previous." \
                "See: journalctl -u facegate"
        fi
        say "installed, but it does not start yet: see facegate doctor, set it up in" \
            "$CONFIG/config.yaml, then: systemctl restart facegate"
        exit 0
    fi
fi
down=no
# Last, and waited for by nobody: the door is at work. Nothing happens where nobody is to be told.
if booted; then run systemctl --no-block restart facegate-tell.service || true; fi
if [ "$dry" = no ]; then  # the one before stays, to go back to by hand
    find "$PREFIX/releases" -mindepth 1 -maxdepth 1 ! -path "$release" ! -path "$previous" \
        -exec rm -rf {} +
fi
say "done. Next: facegate doctor; then add operators: adduser NAME facegate"
