"""Networks against the processor: INT8 multiply-adds a second, beside the most that it can do.

All are timed in CPU seconds of one interpreter thread, in turn, round after round, so that whatever
else the machine does meets all of them alike.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from facegate.benchmark.graphs import Layer, dense, layers_of
from facegate.vision.tflite import load_interpreter, quietly

DENSE_SHAPES = ((32, 512, 4), (20, 512, 8), (16, 1024, 3), (40, 256, 8))
"""Side, channels, layers of the dense graphs; the fastest of them is the peak. Their weights and
rows fit the second cache of anything from a Cortex-A53 up, or are shared out to fit it."""


@dataclass(frozen=True)
class NetworkSpeed:
    """How fast a network runs on one core.

    Attributes:
        name: of it.
        mega_macs: multiply-adds of one run, millions.
        milliseconds: CPU time of one run, median.
        giga_macs_per_s: speed.
        share_of_peak: of the fastest dense graph measured in the same rounds.
    """

    name: str
    mega_macs: float
    milliseconds: float
    giga_macs_per_s: float
    share_of_peak: float


@dataclass(frozen=True)
class LayerSpeed:
    """All layers of one kind in a network, each run alone.

    Attributes:
        kind: of the layers.
        count: how many there are.
        share_of_time, share_of_macs: of the network's.
        giga_macs_per_s: speed; 0 where they multiply nothing.
        share_of_peak: the same against the peak.
    """

    kind: str
    count: int
    share_of_time: float
    share_of_macs: float
    giga_macs_per_s: float
    share_of_peak: float


def compare(networks: dict[str, Path], rounds: int) -> tuple[list[NetworkSpeed], float]:
    """Time networks and dense graphs in turn.

    Returns:
        The networks' speeds, and the peak in INT8 giga-multiply-adds a second.
    """
    work: dict[str, tuple[int, Callable[[], float]]] = {}
    for name, path in networks.items():
        macs = sum(layer.macs for layer in layers_of(path))
        work[name] = (macs, _timer(path))
    for number, shape in enumerate(DENSE_SHAPES):
        content, macs = dense(*shape)
        work[f"dense {number}"] = (macs, _timer(content))
    times: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(rounds):
        for name, (_, run) in work.items():
            times[name].append(run())
    speed = {name: macs / median(times[name]) / 1e9 for name, (macs, _) in work.items()}
    peak = max(value for name, value in speed.items() if name not in networks)
    return [
        NetworkSpeed(
            name,
            round(work[name][0] / 1e6, 1),
            round(median(times[name]) * 1e3, 3),
            round(speed[name], 2),
            round(speed[name] / peak, 3),
        )
        for name in networks
    ], round(peak, 2)


def by_layer(path: Path, peak: float, rounds: int) -> list[LayerSpeed]:
    """Time every layer of a network alone, and sum up by kind; the slowest kind first."""
    layers: list[tuple[Layer, Callable[[], float]]] = [
        (layer, _timer(layer.content)) for layer in layers_of(path)
    ]
    times = [[run() for _, run in layers] for _ in range(rounds)]
    took = [median(column) for column in zip(*times, strict=True)]
    all_s, all_macs = sum(took), sum(layer.macs for layer, _ in layers)
    found = []
    for kind in {layer.kind for layer, _ in layers}:
        mine = [(layer.macs, s) for (layer, _), s in zip(layers, took, strict=True)
                if layer.kind == kind]  # fmt: skip
        macs, seconds = sum(m for m, _ in mine), sum(s for _, s in mine)
        speed = macs / seconds / 1e9
        found.append(
            LayerSpeed(
                kind,
                len(mine),
                round(seconds / all_s, 4),
                round(macs / all_macs, 4),
                round(speed, 2),
                round(speed / peak, 3),
            )
        )
    return sorted(found, key=lambda f: -f.share_of_time)


def _timer(graph: Path | bytes) -> Callable[[], float]:
    """Give what runs a graph once on one thread and says the CPU seconds it took."""
    interpreter_class, _ = load_interpreter()
    given: dict[str, Any] = (
        {"model_content": graph} if isinstance(graph, bytes) else {"model_path": str(graph)}
    )
    with quietly():
        interpreter = interpreter_class(**given, num_threads=1)
        interpreter.allocate_tensors()
        interpreter.invoke()

    def run() -> float:
        began_s = time.thread_time()
        interpreter.invoke()
        return time.thread_time() - began_s

    return run
