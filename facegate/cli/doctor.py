"""`doctor`: is everything there that a gate needs? Each line is ok, or says the mend."""

from __future__ import annotations

import importlib
import importlib.metadata
import platform
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import typer

from facegate import parts
from facegate.cli.options import CameraSource, ConfigFile, daemon_of
from facegate.cli.output import AsJson, emit
from facegate.config import Config, load_config
from facegate.errors import FacegateError
from facegate.vision.preprocess import FACE_PX


@dataclass(frozen=True)
class Finding:
    """One check: whether it is well, what was found, and the mend if it is not."""

    check: str
    ok: bool
    found: str
    mend: str = ""


def doctor(config: ConfigFile = None, camera: CameraSource = None, as_json: AsJson = False) -> None:
    """Check Python, packages, models, camera, GPIO and store; exit status 1 if one is amiss."""
    settings = load_config(config)
    checks: list[tuple[str, Callable[[], Finding]]] = [
        ("python", _python),
        ("packages", _packages),
        ("detector", lambda: _detector(settings)),
        ("embedder", lambda: _embedder(settings)),
        ("store", lambda: _store(settings)),
        ("gpio", lambda: _gpio(settings)),
        ("camera", lambda: _camera(settings, camera)),
    ]
    if settings.door.second_factor == "pin":
        checks.append(("pin", lambda: _pin(settings)))
    findings = []
    for name, run in checks:
        try:
            findings.append(run())
        except FacegateError as error:
            said = str(error)
            found, _, mend = said.partition("; ")
            findings.append(Finding(name, False, found, mend or "see the message"))
    lines = [_line(f) for f in findings]
    emit([asdict(f) for f in findings], as_json, lines)
    if not all(f.ok for f in findings):
        raise typer.Exit(1)


def _line(f: Finding) -> str:
    state = "ok  " if f.ok else "BAD "
    mend = "" if f.ok else f"\n              mend: {f.mend}"
    return f"{state} {f.check:<9} {f.found}{mend}"


def _python() -> Finding:
    bits = platform.architecture()[0]
    found = f"Python {platform.python_version()}, {platform.machine()}, {bits}"
    ok = sys.version_info >= (3, 11) and bits == "64bit"
    return Finding("python", ok, found, "use a 64-bit system with Python 3.11 or newer")


def _packages() -> Finding:
    missing = []
    for name in ("cv2", "typer", "yaml", "cryptography", "gpiod"):
        try:
            importlib.import_module(name)
        except ImportError:
            missing.append(name)
    if missing:
        return Finding(
            "packages", False, f"missing: {', '.join(missing)}", "pip install facegate again"
        )
    version = importlib.metadata.version("facegate")
    return Finding("packages", True, f"facegate {version}, numpy {np.__version__}")


def _detector(settings: Config) -> Finding:
    detector = parts.load_detector(settings)
    detector.detect(np.zeros((240, 320, 3), np.uint8))
    model = detector.model
    found = f"{model.card.architecture}, {model.runtime}, {model.delegate}"
    return Finding("detector", True, found)


def _embedder(settings: Config) -> Finding:
    vision = parts.load_vision(settings)
    noise = np.random.default_rng(0).integers(0, 256, (FACE_PX, FACE_PX, 3), dtype=np.uint8)
    vision.embedder.embed(noise)
    model = vision.embedder.model
    threshold = parts.threshold_for(settings, vision.calibration, 1)
    return Finding(
        "embedder",
        True,
        f"{model.card.architecture} {vision.model_id}, {model.delegate}; threshold "
        f"{threshold:.3f} for one person at FMR {settings.access.target_fmr:g}",
    )


def _store(settings: Config) -> Finding:
    if client := daemon_of(settings):
        return Finding("store", True, f"held by the daemon, {len(client.people())} people")
    if not settings.store_path.exists():
        return Finding("store", True, f"{settings.store_path}: not made yet, nobody is enrolled")
    from facegate.cli.options import offline_store

    with offline_store(settings) as store:
        people = store.people()
    return Finding("store", True, f"{settings.store_path}: {len(people)} people")


def _gpio(settings: Config) -> Finding:
    where = f"{settings.gpio.chip} {settings.door.relay.line}"
    if settings.gpio.driver == "fake":
        return Finding("gpio", True, "fake relay: no line is driven")
    if daemon_of(settings):
        return Finding("gpio", True, f"{where}: held by the daemon")
    if not list(Path("/dev").glob("gpiochip*")):
        return Finding(
            "gpio",
            False,
            "this machine has no gpiochip",
            "run on a Pi, or set gpio.driver: fake",
        )
    parts.relay_from(settings).close()
    return Finding("gpio", True, f"{where}: can be claimed")


def _pin(settings: Config) -> Finding:
    try:
        there = settings.pin_path.exists()
    except PermissionError:
        return Finding("pin", False, f"{settings.state_folder}: may not be read", "use sudo")
    found = "set" if there else "door.second_factor is pin, but there is none: no face opens"
    return Finding("pin", there, found, "start facegate, then `facegate door pin`")


def _camera(settings: Config, source: str | None) -> Finding:
    if daemon_of(settings) and source is None:
        return Finding("camera", True, "held by the daemon")
    import threading

    with parts.camera_from(settings, source) as camera:
        frame = next(iter(camera.frames(threading.Event())))
        height, width = frame.pixels.shape[:2]
        return Finding("camera", True, f"{camera.description}: {width}×{height} pixels")
