"""`run`: the gate itself."""

from __future__ import annotations

import signal
import threading
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from facegate import parts
from facegate.access.store import Store
from facegate.cli.options import CameraSource, ConfigFile, daemon_of
from facegate.clock_watch import ClockWatch
from facegate.config import Config, differences, fingerprint, load_config
from facegate.control.server import ControlServer
from facegate.daemon import Gate
from facegate.errors import CameraError, DaemonError, FacegateError, RelayError
from facegate.events import EventName
from facegate.feed import Feed
from facegate.hardware.camera import Camera
from facegate.hardware.camera_reopen import AbsentCamera
from facegate.hold import leave_note
from facegate.journal import Journal, default_sink
from facegate.memory import use_one_arena
from facegate.metrics import Metrics
from facegate.outbox import Outbox
from facegate.recorder import Recorder, last_start, revision_before
from facegate.repeats import Repeats
from facegate.safekeeper import SafeKeeper
from facegate.unlock_hours import clock_believed
from facegate.vision.card import card_path, sha256_of
from facegate.vision.tflite import TFLiteModel

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
    settings = _overridden(load_config(config), camera, fake_relay)
    asked = _Asked()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, asked.to_stop)
    signal.signal(signal.SIGHUP, asked.to_reload)
    with ExitStack() as stack:
        # Nobody waits for the journal: the strike is held on time, though its reader may stand.
        outbox = stack.enter_context(Outbox(default_sink(), "facegate-journal", JOURNAL_PATIENCE_S))
        journal = Journal(Repeats(outbox), names=settings.journal.names)
        try:
            gate = _begin(stack, journal, settings, camera)
        except FacegateError as error:
            journal.emit("start_failed", str(error))
            raise
        stopping = threading.Event()

        clock = ClockWatch(
            lambda s: journal.emit("clock_set", f"by {timedelta(seconds=round(s))}", forward_s=s)
        )

        def chores() -> None:
            journal.settle()
            clock.look()
            if asked.stop:
                stopping.set()
            if not asked.reload:
                return
            asked.reload = False
            try:
                gate.obey(_overridden(load_config(config), camera, fake_relay))
            except Exception as error:  # whatever is wrong with the file, the door goes on
                journal.emit("settings_refused", str(error) or type(error).__name__)

        try:
            gate.run(stopping, chores)
        except Exception as error:
            journal.emit(*event_of(error))
            raise
        finally:
            journal.settle(at_end=True)
        counts = {name: c.counts for name, c in gate.channels.items()}
        dropped = ", ".join(f"{n} {c.dropped} of {c.put}" for n, c in counts.items())
        journal.emit("stopped", f"relay released; dropped: {dropped}")


def event_of(error: Exception) -> tuple[EventName, str]:
    """Give event and message for what ends the gate: a relay that is not obeyed is worse."""
    name: EventName = "relay_failed" if isinstance(error.__cause__, RelayError) else "part_failed"
    return name, str(error) if isinstance(error, FacegateError) else repr(error)


class _Asked:
    """What signals ask for.

    Plain attributes: a handler runs between any two steps of the thread that looks at them, and
    would wait for ever for a lock that this thread holds.
    """

    def __init__(self) -> None:
        self.stop = self.reload = False

    def to_stop(self, *_: object) -> None:
        self.stop = True

    def to_reload(self, *_: object) -> None:
        self.reload = True


def _begin(stack: ExitStack, journal: Journal, settings: Config, camera: str | None) -> Gate:
    """Make the gate and all that it needs; the stack closes them.

    Raises:
        FacegateError: something cannot be had.
    """
    # The lines first: from the relay's claim on the strike is held, whatever fails after it.
    leave_note(settings)
    lines = stack.enter_context(parts.lines_from(settings))
    feed = Feed()
    journal.add(feed)
    if daemon_of(settings) is not None:  # before anything is recorded of this one
        raise DaemonError(f"{settings.socket_path}: another facegate runs already; stop it first")
    vision = parts.load_vision(settings)
    store = stack.enter_context(parts.open_store(settings, vision.model_id))
    _record(stack, journal, settings, store)
    backups = parts.rolling_backups(settings)
    every_s = settings.backup.every_h * 3600
    stack.enter_context(SafeKeeper(store, backups, journal, every_s))
    _say_started(journal, settings, vision.embedder.model, store.revision)
    eye = stack.enter_context(_eye(settings, journal, must_be_there=camera is not None))
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
    stack.enter_context(ControlServer(settings.socket_path, gate.commands, journal.emit, feed=feed))
    return gate


def _record(stack: ExitStack, journal: Journal, settings: Config, store: Store) -> None:
    """Have the journal recorded from here on; first say what store and trail tell of the past."""
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
    known, revision = revision_before(settings.audit_path), store.revision
    if known is not None and known != revision:
        event: EventName = "store_older" if revision < known else "store_newer"
        journal.emit(event, f"revision {revision}, by the audit trail {known}")
    trail.cut = lambda cut: journal.emit(
        "audit_cut", f"{cut.removed} records so far", removed=cut.removed
    )
    trail.believed = lambda: clock_believed(settings.schedule.battery_clock)
    trail.unnoted = lambda why: journal.emit("audit_failed", why)


def _say_started(journal: Journal, settings: Config, embedder: TFLiteModel, revision: int) -> None:
    """Say with what the gate starts, and whether that is other than at the last start."""
    now = {
        "settings": fingerprint(settings),
        "card": sha256_of(card_path(embedder.card.path))[:16],
    }
    for what, before in last_start(settings.audit_path).items():
        if what in now and before != now[what]:
            journal.emit("settings_changed", f"{what}: from {before} to {now[what]}", **now)
    journal.emit(
        "started",
        f"{embedder.card.architecture} on {embedder.runtime}, {embedder.delegate}",
        model=embedder.card.model_id,
        **now,
        revision=revision,
        changed=", ".join(differences(settings)) or "nothing",
    )


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


def _overridden(config: Config, camera: str | None, fake_relay: bool) -> Config:
    """Apply the options of `facegate run` to the configuration."""
    if camera:
        config = config.model_copy(
            update={"camera": config.camera.model_copy(update={"source": camera})}
        )
    if fake_relay:
        gpio = config.gpio.model_copy(update={"driver": "fake"})
        config = config.model_copy(update={"gpio": gpio})
    return config
