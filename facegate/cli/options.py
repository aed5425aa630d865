"""Options and look-ups that several commands share."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from facegate.access.directory import Directory
from facegate.access.passes import said
from facegate.access.person import Person, meant
from facegate.config import Config, load_config
from facegate.control.client import ControlClient
from facegate.errors import DaemonError, InputError, ModelError, NotEnrolledError, StoreError
from facegate.events import EventName

# Loaded where they are used: a command that only talks to the daemon needs none of them.
if TYPE_CHECKING:
    from facegate.access.audit import Fact
    from facegate.access.likeness import Likeness
    from facegate.access.store import Store
    from facegate.types import F32, U8, Quality
    from facegate.vision.faces import Face, FaceReader

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="Settings file; else $FACEGATE_CONFIG, /etc/facegate."),
]
CameraSource = Annotated[
    str | None,
    typer.Option("--camera", help="picamera2, v4l2:/dev/video0 or file:PATH, instead of config."),
]
Pictures = Annotated[list[Path], typer.Argument(help="Pictures.", show_default=False)]

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
PassphraseFile = Annotated[
    Path | None, typer.Option(help="Its first line is the passphrase; else it is asked for.")
]


def passphrase_from(file: Path | None, prompt: str, *, confirm: bool) -> str:
    """Give a passphrase: the first line of a file, or what is typed.

    Raises:
        InputError: the file cannot be read, or there is no terminal to ask at.
    """
    if file is not None:
        return first_line(file)
    if not sys.stdin.isatty():
        raise InputError("no terminal to ask for the passphrase; give --passphrase-file")
    return str(typer.prompt(prompt, hide_input=True, confirmation_prompt=confirm))


def first_line(file: Path) -> str:
    """Give the first line of a file that holds a passphrase.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return file.read_text(encoding="utf-8").partition("\n")[0]
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "not a text in UTF-8"
        raise InputError(f"{file}: the passphrase cannot be read: {why}") from error


def confirm(question: str, yes: bool) -> None:
    """Ask before something that cannot be undone; an answer of no ends the command.

    Args:
        question: for whoever sits there.
        yes: whether `--yes` was given.

    Raises:
        InputError: it was not, and there is no terminal to ask at.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise InputError("there is no terminal to ask at; give --yes if you mean it")
    typer.confirm(question, abort=True)


def check_events(names: Iterable[str]) -> None:
    """Check that events are called so.

    Raises:
        InputError: one is not; names those that there are.
    """
    known = get_args(EventName)
    for name in names:
        if name not in known:
            raise InputError(f"{name}: no event is called so; there are: {', '.join(known)}")


def daemon_of(config: Config) -> ControlClient | None:
    """Give the running daemon, or None."""
    client = ControlClient(config.socket_path)
    return client if client.running() else None


def running_daemon(config: Config) -> ControlClient:
    """Give the running daemon.

    Raises:
        DaemonError: there is none.
    """
    client = daemon_of(config)
    if client is None:
        raise DaemonError(
            f"{config.socket_path}: no daemon is running; start it with `facegate run`"
        )
    return client


class _Recorded:
    """The store, with every change recorded in the audit trail."""

    def __init__(self, config: Config, store: Store) -> None:
        self._config, self._store = config, store
        self.people = store.people

    def likenesses(self) -> list[Likeness]:
        from facegate import parts

        return parts.likenesses_in(self._config, self._store)

    def rename(self, old: str, new: str) -> Person:
        return self._done("person_renamed", self._store.rename(old, new))

    def set_role(self, name: str, role: str) -> Person:
        return self._done("role_changed", self._store.set_role(name, role))

    def set_group(self, name: str, group: str | None) -> Person:
        return self._done("group_changed", self._store.set_group(name, group))

    def set_note(self, name: str, note: str) -> Person:
        return self._done("note_changed", self._store.set_note(name, note))

    def set_until(self, name: str, until_wall: float | None) -> Person:
        person = self._store.set_until(name, until_wall)
        until = said(until_wall, self._config.schedule.zone)
        return self._done("pass_changed", person, until=until)

    def remove(self, name: str) -> Person:
        def removed(person: Person) -> None:
            self._done("person_removed", person, done="is removed")

        return self._store.remove(name, removed)

    def _done(
        self, event: EventName, person: Person, done: str = "is changed", **facts: Fact
    ) -> Person:
        done = f"{person.name} {done}"
        record(self._config, event, done, person, revision=self._store.revision, **facts)
        return person


@contextmanager
def directory(config_file: Path | None) -> Iterator[Directory]:
    """Open whatever owns the enrolled people: the daemon's socket, or the store where none runs."""
    config = load_config(config_file)
    if client := daemon_of(config):
        yield client
        return
    with offline_store(config) as store:
        yield _Recorded(config, store)
        back_up(config, store)


