"""`bench match` and `bench tracker`: what needs no network, beside a measure of this machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Annotated

import numpy as np
import typer

from facegate.access.gallery import Gallery
from facegate.access.matcher import Matcher
from facegate.cli import networks, pipeline, soak
from facegate.cli.options import ConfigFile
from facegate.cli.output import AsJson, emit
from facegate.config import load_config
from facegate.types import EMBEDDING_FLOATS

app = typer.Typer(help="Measure speed on this machine.", no_args_is_help=True)

WARM_UP_ROUNDS = 3
MOST_PEOPLE = 1_000_000
"""More than a door has, in half a gigabyte of templates."""


app.command()(pipeline.pipeline)
app.command()(networks.networks)
app.command()(soak.soak)


@app.command()
def match(
    people: Annotated[
        list[int] | None,
        typer.Option(min=1, max=MOST_PEOPLE, help="How many are enrolled; repeat for more sizes."),
    ] = None,
    repeat: Annotated[int, typer.Option(min=1, help="How often each is measured.")] = 100,
    as_json: AsJson = False,
) -> None:
    """Time one match among PEOPLE random templates, one each; without PEOPLE, 10,000 and 100,000.

    It is set beside one read of the same matrix: its dot product with itself, which takes up each
    number once. All are measured in turn, so that whatever else the machine does meets all of them;
    medians are given.
    """
    sizes = people or [10_000, 100_000]
    races = [_race(size) for size in sizes]
    times: list[list[list[float]]] = [[[] for _ in race] for race in races]
    for _ in range(WARM_UP_ROUNDS + repeat):
        for race, taken in zip(races, times, strict=True):
            for work, seconds in zip(race, taken, strict=True):
                seconds.append(_seconds(work))
    rows, lines = [], []
    for size, taken in zip(sizes, times, strict=True):
        read_s, match_s = (statistics.median(t[WARM_UP_ROUNDS:]) for t in taken)
        rows.append(
            {
                "people": size,
                "microseconds": round(match_s * 1e6, 1),
                "read_microseconds": round(read_s * 1e6, 1),
                "ratio_to_read": round(match_s / read_s, 3),
            }
        )
        lines.append(
            f"one match among {size} people: {match_s * 1e6:.0f} µs; reading the matrix once: "
            f"{read_s * 1e6:.0f} µs; ratio {match_s / read_s:.2f}"
        )
    emit({"repeat": repeat, "sizes": rows}, as_json, lines)


@app.command()
def tracker(
    faces: Annotated[
        list[int] | None, typer.Option(min=1, help="How many walk about; repeat for more sizes.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=1, help="Of the scene, for each size.")] = 60.0,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Time the tracker on FACES that walk to and fro and pass each other; without, 1, 2, 4 and 8.

    In CPU time of one core, beside the budget of a frame: the time between two at `camera.fps`.
    """
    from facegate.benchmark.tracking import frame_costs

    settings = load_config(config)
    fps, lost = settings.camera.fps, settings.detection.track_max_lost_frames
    budget_us = 1e6 / fps
    rows, lines = [], [f"budget of a frame at {fps:g} a second: {budget_us:.0f} µs"]
    for count in faces or [1, 2, 4, 8]:
        median_us, worst_us = frame_costs(count, seconds, fps, lost)
        rows.append(
            {
                "faces": count,
                "microseconds": {"50": round(median_us, 1), "99": round(worst_us, 1)},
                "share_of_budget": {
                    "50": round(median_us / budget_us, 6),
                    "99": round(worst_us / budget_us, 6),
                },
            }
        )
        lines.append(
            f"{count:>3} face(s): {median_us:.0f} / {worst_us:.0f} µs a frame (50 / 99 %), "
            f"{median_us / budget_us:.2%} / {worst_us / budget_us:.2%} of it"
        )
    emit({"budget_microseconds": round(budget_us, 1), "sizes": rows}, as_json, lines)


def _race(people: int) -> tuple[Callable[[], object], Callable[[], object]]:
    """Give what is set side by side: one read of a matrix of so many templates, and one match."""
    rng = np.random.default_rng(0)
    matrix = rng.standard_normal((people, EMBEDDING_FLOATS), dtype=np.float32)
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    matcher = Matcher(Gallery(matrix, np.arange(people, dtype=np.int64), {}))
    probe, flat = matrix[people // 2].copy(), matrix.reshape(-1)
    return (lambda: np.dot(flat, flat)), (lambda: matcher.match(probe))


def _seconds(work: Callable[[], object]) -> float:
    began_s = time.perf_counter()
    work()
    return time.perf_counter() - began_s
