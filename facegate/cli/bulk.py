"""`people import`: everybody whose pictures lie in a folder, one folder a person."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from facegate import parts
from facegate.access.names import clean_name, same_name_key
from facegate.cli.enroll import enrolling
from facegate.cli.options import daemon_of, directory, look_to_enrol
from facegate.config import load_config
from facegate.control.schemas import MAX_VECTORS
from facegate.errors import InputError, NoEmbeddingError
from facegate.types import F32
from facegate.vision.faces import FaceReader

MOST_NUMBERS = 10_000
"""A request takes 256 KiB, and a number up to 23 characters."""


@dataclass(frozen=True)
class Imported:
    """What became of one folder.

    Attributes:
        name: of the folder, and of the person.
        outcome: what was done.
        templates: how many are kept of them now.
        why: they were refused.
        passed_over: pictures that were of no use, each with the reason.
    """

    name: str
    outcome: Literal["enrolled", "enrolled before", "refused"]
    templates: int = 0
    why: str | None = None
    passed_over: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """What is said of it."""
        if self.why is not None:
            return f"{self.name}: REFUSED: {self.why}"
        return f"{self.name}: {self.outcome}, {self.templates} template(s)"


def import_people(
    folder: Path, config: Path | None, say: Callable[[str], None]
) -> Iterator[Imported]:
    """Enrol everybody of a folder whose name is not enrolled yet; who is refused stops nobody else.

    Args:
        folder: FOLDER/NAME/PICTURE.
        config: settings file.
        say: told of every picture that is of no use, and of every person.

    Yields:
        What became of each folder, as soon as it is known.

    Raises:
        InputError: no such folder, no folder in it, or two of one name.
    """
    folders = _folders(folder)
    settings = load_config(config)
    with directory(config) as people:
        there = {same_name_key(p.name): p.templates for p in people.people() if p.templates}
    vision = parts.load_vision(settings)
    with enrolling(settings, vision, daemon_of(settings)) as enrol:
        for own in folders:
            one = _import(own, vision.reader, there, lambda n, v: enrol(n, v).templates, say)
            say(one.line)
            yield one


def _import(
    folder: Path,
    reader: FaceReader,
    there: dict[str, int],
    enrol: Callable[[str, list[F32]], int],
    say: Callable[[str], None],
) -> Imported:
    useless: list[str] = []

    def pass_over(why: str) -> None:
        useless.append(why)
        say(f"passed over: {why}")

    try:
        name = clean_name(folder.name)
        if templates := there.get(same_name_key(name), 0):
            return Imported(name, "enrolled before", templates)
        vectors = list(_vectors(folder, reader, pass_over))
        if not vectors:
            raise InputError("no picture of use")
        return Imported(name, "enrolled", enrol(name, vectors), passed_over=tuple(useless))
    except OSError as error:
        why = f"its folder cannot be read: {error.strerror}"
        return Imported(folder.name, "refused", why=why, passed_over=tuple(useless))
    except InputError as error:
        why = str(error).removeprefix(f"{folder.name}: ")
        return Imported(folder.name, "refused", why=why, passed_over=tuple(useless))


def _vectors(folder: Path, reader: FaceReader, pass_over: Callable[[str], None]) -> Iterator[F32]:
    """Embed a folder's pictures, as many as one request to the daemon can carry."""
    found, most = 0, MAX_VECTORS
    for path in sorted(p for p in folder.iterdir() if not p.name.startswith(".")):
        if found == most:
            pass_over(f"{folder}: what comes after the first {most} usable pictures")
            return
        try:
            vector = look_to_enrol(reader, path)
        except (InputError, NoEmbeddingError) as error:
            pass_over(str(error))
            continue
        yield vector
        found, most = found + 1, max(1, min(MAX_VECTORS, MOST_NUMBERS // len(vector)))


def _folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    found = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not found:
        raise InputError(f"{folder}: no folders in it; give each person one: {folder}/NAME/*.jpg")
    one = {same_name_key(p.name.strip()): p.name for p in found}
    for p in found:
        if (other := one[same_name_key(p.name.strip())]) != p.name:
            raise InputError(f"{folder}: {p.name} and {other} are one name; rename one of them")
    return found
