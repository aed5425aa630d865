"""Assemble the commands and turn errors into one line and an exit code."""

from __future__ import annotations

import errno
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from facegate.cli import (
    api,
    audit,
    backup,
    bench,
    calibrate,
    config,
    demo,
    doctor,
    door,
    evaluate,
    export,
    gate,
    key,
    look,
    models,
    people,
    train,
    watch,
)
from facegate.errors import FacegateError, InputError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO)
"""What writing anywhere may meet, standard output too: no mistake of the program."""

DENIED = (errno.EACCES, errno.EPERM)
UNUSABLE = (errno.EROFS, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)
"""What a path that was typed may meet anywhere."""

app = typer.Typer(
    name="facegate",
    help="The door that knows who is there.",
    epilog="Exit codes: 0 done, 1 the answer is no, 2 usage or settings, 3 input, 4 model, "
    "5 store, 6 hardware, 7 daemon, 8 data set, 9 training, 130 Ctrl-C.",
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


for command in (gate.run, people.enroll, look.identify, look.verify, look.detect, gate.status):
    app.command()(command)
app.command()(watch.watch)
app.command()(doctor.doctor)
app.command()(api.api)
app.command()(demo.demo)
app.command()(export.export)
app.command()(calibrate.calibrate)
app.command()(backup.backup)
app.command()(backup.restore)
app.add_typer(people.app, name="people")
app.add_typer(key.app, name="key")
app.add_typer(door.app, name="door")
app.add_typer(audit.app, name="audit")
app.add_typer(config.app, name="config")
app.add_typer(train.app, name="train")
app.add_typer(evaluate.app, name="evaluate")
app.add_typer(bench.app, name="bench")
app.add_typer(models.app, name="models")


def main() -> None:
    """Run the command line; exit codes are those of `facegate.errors`, Ctrl-C is `__main__`'s."""
    try:
        app()
    except FacegateError as error:
        typer.echo(f"facegate: {error}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        why = _said_of(error)
        if why is None:
            raise
        where = f"{error.filename}: " if error.filename else ""
        typer.echo(f"facegate: {where}{why}", err=True)
        sys.exit(InputError.exit_code)


def _said_of(error: OSError) -> str | None:
    """Say what the machine refuses, where that is no mistake of the program."""
    if error.errno in FULL:
        return "the disk is full or fails; check it (dmesg, df)"
    if error.errno in DENIED and error.filename:
        return f"{(error.strerror or '').lower()}; use sudo, or be its owner"
    if error.errno in UNUSABLE and error.filename:
        return f"{(error.strerror or '').lower()}; give another path"
    return None