def name_of(typed: str, config_file: Path | None) -> str:
    """Give the name that was typed; where it is a number, the name of whom that means."""
    return named_person(typed, config_file).name if typed.strip().isdecimal() else typed


def named_person(name: str, config_file: Path | None) -> Person:
    """Find who is called so, or has this number; case makes no difference.

    Raises:
        NotEnrolledError: nobody does.
    """
    with directory(config_file) as people:
        return named_among(people.people(), name)


def named_among(people: Iterable[Person], name: str) -> Person:
    """Find who of these people is called so, or has this number; case makes no difference.

    Raises:
        NotEnrolledError: nobody does.
    """
    for person in meant(name, people):
        return person
    raise NotEnrolledError(f"{name}: nobody is called so; see `facegate people list`")


def person_number(named: str | None, config_file: Path | None) -> int | None:
    """Give the number by which journal and audit trail call a person; one may be typed too."""
    if named is None or named.isdecimal():
        return None if named is None else int(named)
    return named_person(named, config_file).person_id


def record(
    config: Config, event: EventName, done: str, person: Person | None = None, **facts: Fact
) -> None:
    """Record a change made without the daemon.

    Raises:
        StoreError: it cannot be recorded; says what was `done` nevertheless.
    """
    from facegate import parts

    if person is not None:
        facts["person"] = person.person_id
    try:
        with parts.open_audit(config) as trail:
            trail.append(event, {**facts, "by": f"uid {os.getuid()}"})
    except StoreError as error:
        raise StoreError(f"{done}, but that is not recorded: {error}") from error


def back_up(config: Config, store: Store) -> None:
    """Make a copy of a store that changed without the daemon; a warning where none can be made."""
    from facegate import parts

    try:
        backups = parts.rolling_backups(config)
        if backups.latest_mark() != store.mark:
            backups.make(store)
    except StoreError as error:
        typer.echo(f"facegate: no backup was made: {error}", err=True)


def offline_store(config: Config) -> Store:
    """Open the store without loading a network: the card alone names the model."""
    from facegate import parts

    return parts.open_store(config, embedder_model(config))


def embedder_model(config: Config) -> str:
    """Give the configured embedder's id, from its card."""
    from facegate import parts
    from facegate.vision.card import read_card

    return read_card(parts.embedder_path(config), "embedder").model_id


def named_model(path: Path) -> Path:
    """Give the file of a network that was typed: a path, or the bare name of one that ships.

    Raises:
        ModelError: there is no such file.
    """
    from facegate.parts import network_file

    found = network_file(str(path))
    if not found.is_file():
        raise ModelError(
            f"{path}: no such network; give a .tflite with its card beside it, or the name of one "
            "that ships, without ending (facegate models list)"
        )
    return found


def only_face(reader: FaceReader, path: Path, allow_poor: bool = False) -> tuple[U8, Face]:
    """Find the one face a picture must show.

    Raises:
        InputError: no face, several, or (unless `allow_poor`) one that the quality gate refuses.
    """
    from facegate.vision.pictures import read_picture

    pixels = read_picture(path)
    found = reader.find(pixels)
    if not found:
        raise InputError(f"{path}: no face found; take a picture from nearer, facing the camera")
    if len(found) > 1:
        raise InputError(f"{path}: {len(found)} faces; cut the picture so that it shows one person")
    face = reader.look(pixels, found[0])
    if not face.quality.passed and not allow_poor:
        raise _too_poor(path, face.quality)
    return pixels, face


def _too_poor(path: Path, quality: Quality) -> InputError:
    from facegate.vision.quality import ADVICE

    what = quality.reasons[0]
    return InputError(f"{path}: the face is {what.replace('_', ' ')}: {ADVICE[what]}")


def look_to_enrol(reader: FaceReader, path: Path) -> F32:
    """Embed the one face a picture must show, as a door and a camera at enrolment would.

    Raises:
        InputError: no face, several, or one that the quality gate refuses, before or after.
    """
    face, embedding = reader.read(only_face(reader, path)[1])
    if embedding is None:
        raise _too_poor(path, face.quality)
    return embedding.vector
