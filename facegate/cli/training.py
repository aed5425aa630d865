"""What the commands of the training side share."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable
from typing import TypeVar

from facegate.errors import DataError, InputError
from facegate.vision.faces import FaceReader

T = TypeVar("T")


def needs(*modules: str) -> None:
    """Check that an extra is installed before it is used.

    Raises:
        DataError: a module is missing; the message names the extra.
    """
    extra = "train" if {"torch", "keras", "tensorflow"} & set(modules) else "evaluate"
    for name in modules:
        try:
            importlib.import_module(name)
        except ImportError:
            raise DataError(f"this needs {name}: pip install 'facegate[{extra}]'") from None


def portrait_figures(reader: FaceReader) -> dict[str, dict[str, float]]:
    """Give the card's figures of the demo's portraits; nothing where those are not installed."""
    from facegate.demo.walkup import portraits
    from facegate.training.probe import portrait_distances

    try:
        first, second = portraits()
    except InputError:
        return {}
    return {"portraits": portrait_distances(reader, first.pixels, second.pixels)}


def progress(items: Iterable[T], total: int, what: str) -> Iterable[T]:
    """Show how far a long loop is: a bar on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        return items
    from rich.console import Console
    from rich.progress import track

    return track(items, what, total, console=Console(stderr=True), transient=True)
