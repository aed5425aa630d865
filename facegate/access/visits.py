"""How a door knows its people, from its own audit trail: who came how often, and who struggled."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median

from facegate.access.audit_record import Record

REFUSALS = ("unknown", "denied", "turn_missing")


@dataclass
class Visits:
    """One person's visits.

    Attributes:
        person: number.
        times: visits at which they were let in.
        hesitant: of them, those at which the same face was first taken for nobody, for two people,
            or for a picture: a false reject that more looks mended. Whoever went away is not known.
        first_wall_s, last_wall_s: the first and the last visit, seconds since the epoch.
        distances: of the looks that let them in.
    """

    person: int
    times: int = 0
    hesitant: int = 0
    first_wall_s: float = float("inf")
    last_wall_s: float = float("-inf")
    distances: list[float] = field(default_factory=list)

    @property
    def distance(self) -> float | None:
        """The median distance of the looks that let them in; None where no record has one."""
        return median(self.distances) if self.distances else None


def visits(records: Iterable[Record]) -> list[Visits]:
    """Count the visits of everybody who was let in.

    A face that is followed without a break is one visit, however often the door opened for it.

    Args:
        records: of the trail, in its order.

    Returns:
        By the number of the person.
    """
    found: dict[int, Visits] = {}
    refused: set[int | None] = set()
    present: set[tuple[int | None, int]] = set()
    for record in records:
        facts = record.facts
        track = number if isinstance(number := facts.get("track"), int) else None
        if record.event == "started":  # tracks are numbered anew
            refused, present = set(), set()
        elif record.event in REFUSALS:
            refused.add(track)
        elif record.event == "granted" and isinstance(person := facts.get("person"), int):
            one = found.setdefault(person, Visits(person))
            if isinstance(distance := facts.get("distance"), int | float):
                one.distances.append(float(distance))
            one.first_wall_s = min(one.first_wall_s, record.wall_s)
            one.last_wall_s = max(one.last_wall_s, record.wall_s)
            if track is None or (track, person) not in present:
                one.times += 1
                one.hesitant += track is not None and track in refused
                present.add((track, person))
    return [found[person] for person in sorted(found)]
