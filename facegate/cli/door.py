"""`door`: unlock it by command, for a moment or a time; lock everybody out; its PIN."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

import typer

from facegate.cli.options import ConfigFile, running_daemon
from facegate.cli.output import AsJson, emit
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
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Release the strike for one pulse, or let the door stand unlocked for a time.

    A lockdown, an opened case and a restart end that time.
    """
    for_s = None if minutes is None else minutes * 60.0
    done = (
        "The strike is released for one pulse."
        if minutes is None
        else f"The door stands unlocked for {minutes} min; `facegate door lock` ends that."
    )
    emit(running_daemon(load_config(config)).unlock(for_s), as_json, [done])


@app.command()
def lock(as_json: AsJson = False, config: ConfigFile = None) -> None:
    """End the time that `unlock --minutes` gave; unlock hours go on."""
    now = running_daemon(load_config(config)).lock()
    done = f"The door is kept unlocked no longer by command; it is {now['door']}."
    emit(now, as_json, [done])


@app.command()
def lockdown(
    state: Annotated[Literal["on", "off"], typer.Argument(help="Begin it or end it.")],
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Keep faces, unlock hours and commands out; the exit button still opens."""
    done = "Lockdown." if state == "on" else "Lockdown is over."
    emit(running_daemon(load_config(config)).lockdown(state == "on"), as_json, [done])


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
