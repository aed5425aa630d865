"""What a process holds, over time, and whether it grows."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

MAX_SAMPLES = 1000
"""All pairs of so many samples are looked at in a moment."""


@dataclass(frozen=True)
class Sample:
    """What this process held at one moment.

    Attributes:
        at_s: seconds since the run began.
        rss_mb: resident memory, MiB.
        threads: of the kernel's counting, so native ones too.
        files: open descriptors.
        quiet: whether no fault was at work.
    """

    at_s: float
    rss_mb: float
    threads: int
    files: int
    quiet: bool


def sample(at_s: float, quiet: bool) -> Sample:
    """Look at this process. Source: proc_pid_statm(5), proc_pid_fd(5), proc_pid_task(5)."""
    process = Path("/proc/self")
    pages = int((process / "statm").read_bytes().split()[1])
    return Sample(
        at_s,
        pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
        len(list((process / "task").iterdir())),
        len(list((process / "fd").iterdir())),
        quiet,
    )


def growth_percent(at_s: Sequence[float], values: Sequence[float]) -> float:
    """Give how much values grow over their whole span, in percent of their median.

    Source: Theil 1950 and Sen 1968, the median of the slopes of all pairs: single peaks move it
    little.
    """
    step = max(1, len(at_s) // MAX_SAMPLES)
    x, y = np.asarray(at_s, float)[::step], np.asarray(values, float)[::step]
    if len(x) < 2:
        return 0.0
    first, second = np.triu_indices(len(x), 1)
    slope = float(np.median((y[second] - y[first]) / (x[second] - x[first])))
    return slope * float(x[-1] - x[0]) / float(np.median(y)) * 100
