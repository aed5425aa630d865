"""`config check`: is the configuration right?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
import yaml

from facegate import parts
from facegate.cli.output import AsJson, emit
from facegate.config import Config, find_config, load_config
from facegate.errors import InputError
from facegate.settings import WindowConfig
from facegate.vision.card import read_card

app = typer.Typer(help="Check the settings.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep `check` a command of its own."""


@app.command()
def check(
    file: Annotated[Path | None, typer.Argument(help="Settings file.", show_default=False)] = None,
    as_json: AsJson = False,
) -> None:
    """Find every mistake in a settings file, look for its networks, and print what is in force."""
    if file is not None and not file.exists():
        raise InputError(f"{file}: no such file")
    settings = load_config(file)
    for path, kind in (
        (parts.detector_path(settings), "detector"),
        (parts.refiner_path(settings), "refiner"),
        (parts.embedder_path(settings), "embedder"),
    ):
        read_card(path, kind)
    source = file or find_config()
    content = settings.model_dump()
    lines = [f"{source}: right" if source else "no settings file: all defaults", ""]
    lines += [*_hours(settings), ""] if settings.schedule.unlock or settings.schedule.groups else []
    lines += yaml.safe_dump(content, sort_keys=False).splitlines()
    emit(content, as_json, lines)


def _hours(settings: Config) -> list[str]:
    """Say hours in words: a window across midnight is easily meant otherwise."""
    lines = [f"unlocked for anybody: {_window(w)}" for w in settings.schedule.unlock]
    for group in settings.schedule.groups:
        who = group.name or ("everybody" if group.people is None else ", ".join(group.people))
        windows = [_window(w) for w in group.windows] or ["at all times"]
        lines += [f"{who}: {window}" for window in windows]
    return lines


def _window(window: WindowConfig) -> str:
    start, end = (int(t[:2]) * 60 + int(t[3:]) for t in (window.start, window.end))
    hours = ((end - start) % (24 * 60) or 24 * 60) / 60
    next_day = " of the next day" if end <= start else ""
    return f"{', '.join(window.days)} {window.start} to {window.end}{next_day}, {hours:g} hours"
