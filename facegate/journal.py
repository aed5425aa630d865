"""Events: a stable name, a MESSAGE_ID and `FACEGATE_*` fields each, to journal or console.

Never an image, an embedding or a key.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TextIO

EventName = Literal[
    "started",
    "ready",
    "stopping",
    "stopped",
    "camera_opened",
    "granted",
    "denied",
    "unknown",
    "face_refused",
    "door_unlocked",
    "door_locked",
    "decision_too_old",
    "enrolled",
    "enrolment_refused",
    "person_renamed",
    "person_removed",
    "store_reloaded",
    "part_failed",
]

MESSAGE_IDS: dict[EventName, str] = {
    "started": "26ab6358015b4cff96f216478f93f1ce",
    "ready": "825debd64ca8487d80f025d58e1f389b",
    "stopping": "6d179a7388954c2199a0881a0bbdc447",
    "stopped": "fe0e323e30a24780a9c2baeb1f09f0ea",
    "camera_opened": "fe44e669c7394b78b91a755d106f30b0",
    "granted": "c02070966d594635b76d9f7dba37e33d",
    "denied": "b2b2f5b6a0d54d9b928c4281ff0819f7",
    "unknown": "ace869b733b74737a42ca7a04b5955a6",
    "face_refused": "0db148c2b53b4148a67ba38a4e515b44",
    "door_unlocked": "8e6fbf2d627447a6ab1b48b9c404e6d8",
    "door_locked": "46d2000100354f65a7115cbc965c0a7b",
    "decision_too_old": "7f2baa4b30524e79a591d48d9ec7ad3b",
    "enrolled": "9298466fb17d4b2a92d576b464764f1e",
    "enrolment_refused": "00d1169b29554c17a6f8fef6af4866ee",
    "person_renamed": "2ba6e8a6d842414b8f0527faae964b5e",
    "person_removed": "1aba3752dad54d20b080614e059a45ec",
    "store_reloaded": "6dfebf8c981f4124a54bd9716d15b067",
    "part_failed": "079165f2d0064d87aff692ce87bf39e8",
}

PRIORITIES: dict[EventName, int] = {"part_failed": 3, "decision_too_old": 4, "unknown": 5}
"""syslog priorities that differ from 6 (info)."""


@dataclass(frozen=True)
class Event:
    """Something that happened.

    Attributes:
        name: stable name.
        message: one line for people.
        fields: short facts; upper-case `FACEGATE_*` in the journal.
        wall_s: wall-clock time, for people only.
    """

    name: EventName
    message: str
    fields: dict[str, str | int | float] = field(default_factory=dict)
    wall_s: float = field(default_factory=time.time)


class Sink(Protocol):
    """Where events go."""

    def __call__(self, event: Event) -> None:
        """Take one event; must not raise."""
        ...


class Journal:
    """Hands every event to all sinks, one at a time."""

    def __init__(self, *sinks: Sink) -> None:
        self._sinks = sinks
        self._lock = threading.Lock()

    def emit(self, name: EventName, message: str, **fields: str | int | float) -> None:
        """Say that something happened."""
        event = Event(name, message, fields)
        with self._lock:
            for sink in self._sinks:
                sink(event)


class ConsoleSink:
    """One readable line an event: time, name, message, fields."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout

    def __call__(self, event: Event) -> None:
        """Write the event as a line."""
        clock = time.strftime("%H:%M:%S", time.localtime(event.wall_s))
        facts = "  ".join(f"{k}={_short(v)}" for k, v in event.fields.items())
        line = f"{clock}  {event.name:<15} {event.message}" + (f"  [{facts}]" if facts else "")
        print(line, file=self._stream, flush=True)


class SystemdSink:
    """The systemd journal, through python3-systemd's `journal.send`."""

    def __init__(self, send: Callable[..., None]) -> None:
        self._send = send

    def __call__(self, event: Event) -> None:
        """Send the event with its MESSAGE_ID, priority and fields."""
        fields: dict[str, Any] = {
            f"FACEGATE_{k.upper()}": _short(v) for k, v in event.fields.items()
        }
        self._send(
            event.message,
            MESSAGE_ID=MESSAGE_IDS[event.name],
            PRIORITY=PRIORITIES.get(event.name, 6),
            SYSLOG_IDENTIFIER="facegate",
            FACEGATE_EVENT=event.name,
            **fields,
        )


def default_journal() -> Journal:
    """Use the systemd journal when this process writes to it and the binding is there."""
    if "JOURNAL_STREAM" in os.environ:
        try:
            from systemd import journal
        except ImportError:
            pass
        else:
            return Journal(SystemdSink(journal.send))
    return Journal(ConsoleSink())


def notify_systemd(state: str) -> None:
    """Tell systemd about readiness, status or life; nothing happens without systemd.

    Source: sd_notify(3).
    """
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        sock.connect(address)
        sock.sendall(state.encode())


def _short(value: str | int | float) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
