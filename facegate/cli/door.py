"""`door`: unlock it by command, for a moment or a time; lock everybody out; its PIN."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

import typer

from facegate.cli.options import ConfigFile, running_daemon
from facegate.config import load_config
from facegate.errors import InputError

app = typer.Typer(help="Unlock the door, lock it down, set its PIN.", no_args_is_help=True)


@app.command()
def unlock(
    minutes: Annotated[
        int | None,
        typer.Option(
            help="Let the door stand unlocked for so long, instead of one pulse.", min=1, max=720
        ),
    ] = None,
    config: ConfigFile = None,
) -> None:
    """Release the strike for one pulse, or let the door stand unlocked for a time.

    A lockdown, an opened case and a restart end that time.
    """
    running_daemon(load_config(config)).unlock(None if minutes is None else minutes * 60.0)
    typer.echo(
        "The strike is released for one pulse."
        if minutes is None
        else f"The door stands unlocked for {minutes} min; `facegate door lock` ends that."
    )


@app.command()
def lock(config: ConfigFile = None) -> None:
    """End the time that `unlock --minutes` gave; unlock hours go on."""
    daemon = running_daemon(load_config(config))
    daemon.lock()
    state = daemon.status()["door"]
    typer.echo(f"The door is kept unlocked no longer by command; it is {state}.")


@app.command()
def lockdown(
    state: Annotated[Literal["on", "off"], typer.Argument(help="Begin it or end it.")],
    config: ConfigFile = None,
) -> None:
    """Keep faces, unlock hours and commands out; the exit button still opens."""
    running_daemon(load_config(config)).lockdown(state == "on")
    typer.echo("Lockdown." if state == "on" else "Lockdown is over.")


@app.command()
def pin(config: ConfigFile = None) -> None:
    """Give the door a new PIN, asked for twice; from a pipe, its first line is taken."""
    daemon = running_daemon(load_config(config))
    if sys.stdin.isatty():
        chosen = typer.prompt("New PIN", hide_input=True)
        if typer.prompt("The same again", hide_input=True) != chosen:
            raise InputError("the two are not the same; nothing was changed")
    else:
        chosen = sys.stdin.readline().strip()
        if not chosen:
            raise InputError("nothing was typed; nothing was changed")
    daemon.set_pin(chosen)
    typer.echo("The door has a new PIN.")
