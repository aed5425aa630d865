"""`bench pipeline`: what a frame costs, how fast the gate is, and how good the networks' use is."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facegate import parts
from facegate.cli.networks import speed_lines
from facegate.cli.output import AsJson, check_writable, emit
from facegate.config import Config, parse_config
from facegate.memory import use_one_arena

if TYPE_CHECKING:
    from facegate.benchmark.live import LiveRun

FRAMES = 12
"""Pictures with a face near the camera; in memory, so that no decoding is timed."""


def pipeline(
    seconds: Annotated[float, typer.Option(min=5, help="How long the gate runs live.")] = 30.0,
    rounds: Annotated[int, typer.Option(min=3, help="Rounds of the networks' timing.")] = 30,
    one_core: Annotated[
        bool, typer.Option("--one-core", help="Keep the live run on one core.")
    ] = False,
    plot: Annotated[Path | None, typer.Option(help="PNG of all of it.")] = None,
    as_json: AsJson = False,
) -> None:
    """Run the gate on a film of people, then time its steps and its networks.

    Steps and networks are timed in CPU time of one thread, so that other work on the machine does
    not count. The peak is that of a dense INT8 product in the same interpreter, timed in turn with
    the networks.
    """
    from facegate.benchmark import live, networks, stages
    from facegate.demo import walkup
    from facegate.endurance.theatre import acts

    check_writable(plot)
    use_one_arena()
    friend, stranger = walkup.portraits()
    script = acts(friend, stranger)
    with tempfile.TemporaryDirectory(prefix="facegate-") as scratch:
        config = live.with_film(_config(Path(scratch)), Path(scratch, "film.avi"))
        walkup.write_film(Path(scratch, "film.avi"), script)
        vision = parts.load_vision(config)
        with parts.open_store(config, vision.model_id) as store:
            walkup.enrol(vision.reader, store, friend)
            ran = _pinned(one_core, lambda: live.run(config, vision, store, seconds))
            near = [p for act, p in walkup.film(script) if act.title == "friend"][-FRAMES:]
            costs = stages.stages(config, vision, store, near, rounds)
    files = {
        "detector": parts.detector_path(config),
        "refiner": parts.refiner_path(config),
        "embedder": parts.embedder_path(config),
    }
    speeds, peak = networks.compare(files, rounds)
    layers = {
        name: networks.by_layer(path, peak, max(3, rounds // 3)) for name, path in files.items()
    }
    outside = stages.outside_networks(costs)
    if plot is not None:
        from facegate.benchmark.picture import draw

        draw(plot, costs, ran, speeds, layers, peak)
    frame_ms = sum(c.mean for c in costs)
    look_ms = sum(c.mean for c in costs if c.stage in ("detector network", *stages.FINDING))
    result = {
        "live": asdict(ran),
        "stages": [asdict(c) for c in costs],
        "frame_ms": round(frame_ms, 3),
        "outside_networks": round(outside, 4),
        "peak_giga_macs_per_s": peak,
        "networks": [asdict(s) for s in speeds],
        "layers": {name: [asdict(k) for k in found] for name, found in layers.items()},
    }
    latency = [ran.latency_ms(p) for p in stages.PERCENTILES]
    said = " / ".join(f"{ms:.0f}" for ms in latency if ms is not None)
    lines = [
        f"live      {ran.looked_at} of {ran.offered} frames in {ran.seconds:.0f} s, {ran.fps:.1f} "
        f"a second, {ran.cpu_share:.2f} cores, at most {ran.peak_rss_mb:.0f} MiB",
        f"relay     {said} ms after the frame (50 / 95 / 99 %), {len(ran.latencies_ms)} grants"
        if said
        else "relay     nobody was let in: run it longer",
        f"frame     {frame_ms:.2f} ms of one core with a face, {look_ms:.2f} ms without; outside "
        f"the networks {outside:.1%}",
        *(f"  {c.stage:<30} {_numbers(c.percentiles)} ms" for c in costs),
        *speed_lines(speeds, layers, peak),
    ]
    emit(result, as_json, lines)


def _pinned(one_core: bool, work: Callable[[], LiveRun]) -> LiveRun:
    if not one_core:
        return work()
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        return work()
    finally:
        os.sched_setaffinity(0, cores)


def _numbers(values: tuple[float, ...]) -> str:
    return " / ".join(f"{v:.2f}" for v in values)


def _config(scratch: Path) -> Config:
    return parse_config(
        {
            "state": {"folder": str(scratch / "state")},
            "gpio": {"driver": "fake"},
            "models": {"detector_threads": 1, "embedder_threads": 1},
            "door": {"pulse_s": 1.0},
        },
        "bench",
    )
