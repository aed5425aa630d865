"""`door`: unlock it by command, lock everybody out, end that."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from facegate.cli.options import ConfigFile, daemon_of
from facegate.config import load_config
from facegate.control.client import ControlClient
from facegate.errors import DaemonError

app = typer.Typer(help="Unlock the door, or lock it down.", no_args_is_help=True)


@app.command()
def unlock(config: ConfigFile = None) -> None:
    """Release the strike for one pulse."""
    _daemon(config).unlock()
    typer.echo("The strike is released for one pulse.")


@app.command()
def lockdown(
    state: Annotated[Literal["on", "off"], typer.Argument(help="Begin it or end it.")],
    config: ConfigFile = None,
) -> None:
    """Keep faces and unlock hours out; the exit button still opens."""
    _daemon(config).lockdown(state == "on")
    typer.echo("Lockdown." if state == "on" else "Lockdown is over.")


def _daemon(config: ConfigFile) -> ControlClient:
    settings = load_config(config)
    client = daemon_of(settings)
    if client is None:
        raise DaemonError(
            f"{settings.socket_path}: no daemon is running; start it with `facegate run`"
        )
    return client
