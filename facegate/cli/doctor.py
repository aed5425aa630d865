"""`doctor`: is everything there that a gate needs? Each line is ok, or says the mend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

import typer

from facegate.cli.options import CameraSource, ConfigFile, daemon_of
from facegate.cli.output import AsJson, emit
from facegate.config import Config, load_config
from facegate.control.client import ControlClient
from facegate.doctor import firmware, gate, machine, service
from facegate.doctor.finding import Finding
from facegate.errors import FacegateError
from facegate.unlock_hours import clock_believed

WORDS = {"ok": "ok  ", "warning": "look", "bad": "BAD "}


def doctor(config: ConfigFile = None, camera: CameraSource = None, as_json: AsJson = False) -> None:
    """Check machine, installation and every part of the gate; exit status 1 if one is bad."""
    settings = load_config(config)
    daemon = daemon_of(settings)
    wants_pi = (camera or settings.camera.source).startswith("picamera2")
    checks: dict[str, Callable[[], Finding]] = {
        "system": machine.system,
        "python": service.python,
        "packages": service.packages,
        "picamera2": lambda: service.camera_stack(wants_pi),
        "detector": lambda: gate.detector(settings),
        "refiner": lambda: gate.refiner(settings),
        "embedder": lambda: gate.embedder(settings),
        "store": lambda: gate.store(settings, daemon),
        "key": lambda: gate.key(settings),
        "audit": lambda: gate.trail(settings, clock_believed(settings.schedule.battery_clock)),
        "gpio": lambda: gate.gpio(settings, daemon),
        "boot": lambda: firmware.relay_at_boot(settings),
        "camera": lambda: gate.camera(settings, daemon, camera),
        "pin": lambda: gate.pin(settings),
        "clock": lambda: _clock(settings, daemon),
        "space": lambda: machine.space(settings.state_folder),
        "overlay": machine.overlay,
        "watchdog": machine.watchdog,
        "power": machine.power,
        "heat": machine.heat,
        "memory": machine.memory,
        "unit": service.unit,
        "journal": service.journal,
    }
    findings = [_run(name, check) for name, check in checks.items()]
    emit(
        [{**asdict(f), "ok": f.state != "bad"} for f in findings],
        as_json,
        [_line(f) for f in findings],
    )
    if any(f.state == "bad" for f in findings):
        raise typer.Exit(1)


def _clock(settings: Config, daemon: ControlClient | None) -> Finding:
    schedule = settings.schedule
    timed = [g for g in schedule.groups if g.windows or schedule.holidays]
    for_hours = bool(schedule.unlock or timed)
    waits = not clock_believed(schedule.battery_clock)
    return machine.clock(
        waits=waits and (for_hours or _passes_end(settings, daemon)),
        holidays=schedule.holidays if for_hours else [],
    )


def _passes_end(settings: Config, daemon: ControlClient | None) -> bool:
    """Whether anybody's pass has an end; False where nobody may look."""
    try:
        return any(p.until_wall for p in gate.enrolled(settings, daemon))
    except (FacegateError, PermissionError):  # said by the check of the store
        return False


def _run(name: str, check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except FacegateError as error:
        found, _, mend = str(error).partition("; ")
        return Finding(name, "bad", found, mend or "see the message")
    except PermissionError as error:
        return Finding(name, "bad", f"{error.filename}: may not be looked at", "use sudo")


def _line(f: Finding) -> str:
    mend = f"\n               mend: {f.mend}" if f.mend else ""
    return f"{WORDS[f.state]} {f.check:<9} {f.found}{mend}"
