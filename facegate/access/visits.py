"""How a door knows its people, from its own audit trail: who came how often, and who struggled."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median

from facegate.access.audit_record import Record

REFUSALS = ("unknown", "denied", "turn_missing")

_Face = tuple[int, int | None]
"""How many starts there were before, for tracks are numbered anew with each; and the track."""


@dataclass
class Visits:
    """One person's visits.

    Attributes:
        person: number.
        times: visits at which they were let in.
        hesitant: of them, those at which the same face was first taken for nobody, for two people,
            or for a picture: a false reject that more looks mended. Whoever went away is not known.
        denied: visits of a face that was too near to them and to another, and was never let in.
            They count for both: nobody knows which of the two it was.
        first_wall_s, last_wall_s: the first and the last visit of either kind, seconds since the
            epoch; infinite where there was none (`span`).
        distances: of the looks that let them in.
    """

    person: int
    times: int = 0
    hesitant: int = 0
    denied: int = 0
    first_wall_s: float = float("inf")
    last_wall_s: float = float("-inf")
    distances: list[float] = field(default_factory=list)

    @property
    def distance(self) -> float | None:
        """The median distance of the looks that let them in; None where no record has one."""
        return median(self.distances) if self.distances else None

    @property
    def span(self) -> tuple[float, float] | None:
        """The first and the last visit, seconds since the epoch; None where there was none."""
        return (self.first_wall_s, self.last_wall_s) if self.times or self.denied else None

    def came(self, wall_s: float) -> None:
        """Take note of when a visit was."""
        self.first_wall_s = min(self.first_wall_s, wall_s)
        self.last_wall_s = max(self.last_wall_s, wall_s)


def visits(records: Iterable[Record]) -> list[Visits]:
    """Count the visits of everybody who was let in or denied.

    A face that is followed without a break is one visit, however often the door opened for it.

    Args:
        records: of the trail, in its order.

    Returns:
        By the number of the person.
    """
    found: dict[int, Visits] = {}
    refused: set[_Face] = set()
    present: set[tuple[_Face, int]] = set()
    denied: dict[_Face, list[Record]] = {}
    starts = 0
    for record in records:
        facts = record.facts
        track = number if isinstance(number := facts.get("track"), int) else None
        face = starts, track
        if record.event == "started":
            starts += 1
        elif record.event in REFUSALS:
            refused.add(face)
            if record.event == "denied":
                denied.setdefault(face, []).append(record)
        elif record.event == "granted" and isinstance(person := facts.get("person"), int):
            one = found.setdefault(person, Visits(person))
            if isinstance(distance := facts.get("distance"), int | float):
                one.distances.append(float(distance))
            one.came(record.wall_s)
            if track is None or (face, person) not in present:
                one.times += 1
                one.hesitant += track is not None and face in refused
                present.add((face, person))
    for face in denied.keys() - {face for face, _ in present}:
        for person in {person for record in denied[face] for person in record.people}:
            one = found.setdefault(person, Visits(person))
            one.denied += 1
            for record in denied[face]:
                one.came(record.wall_s)
    return [found[person] for person in sorted(found)]
