"""Hands events to the audit trail without making anybody wait for the disk."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from pathlib import Path

from facegate.access.audit import AuditTrail, newest
from facegate.closing import Closing
from facegate.errors import StoreError
from facegate.events import EventName
from facegate.journal import Event

RECORDED: frozenset[EventName] = frozenset(
    {
        *("started", "ready", "stopped", "stalled", "part_failed"),
        *("camera_lost", "camera_back"),
        *("granted", "grant_refused", "denied", "unknown", "duress"),
        *("second_factor_refused", "decision_too_old"),
        *("door_unlocked", "door_locked", "door_opened", "door_closed"),
        *("door_held_open", "door_forced_open", "tamper_began", "tamper_ended"),
        *("lockdown_began", "lockdown_ended", "lockout_began", "lockout_ended"),
        *("enrol_armed", "enrol_button_ignored", "enrol_began", "enrolled", "enrolment_refused"),
        *("person_renamed", "person_removed", "person_forgotten", "role_changed"),
        *("pin_set", "settings_reloaded", "settings_refused"),
        *("group_changed", "note_changed", "templates_dropped", "settings_changed"),
        "backup_restored",
        *("commanded", "command_refused"),
    }
)
WAITING_AT_MOST = 4096


class Recorder(Closing):
    """A journal sink with a thread of its own; a context manager that writes what waits.

    Args:
        trail: where records go; closed by its owner.
        failed: called once, from the thread, with why nothing can be recorded any more.

    Attributes:
        lost: events that could not be recorded.
    """

    def __init__(self, trail: AuditTrail, failed: Callable[[str], None] = lambda _: None) -> None:
        self._trail, self._failed = trail, failed
        self._waiting: queue.Queue[Event | None] = queue.Queue(WAITING_AT_MOST)
        self.lost = 0
        self._thread = threading.Thread(target=self._write, name="facegate-audit", daemon=True)
        self._thread.start()

    def __call__(self, event: Event) -> None:
        """Take an event; those that are not recorded are let pass."""
        if event.name not in RECORDED:
            return
        try:
            self._waiting.put_nowait(event)
        except queue.Full:
            self.lost += 1

    def close(self) -> None:
        """Write what waits and end; may be called again."""
        if self._thread.is_alive():
            self._waiting.put(None)
            self._thread.join()

    def _write(self) -> None:
        told = False
        while (event := self._waiting.get()) is not None:
            try:
                # The message may hold a name; the fields name people by number.
                facts = {k: v.item() if hasattr(v, "item") else v for k, v in event.fields.items()}
                self._trail.append(event.name, facts, event.wall_s, event.mono_s)
                told = False
            except StoreError as error:
                self.lost += 1
                if not told:
                    told = True
                    self._failed(str(error))


def settings_before(path: Path) -> str | None:
    """Give the fingerprint of the settings at the last start that a trail tells of, or None.

    Raises:
        StoreError: the trail cannot be read.
    """
    started = (record for record in newest(path) if record.event == "started")
    return next((str(record.facts["settings"]) for record in started), None)
