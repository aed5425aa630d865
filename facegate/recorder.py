"""Hands events to the audit trail without making anybody wait for the disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from facegate.access.audit import AuditTrail, Fact, newest
from facegate.access.audit_record import ROTATED
from facegate.closing import Closing
from facegate.errors import StoreError
from facegate.events import EventName
from facegate.journal import Event
from facegate.outbox import Outbox

UNRECORDED: frozenset[EventName] = frozenset(
    {
        # What came of them is recorded.
        *("face_refused", "person_changed", "turn_wanted", "second_factor_wanted"),
        *("second_factor_expired", "door_authorised", "door_prolonged", "door_held_open_warning"),
        *("camera_opened", "stall_over", "store_reloaded", "hours_unsure", "repeated"),
        # Of the gate's own upkeep, not of people or the door.
        *("command_failed", "panel_failed", "metrics_failed", "backup_failed"),
        # Where they happen there is no trail to write to, or the commands that do it write it.
        *("audit_failed", "records_lost", "start_failed"),
        *("key_rotated", "backup_made", "audit_cut"),
    }
)
"""What the journal alone has; every other event goes into the audit trail."""

CHANGES: frozenset[EventName] = frozenset(
    {
        *("enrolled", "person_renamed", "person_removed", "person_forgotten"),
        *("role_changed", "group_changed", "note_changed", "pass_changed", "templates_dropped"),
    }
)
"""Of these, `revision` says what the store's was then: one put back or changed elsewhere shows."""


class Recorder(Closing):
    """A journal sink that keeps nobody waiting; a context manager that writes what waits.

    What could not be recorded leaves a record that says how many events are missing there.

    Args:
        trail: where records go; closed by its owner.
        failed: called once, from the thread, with why nothing can be recorded any more.
        missed: called from the thread with how many events could not be recorded, once others can.
        revision: of the store; called from the thread.
    """

    def __init__(
        self,
        trail: AuditTrail,
        failed: Callable[[str], None] = lambda _: None,
        missed: Callable[[int], None] = lambda _: None,
        revision: Callable[[], int] | None = None,
    ) -> None:
        self._trail, self._failed, self._missed = trail, failed, missed
        self._revision = revision
        self._told = False
        self._unwritten = self._owned_up_to = 0
        self._outbox = Outbox(self._write, "facegate-audit")

    @property
    def lost(self) -> int:
        """Events that could not be recorded."""
        return self._unwritten + self._outbox.lost

    def __call__(self, event: Event) -> None:
        """Take an event; those that are not recorded are let pass."""
        if event.name not in UNRECORDED:
            self._outbox(event)

    def close(self) -> None:
        """Write what waits and end; may be called again."""
        self._outbox.close()

    def _write(self, event: Event) -> None:
        try:
            # The message may hold a name; the fields name people by number.
            facts = {k: v.item() if hasattr(v, "item") else v for k, v in event.fields.items()}
            if self._revision is not None and event.name in CHANGES:
                with suppress(StoreError):
                    facts["revision"] = self._revision()
            if missing := self.lost - self._owned_up_to:
                self._trail.append("records_lost", {"missing": missing})
                self._owned_up_to += missing
                self._missed(missing)
            self._trail.append(event.name, facts, event.wall_s, event.mono_s)
            self._told = False
        except Exception as error:  # whatever it is: the thread goes on with the next event
            self._unwritten += 1
            if not self._told:
                self._told = True
                self._failed(str(error) or type(error).__name__)


def last_start(path: Path) -> Mapping[str, Fact]:
    """Give what was recorded of the last start, or nothing.

    Raises:
        StoreError: the trail cannot be read.
    """
    return next((record.facts for record in newest(path) if record.event == "started"), {})


def revision_before(path: Path) -> int | None:
    """Give the store's revision that a trail leads to; None where it leads to none.

    A restored backup is older, and meant to be: what came before it does not count. A change of key
    is one more revision.

    Raises:
        StoreError: the trail cannot be read.
    """
    keys = 0
    for record in newest(path):
        if record.event == "backup_restored":
            return None
        keys += record.event == ROTATED
        if isinstance(revision := record.facts.get("revision"), int):
            return revision + keys
    return None
