"""A benchmark as a picture."""

from __future__ import annotations

from pathlib import Path

from facegate.benchmark.live import LiveRun
from facegate.benchmark.networks import LayerSpeed, NetworkSpeed
from facegate.benchmark.stages import NETWORKS, StageCost


def draw(
    path: Path,
    costs: list[StageCost],
    live: LiveRun,
    speeds: list[NetworkSpeed],
    layers: dict[str, list[LayerSpeed]],
    peak: float,
) -> None:
    """Write stages, latencies, and networks against the peak as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 7), layout="constrained")
    FigureCanvasAgg(figure)
    (stages, latency), (speed, kinds) = figure.subplots(2, 2)

    names = [c.stage for c in costs][::-1]
    medians = [c.percentiles[0] for c in costs][::-1]
    tails = [max(0.0, c.percentiles[1] - c.percentiles[0]) for c in costs][::-1]
    colours = ["#c44e52" if name in NETWORKS else "#4c72b0" for name in names]
    stages.barh(names, medians, color=colours, xerr=[[0.0] * len(names), tails], capsize=2)
    stages.set_xlabel("CPU milliseconds, median and 95th percentile")
    stages.set_title("A frame with one face")

    latency.hist(live.latencies_ms, bins=min(30, max(5, len(live.latencies_ms))), color="#4c72b0")
    latency.set_xlabel("camera to relay, milliseconds")
    latency.set_ylabel("grants")
    latency.set_title(f"Live: {live.fps:.1f} frames a second, {live.cpu_share:.2f} cores")

    labels = [s.name for s in speeds]
    speed.bar(labels, [s.giga_macs_per_s for s in speeds], color="#c44e52", width=0.5)
    speed.axhline(peak, color="black", linewidth=1, linestyle="--")
    speed.annotate(f"peak {peak:.1f}", (0.02, peak), xycoords=("axes fraction", "data"),
                   va="bottom")  # fmt: skip
    for number, s in enumerate(speeds):
        speed.annotate(f"{s.share_of_peak:.0%}", (number, s.giga_macs_per_s), ha="center",
                       va="bottom")  # fmt: skip
    speed.set_ylim(0, peak * 1.15)
    speed.set_ylabel("INT8 GMAC/s, one core")
    speed.set_title("Networks against the processor's peak")

    width = 0.8 / max(1, len(layers))
    shown = sorted({k.kind for found in layers.values() for k in found if k.share_of_time > 0.01})
    for number, (name, found) in enumerate(layers.items()):
        shares = {k.kind: k.share_of_time for k in found}
        places = [i + number * width for i in range(len(shown))]
        kinds.barh(places, [shares.get(kind, 0.0) * 100 for kind in shown], width, label=name)
    kinds.set_yticks([i + 0.4 - width / 2 for i in range(len(shown))], shown)
    kinds.set_xlabel("percent of the network's time")
    kinds.set_title("Layers, by kind")
    kinds.legend()
    figure.savefig(path, dpi=110)
