"""The whole gate on a film at its own pace: frames a second, and camera-to-relay latency."""

from __future__ import annotations

import resource
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facegate import parts
from facegate.access.store import Store
from facegate.config import Config
from facegate.daemon import Gate
from facegate.journal import Event, Journal


@dataclass(frozen=True)
class LiveRun:
    """What a gate did.

    Attributes:
        seconds: how long it ran.
        offered, looked_at: frames the camera gave, and frames the detector worked off.
        fps: frames worked off a second.
        cpu_share: CPU time of the process over the time it ran; 1 is one core.
        latencies_ms: from each frame that let somebody in to the relay.
        peak_rss_mb: most resident memory of the process so far, MiB.
    """

    seconds: float
    offered: int
    looked_at: int
    fps: float
    cpu_share: float
    latencies_ms: tuple[float, ...]
    peak_rss_mb: float

    def latency_ms(self, percent: float) -> float | None:
        """Give a percentile of the latencies; None when nobody was let in."""
        return float(np.percentile(self.latencies_ms, percent)) if self.latencies_ms else None


def run(config: Config, vision: parts.Vision, store: Store, seconds: float) -> LiveRun:
    """Run a gate for so long on the configured camera, with a relay that drives nothing."""
    latencies: list[float] = []

    def listen(event: Event) -> None:
        if event.name == "granted":
            latencies.append(float(event.fields["latency_ms"]))

    stopping = threading.Event()
    with parts.camera_from(config) as camera, parts.lines_from(config) as lines:
        gate = Gate(config, vision, store, camera, lines, Journal(listen))
        alarm = threading.Timer(seconds, stopping.set)
        alarm.start()
        began_s, began_cpu_s = time.monotonic(), time.process_time()
        try:
            gate.run(stopping)
        finally:
            alarm.cancel()
        ran_s, cpu_s = time.monotonic() - began_s, time.process_time() - began_cpu_s
        frames = gate.channels["frames"].counts
        looked_at = gate.channels["faces"].counts.put
    return LiveRun(
        round(ran_s, 2),
        frames.put,
        looked_at,
        round(looked_at / ran_s, 2),
        round(cpu_s / ran_s, 3),
        tuple(round(ms, 2) for ms in latencies),
        round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    )


def with_film(config: Config, film: Path) -> Config:
    """Set the camera to a film that loops."""
    camera = config.camera.model_copy(update={"source": f"file:{film}", "loop": True})
    return config.model_copy(update={"camera": camera})
