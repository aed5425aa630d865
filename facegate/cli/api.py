"""`api`: the description of the daemon's socket, for those who write programs against it."""

from __future__ import annotations

import json

import typer

from facegate.control.openapi import describe
from facegate.control.routes import ROUTES


def api() -> None:
    """Print the OpenAPI description of the daemon's socket; needs no daemon."""
    typer.echo(json.dumps(describe(ROUTES), indent=2))
