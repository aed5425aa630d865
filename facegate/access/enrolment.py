"""Collect good looks at one person, with guidance, and refuse what would make a bad template.

Pure state with times handed in: the daemon, the command line and (with pictures instead of a
camera) `enroll --image` use the same rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from facegate.access.names import same_name_key
from facegate.errors import InputError, NameTakenError
from facegate.types import F32, Embedding, Match


@dataclass(frozen=True)
class EnrolmentSettings:
    """How much is collected: looks, seconds between two, seconds until giving up."""

    captures: int = 5
    interval_s: float = 0.4
    timeout_s: float = 30.0


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

    def refuse(self, advice: str) -> None:
        """Note why the present picture cannot be used."""
        self.guidance = advice

    def offer(self, embedding: Embedding, now_s: float) -> None:
        """Take a good look at the only face in the picture.

        A look that does not resemble the ones before starts the collection again: somebody else has
        stepped in front of the camera.
        """
        if not self.wants(now_s):
            return
        if self._vectors:
            nearest = min(float(np.linalg.norm(v - embedding.vector)) for v in self._vectors)
            if nearest > self._threshold:
                self._vectors.clear()
                self.guidance = "another face: starting again"
        self._vectors.append(embedding.vector)
        self._last_s = now_s
        left = self._settings.captures - len(self._vectors)
        self.guidance = f"{left} more: turn your head a little" if left else "done"

    def vectors(self) -> list[F32]:
        """Give the collected embeddings, float32 (D,) each, unit length."""
        return list(self._vectors)


def check_returning(person_id: int, name: str, matches: list[Match], one_person: float) -> None:
    """Refuse more looks at a person that are nearer to nobody or to somebody else.

    Args:
        person_id, name: who gets more templates.
        matches: what each new embedding matches among those enrolled.
        one_person: greatest distance at which two embeddings are more likely one person than two.

    Raises:
        InputError: none of the looks resembles the person's own templates.
    """
    own = [m.distance for m in matches if m.person_id == person_id]
    if not own or min(own) > one_person:
        raise InputError(
            f"{name}: these looks do not resemble the ones enrolled; to begin anew, forget {name} "
            "and enrol again"
        )


def check_newcomer(
    name: str,
    vectors: list[F32],
    matches: list[Match],
    names: Mapping[int, str],
    threshold: float,
    one_person: float,
) -> None:
    """Refuse an enrolment that would weaken the gate.

    Args:
        name: who is enrolled.
        vectors: the new embeddings.
        matches: what each of them matches among those enrolled already.
        names: person_id → name.
        threshold: greatest distance at which somebody is let in.
        one_person: greatest distance at which two of the new embeddings are more likely one person
            than two.

    Raises:
        InputError: the pictures show different people, or somebody enrolled already.
        NameTakenError: they show who is enrolled under this very name.
    """
    for first in range(len(vectors)):
        for second in range(first):
            distance = float(np.linalg.norm(vectors[first] - vectors[second]))
            if distance > one_person:
                raise InputError(
                    f"{name}: pictures {second + 1} and {first + 1} do not look like one person "
                    f"(distance {distance:.2f}, limit {one_person:.2f}); leave one out"
                )
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
                f"{threshold:.2f}); remove or rename {known}, or pass --allow-duplicate"
            )
