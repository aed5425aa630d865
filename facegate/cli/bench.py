"""`bench match`: what a match costs on this machine, beside reading the same memory once."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Annotated

import numpy as np
import typer

from facegate.access.gallery import VECTOR_FLOATS, Gallery
from facegate.access.matcher import Matcher
from facegate.cli.output import AsJson, emit

app = typer.Typer(help="Measure speed on this machine.", no_args_is_help=True)

WARM_UP_ROUNDS = 3


@app.callback()
def _group() -> None:
    """Keep `match` a command of its own."""


@app.command()
def match(
    people: Annotated[int, typer.Option(min=1, help="How many are enrolled.")] = 10_000,
    repeat: Annotated[int, typer.Option(min=1, help="How often it is measured.")] = 200,
    as_json: AsJson = False,
) -> None:
    """Time one match among PEOPLE random templates, one each.

    It is set beside one read of the same matrix by one core: its dot product with itself, which
    takes up each number once. A ratio below 1 means that the match was shared out among cores. The
    two are measured in turn, so that whatever else the machine does meets both; medians are given.
    """
    rng = np.random.default_rng(0)
    matrix = rng.standard_normal((people, VECTOR_FLOATS), dtype=np.float32)
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    matcher = Matcher(Gallery(matrix, np.arange(people, dtype=np.int64), {}))
    probe, flat = matrix[people // 2].copy(), matrix.reshape(-1)
    matches, reads = [], []
    for _ in range(WARM_UP_ROUNDS + repeat):
        reads.append(_seconds(lambda: np.dot(flat, flat)))
        matches.append(_seconds(lambda: matcher.match(probe)))
    match_s = statistics.median(matches[WARM_UP_ROUNDS:])
    read_s = statistics.median(reads[WARM_UP_ROUNDS:])
    result = {
        "people": people,
        "repeat": repeat,
        "microseconds": round(match_s * 1e6, 1),
        "read_microseconds": round(read_s * 1e6, 1),
        "ratio_to_read": round(match_s / read_s, 3),
    }
    emit(
        result,
        as_json,
        [
            f"one match among {people} people: {match_s * 1e6:.0f} µs",
            f"reading the matrix once: {read_s * 1e6:.0f} µs; ratio {match_s / read_s:.2f}",
        ],
    )


def _seconds(work: Callable[[], object]) -> float:
    began_s = time.perf_counter()
    work()
    return time.perf_counter() - began_s
