"""`status`: how the running gate is doing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from facegate.cli.options import ConfigFile, running_daemon
from facegate.cli.output import AsJson, emit
from facegate.config import load_config

MANY_DROPS = 0.5
"""A newer frame pushing out an older one is how it should be; most of them is a slow machine."""


def status(config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Say how the running gate is doing."""
    answer = running_daemon(load_config(config)).status()
    if as_json:
        emit(answer, True, [])
        return
    table = Table.grid(padding=(0, 2))
    for label, said, style in _rows(answer):
        table.add_row(Text(label, style="bold"), Text(said, style=style))
    Console(highlight=False, soft_wrap=True).print(table)


def _rows(s: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Give label, text and colour of each line; red is what keeps people out."""
    lost = s["camera_lost"]
    fps = f"{s['detected_fps']:.1f} frames a second"
    yield "camera", f"LOST: {lost}" if lost else f"{s['camera']}, {fps}", "red" if lost else "green"
    if s["stalled"]:
        yield "stalled", f"no sign of life: {', '.join(s['stalled'])}", "red"
    rules = [rule for rule in ("lockdown", "tamper", "lockout") if s[rule]]
    calm = s["door"] in ("locked", "unlocked", "open") and not rules
    state = [s["door"], *rules]
    if (left_s := s.get("kept_unlocked_s")) is not None:
        state.append(f"kept unlocked by command for {timedelta(seconds=round(left_s))} more")
    yield "door", ", ".join(state), "green" if calm else "red"
    yield "up", f"{timedelta(seconds=round(s['uptime_s']))}", ""
    strangers = f"of 1,000 strangers {s['false_accepts_per_1000']:.2g} pass one look"
    strangers += "" if s.get("false_accepts_measured", True) else ", extrapolated"
    yield "people", f"{s['people']} (threshold {s['threshold']:.3f}; {strangers})", ""
    if s["enrolling"]:
        yield "enrolling", "somebody is being enrolled", "yellow"
    yield "model", s["model_id"], ""
    yield "last event", s["last_event"], ""
    for name, q in s["queues"].items():
        share = q["dropped"] / q["put"] if q["put"] else 0.0
        said = (
            f"{q['put']} in, {q['dropped']} dropped ({share:.0%}), at most {q['most_waiting']} "
            f"of {q['capacity']} waiting"
        )
        yield f"queue {name}", said, "yellow" if share > MANY_DROPS else ""
