"""A soak run as a picture: what the process held, and when it was disturbed."""

from __future__ import annotations

from pathlib import Path

from facegate.endurance.soak import Soak


def draw(path: Path, run: Soak) -> None:
    """Write memory, threads and files over time as PNG; faults are grey lines."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 6), layout="constrained")
    FigureCanvasAgg(figure)
    minutes = [s.at_s / 60 for s in run.samples]
    panels = (
        ("resident memory, MiB", [s.rss_mb for s in run.samples]),
        ("threads", [float(s.threads) for s in run.samples]),
        ("open files", [float(s.files) for s in run.samples]),
    )
    axes = figure.subplots(len(panels), 1, sharex=True)
    for axis, (label, values) in zip(axes, panels, strict=True):
        for at_s, _ in run.fault_times:
            axis.axvline(at_s / 60, color="0.85", linewidth=1)
        axis.plot(minutes, values, linewidth=1.2, drawstyle="steps-post")
        axis.set_ylabel(label)
        axis.set_ylim(0, max(values, default=1) * 1.15)
    axes[-1].set_xlabel("minutes")
    axes[0].set_title("Soak run; grey lines: a fault began")
    figure.savefig(path, dpi=110)
