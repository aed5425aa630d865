"""Checks of the machine: system, clock, card, power, heat. All files are found below one root."""

from __future__ import annotations

import ctypes
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

from facegate.access.schedule import CLOCK_UNSET_BEFORE
from facegate.doctor.finding import INSTALL, Finding, bad, ok, warning

ROOT = Path("/")
MODEL = Path("proc/device-tree/model")
COMMAND_LINE = Path("proc/cmdline")
MIN_FREE_MB = 200
MIN_FREE_SHARE = 0.02
WARM_C, HOT_C = 75.0, 80.0
"""A Pi slows down from 80 °C on. Source: Raspberry Pi documentation, "Frequency management and
thermal control"."""

OVERLAY = Path("etc/overlayroot.local.conf")
"""What deploy/read-only.sh writes."""

VOLTAGE_SENSOR = "rpi_volt"
"""The kernel's own sensor on every Pi: its alarm says that the voltage was low in the last seconds.
Source: drivers/hwmon/raspberrypi-hwmon.c of the kernel, whose file `in0_lcrit_alarm` it is.
"""

NOW_BITS = {0: "under-voltage", 1: "frequency capped", 2: "throttled", 3: "soft temperature limit"}
"""What the firmware's bits say is so now; 16 bits higher, that it was so since boot. Source:
Raspberry Pi documentation, `vcgencmd get_throttled`."""

WATCHDOG_OFF = ("", "0", "infinity")
"""What systemd says of a watchdog that it does not use."""

BETTER_POWER = "use the official power supply and a short cable; cool the board"

TIME_ERROR = 5
"""What adjtimex(2) returns while nothing keeps the clock right."""


def system(root: Path = ROOT, machine: str | None = None, bits: int | None = None) -> Finding:
    """Check that kernel and programs are of 64 bits, and say what this is."""
    machine = machine or platform.machine()
    bits = bits or (64 if sys.maxsize > 2**32 else 32)
    name = _os_name(root)
    model = text_of(root / MODEL).rstrip("\0")
    found = ", ".join(part for part in (model, name, f"{machine}, {bits}-bit programs") if part)
    if bits != 64 or machine not in ("aarch64", "x86_64"):
        return bad(
            "system",
            found,
            "the interpreter has no 32-bit wheels: write 64-bit Raspberry Pi OS to the card",
        )
    return ok("system", found)


def clock(
    state: Callable[[], int] | None = None,
    now: datetime | None = None,
    waits: bool = False,
    holidays: Sequence[date] = (),
) -> Finding:
    """Check that something keeps the clock right, and that hours find it as they need it.

    Args:
        state: what the kernel says of its clock.
        now: the time, by the clock.
        waits: whether hours or ends of passes wait for systemd-timesyncd.
        holidays: without hours.
    """
    now = now or datetime.now(UTC)
    if now < CLOCK_UNSET_BEFORE:
        return bad(
            "clock",
            f"it shows {now:%Y-%m-%d}",
            "connect a network or fit a clock with a battery: hours and the journal need the time",
        )
    state_now = (state or _kernel_clock)()
    if state_now == TIME_ERROR:
        found = "not synchronised"
        mend = "sudo systemctl enable --now systemd-timesyncd, and let it reach a time server"
        if waits:
            found += "; hours and ends of passes wait for that"
            mend += "; or set schedule.battery_clock: true if the clock is right by itself"
        return warning("clock", found, mend)
    if waits:
        return warning(
            "clock",
            "synchronised, but not by systemd-timesyncd: hours and ends of passes wait for it",
            "set schedule.battery_clock: true if the clock is right from the start, or chrony "
            "keeps it",
        )
    if holidays and max(holidays) < now.date():
        return warning(
            "clock",
            f"synchronised, but the last of schedule.holidays was {max(holidays)}",
            "name the next ones: hours hold on every day that is not among them",
        )
    return ok("clock", "synchronised")


def memory(root: Path = ROOT) -> Finding:
    """Check that the kernel keeps account of memory, so that the unit's limit holds."""
    controllers = root / "sys/fs/cgroup/cgroup.controllers"
    if not controllers.is_file():
        return ok("memory", "nothing known: no control groups of version 2 here")
    if "memory" in text_of(controllers).split():
        return ok("memory", "the unit's limit holds")
    return warning(
        "memory",
        "this kernel keeps no account of it, so the unit's MemoryMax= limits nothing",
        "this kernel ignores cgroup_enable=memory: sudo apt full-upgrade, and reboot"
        if "cgroup_enable=memory" in text_of(root / COMMAND_LINE)
        else "add cgroup_enable=memory to the one line of /boot/firmware/cmdline.txt, and reboot",
    )


