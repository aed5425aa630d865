"""`config check`: is the configuration right?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
import yaml

from facegate.cli.output import AsJson, emit
from facegate.config import find_config, load_config
from facegate.errors import InputError

app = typer.Typer(help="Check the settings.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep `check` a command of its own."""


@app.command()
def check(
    file: Annotated[Path | None, typer.Argument(help="Settings file.", show_default=False)] = None,
    as_json: AsJson = False,
) -> None:
    """Find every mistake in a settings file and print what is in force."""
    if file is not None and not file.exists():
        raise InputError(f"{file}: no such file")
    settings = load_config(file)
    source = file or find_config()
    content = settings.model_dump()
    lines = [f"{source}: right" if source else "no settings file: all defaults", ""]
    lines += yaml.safe_dump(content, sort_keys=False).splitlines()
    emit(content, as_json, lines)
