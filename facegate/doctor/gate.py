"""Checks of the gate's own parts: networks, store, lines, camera."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np

from facegate import parts
from facegate.access.audit_age import DAY_S, overdue
from facegate.access.keys import is_protected, is_sealed
from facegate.access.likeness import Likeness
from facegate.access.passes import BLOCKED
from facegate.access.person import Person
from facegate.access.store import Store
from facegate.config import Config
from facegate.control.client import ControlClient
from facegate.doctor.finding import INSTALL, Finding, bad, ok, warning
from facegate.doctor.machine import ROOT
from facegate.errors import StoreError
from facegate.vision.card import read_card
from facegate.vision.preprocess import FACE_PX
from facegate.vision.tflite import TFLiteModel

DELEGATE = "XNNPACK"
LONGEST_WAIT_S = 1.5
"""Who is looked at as often as a grant needs should not have to wait longer."""

TURN_LOOK_S = 0.2
"""Of a quarter of a second, what finding the face leaves for the embedder."""

SMALLER = "inception_resnet_lite"
"""The embedder for slower boards."""

ENDED_LONG_AGO_DAYS = 30

OVERDUE_DAYS = 8
"""The gate itself looks once a day, and needs a week to believe a clock that it began with."""

NAMED_AT_MOST = 5
"""Pairs of people who are too near to each other."""


def detector(settings: Config) -> Finding:
    """Run the detector once."""
    network = parts.load_detector(settings)
    network.detect(np.zeros((240, 320, 3), np.uint8))
    return _network("detector", network.model, "")


def refiner(settings: Config) -> Finding:
    """Run the refiner once."""
    network = parts.load_refiner(settings)
    side = network.side_px
    network.heads(np.zeros((side, side, 3), np.uint8))
    return _network("refiner", network.model, "")


def embedder(settings: Config) -> Finding:
    """Run the embedder, say how long a look takes and at which distance people match."""
    vision = parts.load_vision(settings)
    noise = np.random.default_rng(0).integers(0, 256, (FACE_PX, FACE_PX, 3), dtype=np.uint8)
    looks_s = []
    for _ in range(3):
        began_s = time.monotonic()
        vision.embedder.embed(noise)
        looks_s.append(time.monotonic() - began_s)
    look_s, votes = min(looks_s), settings.access.votes_needed
    threshold = parts.threshold_for(settings, vision.calibration, 1)
    said = (
        f"; {1000 * look_s:.0f} ms a look; threshold {threshold:.3f} for one person at FMR "
        f"{settings.access.target_fmr:g}"
    )
    finding = _network("embedder", vision.embedder.model, said)
    if finding.state != "ok":
        return finding
    larger = vision.embedder.model.card.architecture != SMALLER
    quicker = f"set models.embedder: {SMALLER}, or " if larger else ""
    if votes * look_s > LONGEST_WAIT_S:
        mend = f"visitors wait {votes * look_s:.1f} s for the {votes} looks of access.votes_needed"
        return warning("embedder", finding.found, f"{mend}: {quicker}need fewer")
    if settings.access.liveness is not None and look_s > TURN_LOOK_S:
        mend = "a turn of the head is seen in four looks a second or more"
        return warning("embedder", finding.found, f"{mend}: {quicker}access.liveness: null")
    return finding


def _network(check: str, model: TFLiteModel, said: str) -> Finding:
    found = f"{model.card.architecture}, {model.runtime}, {model.delegate}{said}"
    if model.delegate != DELEGATE:
        return bad(
            check,
            found,
            "several times slower so: /proc/cpuinfo must be readable (no ProcSubset=pid in the "
            f"unit); then {INSTALL} again",
        )
    return ok(check, found)


def store(settings: Config, daemon: ControlClient | None) -> Finding:
    """Open store and key, or ask who holds them."""
    path = settings.store_path
    if daemon is None and not path.exists():
        return ok("store", f"{path}: not made yet, nobody is enrolled")
    if daemon:
        return _people("held by the daemon", daemon.people(), daemon.likenesses())
    with _store(settings) as opened:
        people, likenesses = opened.people(), parts.likenesses_in(settings, opened)
    return _people(f"{path}: the key fits", people, likenesses)


def enrolled(settings: Config, daemon: ControlClient | None) -> list[Person]:
    """List who is enrolled, by the daemon or in the store; makes no store."""
    if daemon:
        return daemon.people()
    if not settings.store_path.exists():
        return []
    with _store(settings) as opened:
        return opened.people()


def _store(settings: Config) -> Store:
    model_id = read_card(parts.embedder_path(settings), "embedder").model_id
    return parts.open_store(settings, model_id)


def _people(where: str, people: list[Person], likenesses: list[Likeness]) -> Finding:
    long_ago_wall = time.time() - ENDED_LONG_AGO_DAYS * DAY_S
    stale = sum(p.until_wall is not None and BLOCKED < p.until_wall < long_ago_wall for p in people)
    found, mends = [f"{where}, {len(people)} people"], []
    if alike := _too_near(people, likenesses):
        more = f" and {len(alike) - NAMED_AT_MOST} more" if len(alike) > NAMED_AT_MOST else ""
        found.append(f"too near to each other: {', '.join(alike[:NAMED_AT_MOST])}{more}")
        mends.append(
            "the door may not decide between them: facegate enroll NAME --more for both, and "
            "facegate people show NAME"
        )
    if stale:
        found.append(f"of {stale} the pass ended more than {ENDED_LONG_AGO_DAYS} days ago")
        mends.append(
            "who does not come back should be forgotten: facegate people list, then sudo facegate "
            "people forget NUMBER"
        )
    if not mends:
        return ok("store", found[0])
    return warning("store", "; ".join(found), "; ".join(mends))


def _too_near(people: list[Person], likenesses: list[Likeness]) -> list[str]:
    """Name the pairs in which one is the other's nearest, and within the threshold."""
    names = {p.person_id: p.name for p in people}
    pairs = {
        frozenset((one.person_id, one.nearest))
        for one in likenesses
        if one.too_near and one.nearest is not None
    }
    return sorted(" and ".join(sorted(names.get(n, f"person {n}") for n in pair)) for pair in pairs)


