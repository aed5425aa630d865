"""Pictures of a demo run: a contact sheet of annotated frames and a timeline."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from facegate.errors import InputError
from facegate.journal import Event
from facegate.recogniser import Seen
from facegate.types import U8, Verdict
from facegate.vision.pictures import GREEN, GREY, RED, YELLOW, draw_face, write_picture

TILE_PX = (426, 240)
COLOURS = {
    "granted": "#2e9e4f",
    "unknown": "#d64541",
    "denied": "#d64541",
    "face_refused": "#9a9a9a",
}


@dataclass(frozen=True)
class Snapshot:
    """One annotated frame, shrunk to a tile, and what was decided in it."""

    at_s: float
    tile: U8
    verdicts: tuple[str, ...]


class Album:
    """Keeps a tile of each moment worth showing; handed to the gate as its observer.

    Args:
        started_at_s: monotonic seconds that the timeline counts from.
    """

    def __init__(self, started_at_s: float) -> None:
        self._started_at_s = started_at_s
        self._labels: dict[int, tuple[str, tuple[int, int, int]]] = {}
        self.snapshots: list[Snapshot] = []
        self.points: list[tuple[float, int, float, bool]] = []

    def __call__(self, seen: Seen) -> None:
        """Take a frame."""
        at_s = seen.frame.captured_at_s - self._started_at_s
        for decision in seen.decisions:
            if decision.verdict is Verdict.GRANT:
                self._labels[decision.track_id] = (f"{decision.name}: granted", GREEN)
            elif decision.verdict is not Verdict.WAIT:
                self._labels[decision.track_id] = (decision.verdict.value, RED)
        for track, quality in seen.faces:
            good = quality is None or quality.passed
            self.points.append((at_s, track.track_id, track.detection.size_px, good))
        told = tuple(d.verdict.value for d in seen.decisions if d.verdict is not Verdict.WAIT)
        last = self.snapshots[-1].at_s if self.snapshots else -10.0
        if told or at_s - last > 1.0:
            self.snapshots.append(Snapshot(at_s, self._tile(seen, at_s), told))

    def _tile(self, seen: Seen, at_s: float) -> U8:
        canvas = seen.frame.pixels.copy()
        for track, quality in seen.faces:
            text, colour = self._labels.get(track.track_id, ("looking", YELLOW))
            if quality is not None and not quality.passed and colour is YELLOW:
                text, colour = quality.reasons[0].replace("_", " "), GREY
            draw_face(canvas, track.detection, text, colour)
        tile = cv2.resize(canvas, TILE_PX, interpolation=cv2.INTER_AREA)
        cv2.putText(
            tile, f"{at_s:.1f} s", (6, TILE_PX[1] - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.5,
            (255, 255, 255), 1, cv2.LINE_AA,
        )  # fmt: skip
        return np.asarray(tile, np.uint8)

    def contact_sheet(self, path: Path, tiles: int = 12, columns: int = 3) -> None:
        """Write the most telling tiles: every decision, then evenly spread ones."""
        chosen = [s for s in self.snapshots if s.verdicts][:tiles]
        others = [s for s in self.snapshots if not s.verdicts]
        room = min(tiles - len(chosen), len(others))
        if room > 0:
            picks = np.linspace(0, len(others) - 1, room).round().astype(int)
            chosen += [others[k] for k in sorted(set(picks.tolist()))]
        chosen.sort(key=lambda s: s.at_s)
        if not chosen:
            raise InputError("the film ended before a frame was looked at; is the machine busy?")
        blank = np.full((TILE_PX[1], TILE_PX[0], 3), 32, np.uint8)
        cells = [s.tile for s in chosen] + [blank] * (-len(chosen) % columns)
        rows = [np.hstack(cells[k : k + columns]) for k in range(0, len(cells), columns)]
        write_picture(path, np.vstack(rows))


def timeline(
    path: Path,
    album: Album,
    events: list[tuple[float, Event]],
    acts: list[tuple[float, str]],
    relay: list[tuple[float, bool]],
    end_s: float,
) -> None:
    """Draw face sizes, decisions and the relay over time.

    Args:
        path: the PNG to write.
        album: what was seen.
        events: journal events with their time in seconds from the start.
        acts: start and title of every act.
        relay: times of the relay's edges, and the level after each.
        end_s: length of the run.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 6), layout="constrained")
    faces, line = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    tracks = sorted({p[1] for p in album.points})
    for track in tracks:
        own = [p for p in album.points if p[1] == track]
        faces.plot([p[0] for p in own], [p[2] for p in own], lw=1, alpha=0.5, color="#4a6fa5")
        for passed, colour in ((True, "#4a6fa5"), (False, "#b8b8b8")):
            some = [p for p in own if p[3] is passed]
            faces.plot([p[0] for p in some], [p[2] for p in some], ".", ms=4, color=colour)
    top = max((p[2] for p in album.points), default=100.0)
    for at_s, event in events:
        if event.name in ("granted", "unknown", "denied"):
            colour = COLOURS[event.name]
            faces.axvline(at_s, color=colour, lw=1.2)
            text = event.message.split(":")[0] if event.name == "granted" else event.name
            height = 1.26 if event.name == "granted" else 1.14  # two at once do not overlap
            faces.text(at_s, top * height, f" {text}", color=colour, fontsize=8)
    for number, (start_s, title) in enumerate(acts):
        stop_s = acts[number + 1][0] if number + 1 < len(acts) else end_s
        if number % 2:
            faces.axvspan(start_s, stop_s, color="#f2f2f2", zorder=0)
        middle = (start_s + stop_s) / 2
        faces.text(
            middle, 4, title, fontsize=7, ha="center", va="bottom", rotation=90, color="#666"
        )
    faces.set_ylim(0, top * 1.4)
    faces.set_ylabel("face width, pixels")
    faces.set_title("What the gate saw (grey: not good enough to compare), and what it decided")
    times, levels = [0.0], [0]
    for at_s, level in relay:
        times.append(at_s)
        levels.append(int(level))
    times.append(end_s)
    levels.append(levels[-1])
    line.step(times, levels, where="post", color="#2e9e4f", lw=1.8)
    line.fill_between(times, levels, step="post", color="#2e9e4f", alpha=0.2)
    line.set_yticks([0, 1], ["held", "released"])
    line.set_ylim(-0.15, 1.25)
    line.set_ylabel("strike")
    line.set_xlabel("seconds")
    line.set_xlim(0, end_s)
    try:
        figure.savefig(path, dpi=110)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from error
