"""The whole life of a Debian system with facegate on it, from fresh system to removal.

It is built and booted; inside, appliance_probe.py tries everything and writes what it saw.
"""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from debian import PYTHONS, ROOT, boot, build, inside, wheels

PACKAGES = "systemd,systemd-sysv,dbus,passwd,python3,python3-venv,python3-systemd,python3-numpy"
SETTINGS = """
camera: {source: "file:/srv/door.jpg", loop: true, fps: 5}
gpio: {driver: fake}
access: {votes_needed: 1}
"""
PROBE_UNIT = """
[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/usr/bin/python3 /srv/probe.py
ExecStopPost=/usr/bin/systemctl exit 0
TimeoutStartSec=infinity
[Install]
WantedBy=default.target
"""
STILLBORN = (
    "ExecStartPre=/bin/sh -c 'echo spoiled > /var/lib/facegate/people.db; false; #stillborn'"
)
"""A unit's line: as it starts, this version spoils the store for the old one, then fails."""


def make(suite, folder, picture):
    """Make a system that will install facegate from wheels when it boots, without a network."""
    tree = folder / suite
    build(tree, suite, PACKAGES)
    wheels(tree / "root/wheels", PYTHONS[suite], os.uname().machine)
    source, stillborn = tree / "root/source", tree / "root/stillborn"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".*", "runs", "facegate-demo"))
    shutil.copytree(source, stillborn)
    unit = stillborn / "systemd/facegate.service"
    unit.write_text(unit.read_text().replace("Type=notify", f"Type=notify\n{STILLBORN}"))
    (tree / "srv/door.jpg").write_bytes(picture)
    (tree / "srv/config.yaml").write_text(SETTINGS)
    shutil.copy(Path(__file__).with_name("appliance_probe.py"), tree / "srv/probe.py")
    (tree / "etc/systemd/system/probe.service").write_text(PROBE_UNIT)
    # Debian's own timers (apt's, dpkg's backup) go off at a time of day, and what they write would
    # look like something that removing facegate leaves behind.
    for timer in (tree / "usr/lib/systemd/system").glob("*.timer"):
        (tree / "etc/systemd/system" / timer.name).symlink_to("/dev/null")
    inside(tree, "/usr/bin/systemctl", "enable", "probe.service")
    return tree


@dataclass(frozen=True)
class Life:
    """A system after its life, and what the probe saw in it."""

    tree: Path
    seen: dict


def life(suite, folder, picture):
    """Build a system and let it live."""
    tree = make(suite, folder, picture)
    console = boot(tree, timeout_s=500) + boot(tree, timeout_s=900)
    result = tree / "srv/seen.json"
    assert result.exists(), console[-3000:]
    return Life(tree, json.loads(result.read_text()))
