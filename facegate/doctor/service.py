"""Checks of the installation: Python, packages, unit, journal. Files are found below one root."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from facegate.doctor.finding import INSTALL, Finding, bad, ok, warning
from facegate.doctor.machine import ROOT

UNIT = "facegate.service"
UNIT_FOLDERS = ("etc/systemd/system", "usr/local/lib/systemd/system", "usr/lib/systemd/system",
                "lib/systemd/system")  # fmt: skip
WANTS = Path("etc/systemd/system/multi-user.target.wants")
JOURNALS = ("var/log/journal", "run/log/journal")
SYSTEM_PACKAGES = Path("usr/lib/python3/dist-packages")
TESTED = ((3, 11), (3, 13))
"""The Pythons of Raspberry Pi OS bookworm and trixie."""

NEEDED = ("cv2", "typer", "yaml", "cryptography", "gpiod")


def python() -> Finding:
    """Check the version."""
    found = f"Python {sys.version.split()[0]} at {sys.prefix}"
    if tuple(sys.version_info[:2]) not in TESTED:
        versions = " and ".join(f"{major}.{minor}" for major, minor in TESTED)
        return warning("python", found, f"facegate is tested with {versions}: use one of them")
    return ok("python", found)


def packages() -> Finding:
    """Check that everything imports."""
    missing = []
    for name in NEEDED:
        try:
            importlib.import_module(name)
        except ImportError:
            missing.append(name)
    if missing:
        return bad("packages", f"missing: {', '.join(missing)}", f"{INSTALL} again")
    version = importlib.metadata.version("facegate")
    return ok("packages", f"facegate {version}, numpy {np.__version__}")


def camera_stack(
    wanted: bool, root: Path = ROOT, used: str = np.__version__, installed: bool | None = None
) -> Finding:
    """Check picamera2, and that it meets the numpy that it was built against.

    Args:
        wanted: whether the configured camera needs it.
        root: where the system's packages are looked for.
        used: version of the numpy in use.
        installed: whether picamera2 can be imported; None finds out.
    """
    if installed is None:
        installed = importlib.util.find_spec("picamera2") is not None
    if not installed:
        if not wanted:
            return ok("picamera2", "not installed, and the configured camera does not need it")
        return bad(
            "picamera2",
            "not installed, but camera.source asks for it",
            "sudo apt install --no-install-recommends python3-picamera2, in a virtual environment "
            "with system packages; or set camera.source",
        )
    folder = root / SYSTEM_PACKAGES
    versions = [
        match[1]
        for path in (*folder.glob("numpy-*.dist-info"), *folder.glob("numpy-*.egg-info"))
        if (match := re.match(r"numpy-([\d.]+)", path.name))
    ]
    apt = versions[0].rstrip(".") if versions else None
    if apt is not None and apt != used:
        return bad(
            "picamera2",
            f"built for the system's numpy {apt}, but numpy {used} is in use",
            "pip uninstall numpy in the virtual environment, so that the system's is used",
        )
    return ok("picamera2", f"installed, numpy {used}{' is the system’s' if apt else ''}")


def unit(root: Path = ROOT, state: Callable[[], str] | None = None) -> Finding:
    """Check that the service is installed, starts with the machine, and runs."""
    places = [root / folder / UNIT for folder in UNIT_FOLDERS]
    here = next((p for p in places if os.path.lexists(p)), None)
    if here is None:
        return warning("unit", f"{UNIT} is not installed", f"{INSTALL}, or run `facegate run`")
    if here.is_symlink() and os.readlink(here) == "/dev/null":
        return bad("unit", f"{UNIT} is masked", f"sudo systemctl unmask {UNIT}")
    if not os.path.lexists(root / WANTS / UNIT):
        return bad(
            "unit",
            f"{UNIT} does not start with the machine",
            f"sudo systemctl enable --now {UNIT}",
        )
    states = (state or _unit_state)() if root == ROOT or state else "active"
    if not states.startswith(("active", "activating", "reloading")):
        mend = f"journalctl -u facegate says why; then sudo systemctl restart {UNIT}"
        return bad("unit", f"{UNIT} does not run: {states}", mend)
    return ok("unit", f"{UNIT} is installed and enabled")


def _unit_state() -> str:
    """Give the unit's state and last result, as systemd says them; "active" where it is not."""
    try:
        shown = subprocess.run(
            ["systemctl", "show", "-p", "ActiveState", "-p", "Result", UNIT],
            capture_output=True,
            encoding="utf-8",
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return "active"
    told = dict(line.partition("=")[::2] for line in shown.stdout.splitlines())
    return f"{told.get('ActiveState', 'active')} ({told.get('Result', 'unknown')})"


def journal(root: Path = ROOT) -> Finding:
    """Check that the journal is kept, and that this user may read it."""
    folders = [root / name for name in JOURNALS]
    files = []
    for folder in folders:
        try:
            files += list(folder.glob("*/*.journal"))
        except OSError:
            continue
    if not files:
        if any(f.is_dir() for f in folders) and os.geteuid() != 0:
            return warning(
                "journal",
                "you may not read it",
                f"sudo adduser {os.environ.get('USER', 'YOU')} systemd-journal, then log in again",
            )
        return warning(
            "journal", "this machine keeps no journal", "run systemd, or `facegate run` by hand"
        )
    if not any(os.access(f, os.R_OK) for f in files):
        return warning(
            "journal",
            "you may not read it",
            f"sudo adduser {os.environ.get('USER', 'YOU')} systemd-journal, then log in again",
        )
    if not any(f.is_relative_to(folders[0]) for f in files):
        return warning(
            "journal",
            "readable, but forgotten at every start",
            f"{INSTALL} again, which writes "
            "/etc/systemd/journald.conf.d/facegate.conf: Raspberry Pi OS asks for "
            "Storage=volatile, which a later file has to overrule with Storage=persistent",
        )
    return ok("journal", f"readable, {len(files)} file(s)")
