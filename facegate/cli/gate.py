"""`run` and `status`: the gate itself."""

from __future__ import annotations

import signal
import threading
from contextlib import ExitStack
from typing import Annotated, Any

import typer

from facegate import parts
from facegate.access.audit import newest
from facegate.cli.options import CameraSource, ConfigFile, running_daemon
from facegate.cli.output import AsJson, emit
from facegate.config import Config, fingerprint, load_config
from facegate.control.server import ControlServer
from facegate.daemon import Gate, with_overrides
from facegate.errors import DaemonError, FacegateError
from facegate.journal import Journal, default_journal
from facegate.recorder import Recorder
from facegate.safekeeper import SafeKeeper


def run(
    config: ConfigFile = None,
    camera: CameraSource = None,
    fake_relay: Annotated[
        bool, typer.Option("--fake-relay", help="Drive no GPIO line; for trying things out.")
    ] = False,
) -> None:
    """Watch the door until stopped (SIGTERM, Ctrl-C) or until a file camera ends.

    SIGHUP reads the settings again: access, door rules and hours change without a restart.
    """
    settings = with_overrides(load_config(config), camera, fake_relay)
    stopping, reloading = threading.Event(), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    signal.signal(signal.SIGHUP, lambda *_: reloading.set())
    journal = default_journal()
    # The lines first: from the relay's claim on the strike is held, whatever fails after it.
    with ExitStack() as stack:
        lines = stack.enter_context(parts.lines_from(settings))
        vision = parts.load_vision(settings)
        store = stack.enter_context(parts.open_store(settings, vision.model_id))
        trail = stack.enter_context(parts.open_audit(settings))
        journal.add(
            stack.enter_context(Recorder(trail, lambda why: journal.emit("audit_failed", why)))
        )
        trail.cut = lambda cut: journal.emit(
            "audit_cut", f"{cut.removed} records so far", removed=cut.removed
        )
        backups = parts.rolling_backups(settings)
        every_s = settings.backup.every_h * 3600
        stack.enter_context(SafeKeeper(store, backups, journal, every_s))
        _say_changed(settings, journal)
        journal.emit(
            "started",
            f"{vision.embedder.model.card.architecture} on {vision.embedder.model.runtime}, "
            f"{vision.embedder.model.delegate}",
            model=vision.model_id,
            settings=fingerprint(settings),
        )
        eye = stack.enter_context(parts.camera_from(settings))
        journal.emit("camera_opened", eye.description)

        def reload_if_asked() -> None:
            if not reloading.is_set():
                return
            reloading.clear()
            try:
                gate.obey(with_overrides(load_config(config), camera, fake_relay))
            except FacegateError as error:
                journal.emit("settings_refused", str(error))

        gate = Gate(
            settings,
            vision,
            store,
            eye,
            lines,
            journal,
            reopen=lambda: parts.camera_from(settings),
        )
        stack.enter_context(ControlServer(settings.socket_path, gate, journal.emit))
        try:
            gate.run(stopping, reload_if_asked)
        except DaemonError as error:
            journal.emit("part_failed", str(error))
            raise
        counts = {name: c.counts for name, c in gate.channels.items()}
        dropped = ", ".join(f"{n} {c.dropped} of {c.put}" for n, c in counts.items())
        journal.emit("stopped", f"relay released; dropped: {dropped}")


def _say_changed(settings: Config, journal: Journal) -> None:
    """Say where other settings are in force than at the last start."""
    started = (r for r in newest(settings.audit_path) if r.event == "started")
    before = next((str(r.facts.get("settings")) for r in started), None)
    now = fingerprint(settings)
    if before not in (None, now):
        journal.emit("settings_changed", f"from {before} to {now}", settings=now)


def status(config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Say how the running gate is doing."""
    answer = running_daemon(load_config(config)).status()
    emit(answer, as_json, _lines(answer))


def _in_force(s: dict[str, Any]) -> str:
    return "".join(f", {rule}" for rule in ("lockdown", "tamper", "lockout") if s[rule])


def _lines(s: dict[str, Any]) -> list[str]:
    lines = [
        f"camera      {s['camera']}",
        f"up          {s['uptime_s']:.0f} s, {s['detected_fps']:.1f} frames a second",
        f"door        {s['door']}{_in_force(s)}",
        f"people      {s['people']} (threshold {s['threshold']:.3f}; of 1,000 strangers "
        f"{s['false_accepts_per_1000']:.2g} pass one look)",
        f"model       {s['model_id']}",
        f"last event  {s['last_event']}",
    ]
    lines += [
        f"queue       {name:<10} {q['put']} in, {q['dropped']} dropped, "
        f"at most {q['most_waiting']} of {q['capacity']} waiting"
        for name, q in s["queues"].items()
    ]
    return lines
