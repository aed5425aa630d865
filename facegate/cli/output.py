"""How every command prints: readable lines, or one JSON document with `--json`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from facegate.access.names import JOINERS
from facegate.errors import InputError

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]


def emit(result: Any, as_json: bool, lines: Iterable[str]) -> None:
    """Print `result` as JSON, or `lines` for people.

    NaN and infinity become null in JSON; in lines, what would command a terminal is spelled out.
    """
    if as_json:
        typer.echo(json.dumps(_plain(result), indent=2))
    else:
        for line in lines:
            typer.echo(spelled_out(line))


def spelled_out(text: str) -> str:
    """Give a text with control characters as they are written in source code, but line ends."""
    fine = ("\n", *JOINERS)
    return "".join(c if c.isprintable() or c in fine else ascii(c)[1:-1] for c in text)


def check_writable(path: Path | None) -> None:
    """Find out before long work whether its picture can be written in the end.

    Raises:
        InputError: its folder is not there, it is one itself, or its suffix names no picture.
    """
    if path is None:
        return
    if path.suffix not in (".png", ".jpg"):
        raise InputError(f"{path}: choose a name that ends in .png or .jpg")
    if path.is_dir():
        raise InputError(f"{path}: a folder; choose another name")
    if not path.parent.is_dir():
        raise InputError(f"{path}: there is no folder {path.parent}; make it first")


def make_folder(path: Path | None) -> None:
    """Make a folder before the long work that writes into it; one that is there is fine.

    Raises:
        InputError: it cannot be made.
    """
    try:
        if path is not None:
            path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path}: no folder can be made: {error.strerror}") from error


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
