"""Figures for Prometheus, as a text file that node_exporter's textfile collector picks up.

Names, units and types follow the Prometheus conventions; nothing in it says who came.

Source: https://prometheus.io/docs/instrumenting/exposition_formats and
https://prometheus.io/docs/practices/naming.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from facegate.access.door_events import DoorState
from facegate.events import EVENTS
from facegate.journal import Event

LATENCY_BUCKETS_S = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
FILE_MODE = 0o644
"""node_exporter runs as another user."""

PARTS = ("camera", "detector", "embedder", "door", "store")
"""What the status may name as stalled."""


class Metrics:
    """Counts events, and writes them with the gate's status every so often.

    A journal sink, with a thread of its own: a slow or full card makes nobody wait. A context
    manager that ends the thread and takes the file away, which would say for ever that all is well.

    Args:
        path: of the file, ending in `.prom`.
        every_s: seconds between two writings.
        status: of the gate, as `facegate status` shows it.
        failed: called once with why the file cannot be written, until it can again, or removed.
    """

    def __init__(
        self,
        path: Path,
        every_s: float,
        status: Callable[[], Mapping[str, Any]],
        failed: Callable[[str], None],
    ) -> None:
        self._path, self._every_s, self._status, self._failed = path, every_s, status, failed
        self._lock = threading.Lock()
        # From 0 on: a series that begins at 1 shows no rise.
        self._events: Counter[str] = Counter(dict.fromkeys(EVENTS, 0))
        self._latencies = [0] * (len(LATENCY_BUCKETS_S) + 1)
        self._latency_sum_s = 0.0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="facegate-metrics", daemon=True)

    def __call__(self, event: Event) -> None:
        """Count an event."""
        with self._lock:
            self._events[event.name] += 1
            if event.name == "granted" and "latency_ms" in event.fields:
                latency_s = float(event.fields["latency_ms"]) / 1000
                self._latency_sum_s += latency_s
                bucket = sum(latency_s > limit for limit in LATENCY_BUCKETS_S)
                self._latencies[bucket] += 1

    def __enter__(self) -> Metrics:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            if os.path.lexists(self._path):
                self._failed(f"{self._path}: cannot be removed: {error.strerror}")

    def text(self) -> str:
        """Give the file's text."""
        with self._lock:
            events, latencies = dict(self._events), list(self._latencies)
            latency_sum_s = self._latency_sum_s
        lines: list[str] = []
        for name, kind, about, samples in _families(self._status(), events):
            lines += [f"# HELP facegate_{name} {about}", f"# TYPE facegate_{name} {kind}"]
            lines += [f"facegate_{name}{_labels(labels)} {value}" for labels, value in samples]
        lines += _histogram(latencies, latency_sum_s)
        return "\n".join(lines) + "\n"

    def write(self) -> None:
        """Write the file beside its place, then move it there: nobody reads half of it.

        Raises:
            OSError: it cannot be written.
        """
        draft = self._path.with_suffix(f".{os.getpid()}.tmp")
        try:
            draft.write_text(self.text(), encoding="utf-8")
            draft.chmod(FILE_MODE)
            draft.replace(self._path)
        finally:
            draft.unlink(missing_ok=True)

    def _run(self) -> None:
        told = False
        while not self._stopping.wait(self._every_s):
            try:
                self.write()
                told = False
            except Exception as error:  # whatever it is: the next writing may succeed
                if not told:
                    told = True
                    why = getattr(error, "strerror", None) or str(error) or type(error).__name__
                    self._failed(f"{self._path}: {why}")


Samples = list[tuple[dict[str, str], float]]


def _families(
    status: Mapping[str, Any], events: Mapping[str, int]
) -> Iterator[tuple[str, str, str, Samples]]:
    """Give name, type, help and samples of everything but the latencies."""
    info = {"version": version("facegate"), "model": str(status["model_id"])}
    yield "build_info", "gauge", "What runs.", [(info, 1)]
    yield "uptime_seconds", "gauge", "Since the gate started.", [({}, status["uptime_s"])]
    sees = not status["camera_lost"] and "camera" not in status["stalled"]
    yield "camera_up", "gauge", "Whether pictures come.", [({}, int(sees))]
    yield "camera_frames_per_second", "gauge", "Frames worked off.", [({}, status["detected_fps"])]
    yield "people_enrolled", "gauge", "People in the store.", [({}, status["people"])]
    yield (
        "stalled",
        "gauge",
        "Whether a part shows no sign of life.",
        [({"part": part}, int(part in status["stalled"])) for part in PARTS],
    )
    yield (
        "door_state",
        "gauge",
        "1 for the state the door is in.",
        [({"state": state.value}, int(state.value == status["door"])) for state in DoorState],
    )
    kept_s = status["kept_unlocked_s"] or 0
    yield (
        "kept_unlocked_seconds",
        "gauge",
        "For which a command still keeps the door so.",
        [({}, kept_s)],
    )
    for rule in ("lockdown", "tamper", "lockout"):
        yield f"door_{rule}", "gauge", f"Whether {rule} keeps faces out.", [({}, int(status[rule]))]
    queues = status["queues"]
    for name, key, about in (
        ("queue_items_total", "put", "Items put into a queue."),
        ("queue_dropped_total", "dropped", "Items that a newer one pushed out."),
    ):
        yield name, "counter", about, [({"queue": q}, c[key]) for q, c in sorted(queues.items())]
    resident = int(Path("/proc/self/statm").read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    yield "resident_memory_bytes", "gauge", "Memory of the daemon.", [({}, resident)]
    yield (
        "events_total",
        "counter",
        "Events by their name in the journal.",
        [({"event": name}, count) for name, count in sorted(events.items())],
    )


def _histogram(latencies: list[int], sum_s: float) -> list[str]:
    name = "facegate_grant_latency_seconds"
    lines = [f"# HELP {name} From the frame to the relay.", f"# TYPE {name} histogram"]
    so_far = 0
    for limit, count in zip((*LATENCY_BUCKETS_S, float("inf")), latencies, strict=True):
        so_far += count
        le = "+Inf" if limit == float("inf") else f"{limit:g}"
        lines.append(f'{name}_bucket{{le="{le}"}} {so_far}')
    return [*lines, f"{name}_sum {sum_s}", f"{name}_count {so_far}"]


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    escaped = {
        k: v.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
        for k, v in labels.items()
    }
    return "{" + ",".join(f'{k}="{v}"' for k, v in escaped.items()) + "}"