def key(settings: Config, root: Path = ROOT) -> Finding:
    """Say where the store's key lies, and whom that keeps out."""
    if is_sealed():
        if list((root / "sys/class/tpmrm").glob("*")):
            return ok("key", "a systemd credential, sealed with this machine's TPM")
        return ok("key", "a systemd credential, sealed with the host key, on the same card")
    try:
        if not settings.key_path.exists():
            return ok("key", "not made yet")
        if is_protected(settings.key_path):
            return ok("key", "sealed by a passphrase")
    except (PermissionError, StoreError):
        return ok("key", "nothing known without sudo")
    return ok(
        "key",
        f"{settings.key_path}, in plain: whoever has the card has the key; only a passphrase that "
        "lies elsewhere keeps them out (facegate key protect)",
    )


def trail(settings: Config, believed: bool, now_s: float | None = None) -> Finding:
    """Look for records that should have been taken out for their age.

    Args:
        settings: of the gate.
        believed: whether the clock can be.
        now_s: seconds since the epoch; None is now.
    """
    path, days = settings.audit_path, settings.audit.keep_days
    now_s = time.time() if now_s is None else now_s
    try:
        if not path.exists():
            return ok("audit", "nothing was recorded yet")
    except PermissionError:
        return ok("audit", "nothing known without sudo")
    if days is None:
        return ok("audit", "records are kept for ever (audit.keep_days)")
    before_s = now_s - (days + OVERDUE_DAYS) * DAY_S
    if not (old := overdue(path, before_s, now_s)):
        return ok("audit", f"nothing is older than {days:g} days")
    found = f"{old} are older than {days:g} days"
    if believed:
        why = "it never ran for 12 hours, nor for a week without a longer pause than a weekend"
    else:
        why = "nothing vouches for the clock (line clock)"
    return warning(
        "audit", f"{found}: {why}", "where the time is right (date): sudo facegate audit trim"
    )


def pin(settings: Config) -> Finding:
    """Look for the door's PIN where one is asked for."""
    if settings.door.second_factor != "pin":
        return ok("pin", "none is asked for")
    try:
        there = settings.pin_path.exists()
    except PermissionError:
        return bad("pin", f"{settings.state_folder}: may not be read", "use sudo")
    if there:
        return ok("pin", "set")
    return bad(
        "pin",
        "door.second_factor is pin, but there is none: no face opens",
        "start facegate, then `sudo facegate door pin`",
    )


def gpio(settings: Config, daemon: ControlClient | None, devices: Path = Path("/dev")) -> Finding:
    """Claim every line that is configured, and let it go."""
    wired = _wired(settings)
    where = f"{settings.gpio.chip}: {', '.join(wired)}"
    if settings.gpio.driver == "fake":
        return ok("gpio", "fake lines: nothing is driven")
    if daemon:
        return ok("gpio", f"{where}; held by the daemon")
    if not list(devices.glob("gpiochip*")):
        return bad("gpio", "this machine has no gpiochip", "run on a Pi, or set gpio.driver: fake")
    with parts.lines_from(settings):
        return ok("gpio", f"{where}; can be claimed")


def _wired(settings: Config) -> list[str]:
    found = []
    for section in ("door", "panel"):
        for name, part in getattr(settings, section):
            line = getattr(part, "line", None)
            if line is not None:
                found.append(f"{name} {line}")
    return found


def camera(settings: Config, daemon: ControlClient | None, source: str | None) -> Finding:
    """Take one picture, or ask the daemon whether it gets any."""
    if daemon and source is None:
        status = daemon.status()
        if lost := status.get("camera_lost"):
            return bad("camera", f"lost: {lost}", "check its cable and power, and dmesg")
        if "camera" in status["stalled"]:
            return bad("camera", "no sign of life", "check its cable and power, and dmesg")
        return ok("camera", f"{status['camera']}: {status['detected_fps']:.1f} frames a second")
    with parts.camera_from(settings, source) as eye:
        frame = next(iter(eye.frames(threading.Event())), None)
    if frame is None:
        return bad("camera", f"{eye.description}: no picture", "check its cable")
    height, width = frame.pixels.shape[:2]
    return ok("camera", f"{eye.description}: {width}×{height} pixels")
