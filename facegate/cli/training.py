"""What the commands of the training side share."""

from __future__ import annotations

import importlib
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import typer

from facegate.errors import DataError, InputError
from facegate.vision.faces import FaceReader

T = TypeVar("T")
STAND_INS = {
    "--boxes": "BOXES",
    "--config": "CONFIG",
    "-c": "CONFIG",
    "--data": "DATA",
    "--images": "IMAGES",
    "--out": "RUN",
    "--pairs": "PAIRS",
    "--start-from": "WEIGHTS",
    "--weights": "WEIGHTS",
}
"""What a card calls a folder or file that was given to an option."""

OF_TRAINING = {"torch", "keras", "tensorflow"}
LAST_PYTHON = (3, 12)
"""Of these in pyproject's extra [train]; later ones have none of them."""

TOLD_EVERY_S = 15.0
"""How often a long loop says how far it is where there is no terminal for a bar."""


def needs(*modules: str) -> None:
    """Check that an extra is installed before it is used.

    Raises:
        DataError: a module is missing; the message names the extra, and the Pythons it is for.
    """
    extra = "train" if OF_TRAINING & set(modules) else "evaluate"
    for name in modules:
        try:
            importlib.import_module(name)
        except ImportError:
            late = name in OF_TRAINING and sys.version_info[:2] > LAST_PYTHON
            where = " with Python 3.11 or 3.12; it holds nothing for this one" if late else ""
            raise DataError(f"this needs {name}: pip install 'facegate[{extra}]'{where}") from None


def keras_to_convert() -> None:
    """Choose the backend before Keras is imported: only TensorFlow's networks can be converted."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # errors alone


def without_paths(words: Iterable[str], *files: Path) -> list[str]:
    """Put a name in place of each folder and file of a command: cards travel, paths do not.

    Args:
        words: the command.
        files: those that keep a name of their own, without their folder.
    """
    own = {file: file.name for file in files}
    named, previous = [], ""
    for word in words:
        flag, equals, value = word.partition("=")
        if previous in STAND_INS:
            named.append(own.get(Path(word), STAND_INS[previous]))
        elif equals and flag in STAND_INS:
            named.append(f"{flag}={own.get(Path(value), STAND_INS[flag])}")
        else:
            named.append(own.get(Path(word), word))
        previous = word
    return named


def check_sources(data: Path | None, images: Path | None, boxes: Path | None) -> None:
    """Check that pictures are given in one way, before anything is loaded or made.

    Raises:
        BadParameter: they are given in no way, or in two.
    """
    if (data is None) == (images is None) or (images is None) != (boxes is None):
        raise typer.BadParameter("give either --data DIR, or --images DIR with --boxes FILE")


def annotated_sets(
    data: Path | None,
    images: Path | None,
    boxes: Path | None,
    folder: Path,
    tell: Callable[[str], None],
) -> Path:
    """Give the sets that detector and refiner learn from, made of one's own pictures if need be.

    Args:
        data, images, boxes: as they were typed.
        folder: where sets of one's own pictures go.
        tell: takes what was made of them.
    """
    check_sources(data, images, boxes)
    if images is not None and boxes is not None:
        from facegate.training.own_scenes import prepare_scenes

        return prepare_scenes(images, boxes, folder, tell)
    assert data is not None
    return data


def portrait_figures(reader: FaceReader) -> dict[str, dict[str, float]]:
    """Give the card's figures of the demo's portraits; nothing where those are not installed."""
    from facegate.demo.walkup import portraits
    from facegate.training.portraits import portrait_distances

    try:
        first, second = portraits()
    except InputError:
        return {}
    return {"portraits": portrait_distances(reader, first.pixels, second.pixels)}


def progress(items: Iterable[T], total: int, what: str) -> Iterable[T]:
    """Show how far a long loop is: a bar on a terminal, a line now and then elsewhere."""
    if not sys.stderr.isatty():
        return _told(items, total, what)
    from rich.console import Console
    from rich.progress import track

    return track(items, what, total, console=Console(stderr=True), transient=True)


def _told(items: Iterable[T], total: int, what: str) -> Iterator[T]:
    at_s = time.monotonic()
    for done, item in enumerate(items):
        if time.monotonic() - at_s >= TOLD_EVERY_S:
            at_s = time.monotonic()
            say(f"{what}: {done:,} of {total:,}")
        yield item


def say(line: str) -> None:
    """Say something on the way, beside the document on standard output."""
    print(line, file=sys.stderr, flush=True)
