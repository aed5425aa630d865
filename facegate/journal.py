"""Events: a stable name, a MESSAGE_ID and `FACEGATE_*` fields each, to journal or console.

Never an image, an embedding or a key.
"""

from __future__ import annotations

import os
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol, TextIO

from facegate.events import EVENTS, EventName

Called = Iterable[str | None] | Mapping[str | None, str | int | float | None]


@dataclass(frozen=True)
class Event:
    """Something that happened.

    Attributes:
        name: stable name.
        message: one line for people.
        fields: short facts; upper-case `FACEGATE_*` in the journal.
        wall_s: wall-clock time, for people only.
        mono_s: monotonic time.
    """

    name: EventName
    message: str
    fields: dict[str, str | int | float] = field(default_factory=dict)
    wall_s: float = field(default_factory=time.time)
    mono_s: float = field(default_factory=time.monotonic)


class Sink(Protocol):
    """Where events go."""

    def __call__(self, event: Event) -> None:
        """Take one event; must not raise."""
        ...


class Journal:
    """Hands every event to all sinks, one at a time.

    Args:
        sinks: where events go.
        names: whether people are called by their names; else by their numbers, so that somebody who
            is forgotten is not remembered by the journal.
    """

    def __init__(self, *sinks: Sink, names: bool = True) -> None:
        self._sinks, self._names = list(sinks), names
        self._lock = threading.Lock()

    def add(self, sink: Sink) -> None:
        """Hand events to one more sink from now on."""
        with self._lock:
            self._sinks.append(sink)

    def emit(
        self,
        name: EventName,
        message: str,
        *,
        called: Called = (),
        **fields: str | int | float,
    ) -> None:
        """Say that something happened.

        Args:
            name: of the event.
            message: one line for people.
            called: names of people that the message may hold; where not all are of the event's
                `person`, with the number of each.
            fields: short facts; a person by number.
        """
        event = Event(name, self.worded(message, called, fields), fields)
        with self._lock:
            for sink in self._sinks:
                sink(event)

    def worded(self, message: str, called: Called, fields: Mapping[str, str | int | float]) -> str:
        """Give a message with people called as this journal calls them; arguments as of `emit`."""
        if self._names:
            return message
        if not isinstance(called, Mapping):
            called = dict.fromkeys(called, fields.get("person"))
        stand_ins = {n: "somebody" if of is None else f"person {of}" for n, of in called.items()}
        return without_names(message, stand_ins)

    def settle(self, at_end: bool = False) -> None:
        """Have sinks that hold something back say what is due, at the end all of it."""
        for sink in list(self._sinks):
            if settle := getattr(sink, "settle", None):
                settle(at_end)


def without_names(message: str, stand_ins: Mapping[str | None, str]) -> str:
    """Put something else where a name stands as a word of its own, the longest names first."""
    names = sorted(filter(None, stand_ins), key=len, reverse=True)
    if not names:
        return message
    either = "|".join(map(re.escape, names))
    return re.sub(rf"(?<!\w)(?:{either})(?!\w)", lambda found: stand_ins[found[0]], message)


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
            MESSAGE_ID=EVENTS[event.name].message_id,
            PRIORITY=EVENTS[event.name].priority,
            SYSLOG_IDENTIFIER="facegate",
            FACEGATE_EVENT=event.name,
            **fields,
        )


def default_sink() -> Sink:
    """Give the systemd journal when this process writes to it and the binding is there."""
    if "JOURNAL_STREAM" in os.environ:
        try:
            from systemd import journal
        except ImportError:
            pass
        else:
            return SystemdSink(journal.send)
    return ConsoleSink()


def notify_systemd(state: str) -> None:
    """Tell systemd about readiness, status or life; nothing happens without systemd.

    Source: sd_notify(3).
    """
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC
    # Where systemd does not listen, its watchdog acts; the door does not wait for that.
    with suppress(OSError), socket.socket(socket.AF_UNIX, kind) as sock:
        sock.connect(address)
        sock.sendall(state.encode())


def _short(value: str | int | float) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
