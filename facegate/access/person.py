"""Somebody who is enrolled."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from facegate.access.names import clean_name, same_name_key
from facegate.errors import InputError

ROLES = ("member", "admin", "duress")
NOTE_LENGTH = 500


@dataclass(frozen=True)
class Person:
    """An enrolled person.

    Attributes:
        person_id: never given again, even after the person is removed.
        name: as it was typed, normalised.
        role: "member"; "admin", who may arm enrolment; or "duress", whose coming means a threat.
        templates: how many are kept; without any the person must be enrolled again.
        created_at_wall: seconds since the epoch.
        group: whose hours hold for them (`schedule.groups`), or None.
        note: whatever an administrator wrote down.
        until_wall: seconds since the epoch from which on they are not let in; None is never, 0 is
            now, whatever the clock says.
        last_look_wall: when the newest of their templates was added, seconds since the epoch; None
            without any.
    """

    person_id: int
    name: str
    role: str
    templates: int
    created_at_wall: float
    group: str | None = None
    note: str = ""
    until_wall: float | None = None
    last_look_wall: float | None = None


def meant(typed: str, people: Iterable[Person]) -> list[Person]:
    """Give who is called so; where nobody is, whose number was typed."""
    everybody, key = list(people), same_name_key(typed.strip())
    called = [p for p in everybody if same_name_key(p.name) == key]
    return called or [p for p in everybody if str(p.person_id) == typed.strip()]


def names_an_admin(name: str, people: Iterable[Person]) -> bool:
    """Whether one of these people is an administrator of that name.

    Raises:
        InputError: the name is unusable.
    """
    key = same_name_key(clean_name(name))
    return any(p.role == "admin" and same_name_key(p.name) == key for p in people)


def check_role(role: str) -> str:
    """Give the role back.

    Raises:
        InputError: there is no such role.
    """
    if role not in ROLES:
        raise InputError(f"{role}: no such role; use {', '.join(ROLES)}")
    return role


def check_note(note: str) -> str:
    """Give a note as it is kept: one line, no control characters.

    Raises:
        InputError: it is too long.
    """
    text = " ".join("".join(c if c.isprintable() else " " for c in note).split())
    if len(text) > NOTE_LENGTH:
        raise InputError(f"a note has at most {NOTE_LENGTH} characters, not {len(text)}")
    return text
