"""`bench networks`: how much of the processor's INT8 speed a network gets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facegate.cli.output import AsJson, emit
from facegate.errors import InputError

if TYPE_CHECKING:
    from facegate.benchmark.networks import LayerSpeed, NetworkSpeed


def networks(
    files: Annotated[list[Path], typer.Argument(help="INT8 TFLite files.", show_default=False)],
    rounds: Annotated[int, typer.Option(min=3, help="How often each is run.")] = 30,
    as_json: AsJson = False,
) -> None:
    """Time networks in CPU time of one core, beside a dense INT8 product: the processor's peak.

    They need no cards. Each kind of layer is also timed alone.
    """
    from facegate.benchmark.networks import by_layer, compare

    if len({path.stem for path in files}) < len(files):
        raise InputError("two files of one name: their figures could not be told apart")
    paths = {path.stem: path for path in files}
    speeds, peak = compare(paths, rounds)
    layers = {name: by_layer(path, peak, max(3, rounds // 3)) for name, path in paths.items()}
    result = {
        "peak_giga_macs_per_s": peak,
        "networks": [asdict(s) for s in speeds],
        "layers": {name: [asdict(k) for k in found] for name, found in layers.items()},
    }
    emit(result, as_json, speed_lines(speeds, layers, peak))


def speed_lines(
    speeds: list[NetworkSpeed], layers: dict[str, list[LayerSpeed]], peak: float
) -> Iterator[str]:
    """Say how fast networks and their kinds of layers are."""
    yield f"peak      {peak:.1f} INT8 GMAC/s on one core"
    for s in speeds:
        yield (
            f"  {s.name:<30} {s.giga_macs_per_s:.1f} GMAC/s, {s.share_of_peak:.0%} of the peak; "
            f"{s.mega_macs:.0f} M multiply-adds in {s.milliseconds:.2f} ms"
        )
    for name, found in layers.items():
        yield f"layers    of the {name}, each alone"
        for k in found:
            yield (
                f"  {k.count:>3} × {k.kind:<24} {k.share_of_time:6.1%} of the time, "
                f"{k.share_of_macs:6.1%} of the multiply-adds, {k.share_of_peak:.0%} of the peak"
            )
