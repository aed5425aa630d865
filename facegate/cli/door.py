"""`door`: unlock it by command, lock everybody out, end that."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from facegate.cli.options import ConfigFile, running_daemon
from facegate.config import load_config

app = typer.Typer(help="Unlock the door, or lock it down.", no_args_is_help=True)


@app.command()
def unlock(config: ConfigFile = None) -> None:
    """Release the strike for one pulse."""
    running_daemon(load_config(config)).unlock()
    typer.echo("The strike is released for one pulse.")


@app.command()
def lockdown(
    state: Annotated[Literal["on", "off"], typer.Argument(help="Begin it or end it.")],
    config: ConfigFile = None,
) -> None:
    """Keep faces and unlock hours out; the exit button still opens."""
    running_daemon(load_config(config)).lockdown(state == "on")
    typer.echo("Lockdown." if state == "on" else "Lockdown is over.")
