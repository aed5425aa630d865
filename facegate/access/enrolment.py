"""Collect good looks at one person, with guidance, and refuse what would make a bad template.

Pure state with times handed in: the daemon, the command line and (with pictures instead of a
camera) `enroll --image` use the same rules.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from facegate.access.matcher import Matcher
from facegate.access.names import same_name_key
from facegate.access.person import Person
from facegate.access.store import Store
from facegate.errors import InputError, NameTakenError
from facegate.types import F32, Embedding, Match


@dataclass(frozen=True)
class EnrolmentSettings:
    """How much is collected: looks, seconds between two, seconds until giving up."""

    captures: int
    interval_s: float
    timeout_s: float


class EnrolmentSession:
    """Collects looks until there are enough.

    Args:
        name: who is enrolled.
        settings: how much is collected.
        threshold: distance above which two looks are more likely two people than one, 0 to 2.
        started_at_s: monotonic seconds.

    Attributes:
        guidance: what the person should do now, in words.
    """

    def __init__(
        self, name: str, settings: EnrolmentSettings, threshold: float, started_at_s: float
    ) -> None:
        self.name = name
        self.guidance = "look at the camera"
        self._settings, self._threshold = settings, threshold
        self._started_at_s, self._last_s = started_at_s, float("-inf")
        self._vectors: list[F32] = []

    @property
    def done(self) -> bool:
        """Whether enough looks were collected."""
        return len(self._vectors) >= self._settings.captures

    @property
    def captured(self) -> int:
        """Looks collected so far."""
        return len(self._vectors)

    def expired(self, now_s: float) -> bool:
        """Whether time is up before enough looks were collected."""
        return not self.done and now_s - self._started_at_s > self._settings.timeout_s

    def wants(self, now_s: float) -> bool:
        """Whether a look taken now would be used."""
        return not self.done and now_s - self._last_s >= self._settings.interval_s

    @property
    def too_few(self) -> InputError:
        """What to raise when it ends before enough looks were collected."""
        return InputError(
            f"{self.name}: only {self.captured} good looks ({self.guidance}); nobody was enrolled"
        )

    def offer(self, seen: Embedding | str, now_s: float) -> None:
        """Take what a picture shows, if it is wanted.

        A look that does not resemble the ones before starts the collection again: somebody else has
        stepped in front of the camera.

        Args:
            seen: a good look at the only face in it, or what the person should do first.
            now_s: when it was taken, monotonic seconds.
        """
        if not self.wants(now_s):
            return
        if isinstance(seen, str):
            self.guidance = seen
            return
        nearest = [float(np.linalg.norm(v - seen.vector)) for v in self._vectors]
        again = bool(nearest) and min(nearest) > self._threshold
        if again:
            self._vectors.clear()
        self._vectors.append(seen.vector)
        self._last_s = now_s
        left = self._settings.captures - len(self._vectors)
        self.guidance = f"{left} more: turn your head a little" if left else "done"
        if again:
            self.guidance = f"another face: starting again, {left} more"

    def vectors(self) -> list[F32]:
        """Give the collected embeddings, float32 (D,) each, unit length."""
        return list(self._vectors)


def name_to_enrol(store: Store, name: str, more: bool) -> str:
    """Give the name as it is kept, before anybody is looked at.

    Args:
        store: of those enrolled.
        name: who is enrolled.
        more: whether somebody enrolled already gets more templates.

    Raises:
        InputError: the name is taken or unusable, or nobody is called so who is to get more, or has
            no looks yet.
    """
    try:
        return _with_looks(store.person(name)).name if more else store.check_new_name(name)
    except NameTakenError as error:
        raise NameTakenError(
            f"{name}: is enrolled already; --more adds looks, another person needs another name"
        ) from error


def _with_looks(person: Person) -> Person:
    if not person.templates:
        raise InputError(f"{person.name}: has no looks yet that more could resemble; no --more")
    return person


def check_looks(
    name: str,
    vectors: list[F32],
    matcher: Matcher,
    names: Mapping[int, str],
    threshold: float,
    one_person: float,
    returning: Person | None = None,
    allow_duplicate: bool = False,
) -> None:
    """Refuse an enrolment that would weaken the gate.

    Args:
        name: who is enrolled.
        vectors: the new embeddings.
        matcher: of everybody enrolled already.
        names: person_id → name.
        threshold: greatest distance at which somebody is let in.
        one_person: greatest distance at which two embeddings are more likely one person than two.
        returning: who gets more templates; None for somebody new.
        allow_duplicate: whether they may resemble somebody else.

    Raises:
        InputError: the pictures show different people, or somebody else enrolled already, or one of
            them does not resemble the templates of who is to get more.
        NameTakenError: they show who is enrolled under this very name.
    """
    if returning is not None:
        own = matcher.only(_with_looks(returning).person_id)
        _check_resembles(name, [own.match(v).distance for v in vectors], one_person)
        matcher = matcher.without(returning.person_id)
    _check_one_person(name, vectors, one_person)
    if not allow_duplicate:
        _check_unknown(name, [matcher.match(v) for v in vectors], names, threshold)


def _check_resembles(name: str, distances: list[float], one_person: float) -> None:
    """Refuse all looks for one: who has one resembling look, or makes one, adds others with it."""
    for number, distance in enumerate(distances, 1):
        if distance > one_person:
            raise InputError(
                f"{name}: look {number} of {len(distances)} does not resemble the ones enrolled "
                f"(distance {distance:.2f}, limit {one_person:.2f}); nobody else may be in them; "
                f"or, to begin anew, forget {name} and enrol again"
            )


def _check_one_person(name: str, vectors: list[F32], one_person: float) -> None:
    for first in range(len(vectors)):
        for second in range(first):
            distance = float(np.linalg.norm(vectors[first] - vectors[second]))
            if distance > one_person:
                raise InputError(
                    f"{name}: pictures {second + 1} and {first + 1} do not look like one person "
                    f"(distance {distance:.2f}, limit {one_person:.2f}); leave one out"
                )


def _check_unknown(
    name: str, matches: list[Match], names: Mapping[int, str], threshold: float
) -> None:
    for match in matches:
        if match.person_id is not None and match.distance <= threshold:
            known = names.get(match.person_id, f"person {match.person_id}")
            if same_name_key(known) == same_name_key(name):
                raise NameTakenError(
                    f"{name}: is enrolled already; --more adds looks, another person needs "
                    "another name"
                )
            raise InputError(
                f"{name}: this is already {known} (distance {match.distance:.2f}, threshold "
                f"{threshold:.2f}); remove or rename {known}, or, if they are two people, "
                f"`facegate enroll {shlex.quote(name)} --allow-duplicate`"
            )
