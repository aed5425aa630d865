"""Assemble the commands and turn errors into one line and an exit code."""

from __future__ import annotations

import sys

import typer

from facegate.errors import FacegateError

app = typer.Typer(
    name="facegate",
    help="The door that knows who is there.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run the command line; exit codes are those of `facegate.errors`."""
    try:
        app()
    except FacegateError as error:
        typer.echo(f"facegate: {error}", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