def space(folder: Path) -> Finding:
    """Check the card below the state folder: room, inodes, and that it can be written."""
    place = next(p for p in (folder, *folder.parents) if p.exists())
    info = os.statvfs(place)
    free_mb = info.f_bavail * info.f_frsize / 2**20
    share = info.f_bavail / max(1, info.f_blocks)
    found = f"{free_mb:,.0f} MiB free ({share:.0%}) at {place}"
    if info.f_flag & os.ST_RDONLY:
        return bad(
            "space",
            f"{place} is read-only",
            "a card that fails is remounted so: see dmesg, replace the card, restore the backup",
        )
    if info.f_files and info.f_favail == 0:
        return bad("space", f"no inodes left at {place}", "delete files that are not needed")
    if free_mb < MIN_FREE_MB or share < MIN_FREE_SHARE:
        return bad("space", found, "sudo journalctl --vacuum-size=50M; sudo apt clean; then df -h")
    return ok("space", found)


def overlay(root: Path = ROOT) -> Finding:
    """Check that a system that is meant to be read-only is covered by an overlay."""
    if "overlayroot=" not in text_of(root / OVERLAY):
        return ok("overlay", "the system is not meant to be read-only")
    mounts = (line.split() for line in text_of(root / "proc/self/mounts").splitlines())
    if [kind for _, where, kind, *_ in mounts if where == "/"][-1:] == ["overlay"]:
        return ok(
            "overlay", "the system is read-only; what else is written is gone at the next boot"
        )
    return bad(
        "overlay",
        f"/{OVERLAY} asks for a read-only system, but it is written to",
        "sudo reboot if that was not done since; else sudo deploy/read-only.sh on again, which "
        "says what is missing",
    )


def power(root: Path = ROOT, ask: Callable[[], str] | None = None) -> Finding:
    """Check what the Pi's firmware says of voltage and throttling, or else the kernel's sensor."""
    said = (ask or _vcgencmd)()
    if not said.startswith("throttled="):
        return _voltage(root)
    bits = int(said.removeprefix("throttled=") or "0", 16)
    now = [name for bit, name in NOW_BITS.items() if bits >> bit & 1]
    before = [name for bit, name in NOW_BITS.items() if bits >> (bit + 16) & 1]
    if now:
        return bad("power", f"now: {', '.join(now)}", BETTER_POWER)
    if before:
        return warning("power", f"since the last start: {', '.join(before)}", BETTER_POWER)
    return ok("power", "no under-voltage, no throttling since the last start")


def _voltage(root: Path) -> Finding:
    sensors = root / "sys/class/hwmon"
    for name in sensors.glob("hwmon*/name"):
        alarm = text_of(name.with_name("in0_lcrit_alarm")).strip()
        if text_of(name).strip() == VOLTAGE_SENSOR and alarm:
            if alarm != "0":
                return bad("power", "now: under-voltage", BETTER_POWER)
            return ok(
                "power", "no under-voltage now; `sudo vcgencmd get_throttled` knows of before"
            )
    if "Raspberry Pi" in text_of(root / MODEL):
        return warning(
            "power",
            "nothing known: the firmware does not answer",
            "sudo, or the group video, for vcgencmd; where it is missing: "
            "sudo apt install raspi-utils",
        )
    return ok("power", "nothing known: no Raspberry Pi here")


def watchdog(root: Path = ROOT, ask: Callable[[], str] | None = None) -> Finding:
    """Check that the board's watchdog starts it anew when the kernel hangs."""
    if not list((root / "dev").glob("watchdog*")):
        return ok("watchdog", "nothing known: no hardware watchdog here")
    after = (ask or _runtime_watchdog)()
    if after in WATCHDOG_OFF:
        return warning(
            "watchdog",
            "off: a kernel that hangs in the middle of a pulse leaves the strike released",
            f"{INSTALL} again, or RuntimeWatchdogSec=15s below [Manager] in "
            "/etc/systemd/system.conf.d/facegate.conf, and reboot",
        )
    return ok("watchdog", f"a system that shows no life for {after} is started anew")


def heat(root: Path = ROOT) -> Finding:
    """Check how warm the processor is."""
    zones = sorted((root / "sys/class/thermal").glob("thermal_zone*/temp"))
    values = [int(text) / 1000 for zone in zones if (text := text_of(zone).strip()).isdigit()]
    if not values:
        return ok("heat", "nothing known: no thermal sensor here")
    hottest = max(values)
    found = f"{hottest:.0f} °C"
    mend = "give the case air or a fan; out of the sun; a hot Pi slows down from 80 °C on"
    if hottest >= HOT_C:
        return bad("heat", found, mend)
    return warning("heat", found, mend) if hottest >= WARM_C else ok("heat", found)


def _os_name(root: Path) -> str:
    for line in text_of(root / "etc/os-release").splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.split("=", 1)[1].strip('"')
    return ""


def text_of(path: Path) -> str:
    """Read a small file; empty where it is missing, may not be read, or is no text."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _vcgencmd() -> str:
    return said_by("vcgencmd", "get_throttled")


def _runtime_watchdog() -> str:
    return said_by("systemctl", "show", "--property=RuntimeWatchdogUSec", "--value")


def said_by(*command: str) -> str:
    """Give what a program prints; empty where it is missing, fails, or takes 10 seconds."""
    try:
        done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _kernel_clock() -> int:
    """Ask the kernel without changing anything. Source: adjtimex(2), `modes` of 0."""
    timex = ctypes.create_string_buffer(512)  # struct timex is 208 bytes
    return int(ctypes.CDLL(None, use_errno=True).adjtimex(timex))
