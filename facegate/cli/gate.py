"""`run`: the gate itself."""

from __future__ import annotations

import signal
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from facegate import parts
from facegate.cli.options import CameraSource, ConfigFile
from facegate.config import Config, differences, fingerprint, load_config
from facegate.control.server import ControlServer
from facegate.daemon import Gate, with_overrides
from facegate.errors import CameraError, DaemonError, FacegateError
from facegate.hardware.camera import Camera
from facegate.hardware.camera_reopen import AbsentCamera
from facegate.hold import leave_note
from facegate.journal import Journal, default_sink
from facegate.memory import use_one_arena
from facegate.metrics import Metrics
from facegate.outbox import Outbox
from facegate.recorder import Recorder, revision_before, settings_before
from facegate.repeats import Repeats
from facegate.safekeeper import SafeKeeper

JOURNAL_PATIENCE_S = 1.0
"""So long the end waits for a journal that takes nothing."""


def run(
    config: ConfigFile = None,
    camera: CameraSource = None,
    fake_relay: Annotated[
        bool, typer.Option("--fake-relay", help="Drive no GPIO line; for trying things out.")
    ] = False,
) -> None:
    """Watch the door until stopped (SIGTERM, Ctrl-C) or until a file camera ends.

    SIGHUP reads the settings again: access, door rules and hours change without a restart. Where
    the configured camera is missing, the door goes on without it until it is there; one that
    `--camera` names has to be there.
    """
    use_one_arena()
    settings = with_overrides(load_config(config), camera, fake_relay)
    stopping, reloading = threading.Event(), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    signal.signal(signal.SIGHUP, lambda *_: reloading.set())
    with ExitStack() as stack:
        # Nobody waits for the journal: the strike is held on time, though its reader may stand.
        outbox = stack.enter_context(Outbox(default_sink(), "facegate-journal", JOURNAL_PATIENCE_S))
        journal = Journal(Repeats(outbox), names=settings.journal.names)
        # The lines first: from the relay's claim on the strike is held, whatever fails after it.
        leave_note(settings)
        lines = stack.enter_context(parts.lines_from(settings))
        vision = parts.load_vision(settings)
        store = stack.enter_context(parts.open_store(settings, vision.model_id))
        trail = stack.enter_context(parts.open_audit(settings))
        journal.add(
            stack.enter_context(
                Recorder(
                    trail,
                    failed=lambda why: journal.emit("audit_failed", why),
                    missed=lambda n: journal.emit("records_lost", f"{n} events", missing=n),
                    revision=lambda: store.revision,
                )
            )
        )
        if trail.is_new and (people := len(store.people())):
            journal.emit("audit_missing", f"{people} people are enrolled", people=people)
        if (known := revision_before(settings.audit_path)) > (revision := store.revision):
            journal.emit("store_older", f"revision {revision}, it had reached {known}")
        trail.cut = lambda cut: journal.emit(
            "audit_cut", f"{cut.removed} records so far", removed=cut.removed
        )
        backups = parts.rolling_backups(settings)
        every_s = settings.backup.every_h * 3600
        stack.enter_context(SafeKeeper(store, backups, journal, every_s))
        before, now = settings_before(settings.audit_path), fingerprint(settings)
        if before not in (None, now):
            journal.emit("settings_changed", f"from {before} to {now}", settings=now)
        journal.emit(
            "started",
            f"{vision.embedder.model.card.architecture} on {vision.embedder.model.runtime}, "
            f"{vision.embedder.model.delegate}",
            model=vision.model_id,
            settings=now,
            revision=revision,
            changed=", ".join(differences(settings)) or "nothing",
        )
        eye = stack.enter_context(_eye(settings, journal, must_be_there=camera is not None))

        def chores() -> None:
            journal.settle()
            if not reloading.is_set():
                return
            reloading.clear()
            try:
                wanted = with_overrides(load_config(config), camera, fake_relay)
            except Exception as error:  # whatever is wrong with the file, the door goes on
                journal.emit("settings_refused", str(error))
                return
            try:
                gate.obey(wanted)
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
        if settings.metrics.textfile is not None:
            metrics = Metrics(
                Path(settings.metrics.textfile),
                settings.metrics.every_s,
                gate.status,
                lambda why: journal.emit("metrics_failed", why),
            )
            journal.add(metrics)
            stack.enter_context(metrics)
        stack.enter_context(ControlServer(settings.socket_path, gate.commands, journal.emit))
        try:
            gate.run(stopping, chores)
        except DaemonError as error:
            journal.emit("part_failed", str(error))
            raise
        finally:
            journal.settle(at_end=True)
        counts = {name: c.counts for name, c in gate.channels.items()}
        dropped = ", ".join(f"{n} {c.dropped} of {c.put}" for n, c in counts.items())
        journal.emit("stopped", f"relay released; dropped: {dropped}")


def _eye(settings: Config, journal: Journal, must_be_there: bool) -> Camera:
    """Open the camera, or stand in for one that is missing: the door has a button as well."""
    try:
        eye = parts.camera_from(settings)
    except CameraError as error:
        if must_be_there:
            raise
        return AbsentCamera(settings.camera.source, error)
    journal.emit("camera_opened", eye.description)
    return eye
