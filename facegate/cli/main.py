"""Assemble the commands and turn errors into one line and an exit code."""

from __future__ import annotations

import errno
import io
import sys
from contextlib import suppress
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup
from typer.main import get_group

from facegate.errors import FacegateError, InputError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO)
"""What writing anywhere may meet, standard output too: no mistake of the program."""

DENIED = (errno.EACCES, errno.EPERM)
UNUSABLE = (errno.EROFS, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)
"""What a path that was typed may meet anywhere."""

PIPE_CLOSED = 141
"""What a shell says of a program whose reader left, 128 and the number of SIGPIPE: not the 1 that
means no."""

COMMANDS = {
    "run": "gate.run",
    "enroll": "enroll.enroll",
    "identify": "look.identify",
    "verify": "look.verify",
    "detect": "look.detect",
    "status": "status.status",
    "watch": "watch.watch",
    "tell": "tell.tell",
    "events": "events.events",
    "doctor": "doctor.doctor",
    "api": "api.api",
    "demo": "demo.demo",
    "export": "export.export",
    "calibrate": "calibrate.calibrate",
    "backup": "backup.backup",
    "restore": "backup.restore",
    "people": "people.app",
    "key": "key.app",
    "door": "door.app",
    "audit": "audit.app",
    "config": "config.app",
    "train": "train.app",
    "evaluate": "evaluate.app",
    "bench": "bench.app",
    "models": "models.app",
}
"""In the order of the help: what each is in `facegate.cli`, a function or a group of commands."""


class Commands(TyperGroup):
    """Loads a command when it is asked for: unlocking the door takes no network."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**{**attributes, "commands": dict.fromkeys(COMMANDS)})

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Give a command, or None where none is called so."""
        if cmd_name in COMMANDS and self.commands[cmd_name] is None:
            self.commands[cmd_name] = _load(cmd_name)
        return super().get_command(ctx, cmd_name)


def _load(name: str) -> Any:
    module, what = COMMANDS[name].split(".")
    found, alone = getattr(import_module(f"facegate.cli.{module}"), what), typer.Typer()
    if isinstance(found, typer.Typer):
        alone.add_typer(found, name=name)
    else:
        alone.command(name)(found)
    return get_group(alone).commands[name]


app = typer.Typer(
    cls=Commands,
    name="facegate",
    help="The door that knows who is there.",
    epilog="Exit codes: 0 done, 1 the answer is no, 2 usage or settings, 3 input, 4 model, "
    "5 store, 6 hardware, 7 daemon, 8 data set, 9 training, 130 Ctrl-C, 141 nobody reads on.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(version("facegate"))
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Take options that belong to no command."""


def main() -> None:
    """Run the command line; exit codes are those of `facegate.errors`, Ctrl-C is `__main__`'s."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name that the locale lacks is spelled out
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except SystemExit as ended:
        if isinstance(ended.__context__, BrokenPipeError):  # typer ends with 1
            sys.exit(PIPE_CLOSED)
        raise
    except FacegateError as error:
        _end(str(error), error.exit_code)
    except OSError as error:
        why = _said_of(error)
        if why is None:
            raise
        where = f"{error.filename}: " if error.filename else ""
        _end(f"{where}{why}", InputError.exit_code)


def _end(why: str, exit_code: int) -> NoReturn:
    with suppress(OSError):  # where it cannot be said, the exit code says it
        typer.echo(f"facegate: {why}", err=True)
    sys.exit(exit_code)


def _said_of(error: OSError) -> str | None:
    """Say what the machine refuses, where that is no mistake of the program."""
    if error.errno in FULL:
        return "the disk is full or fails; check it (dmesg, df)"
    if error.errno in DENIED and error.filename:
        return f"{(error.strerror or '').lower()}; use sudo, or be its owner"
    if error.errno in UNUSABLE and error.filename:
        return f"{(error.strerror or '').lower()}; give another path"
    return None
