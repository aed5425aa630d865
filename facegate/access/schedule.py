"""Who may come in when, and when the door stands unlocked: by weekday and hour, as the wall says.

Hours are those of the clock on the wall: in the night when it is put forward a window loses the
hour that nobody's clock shows, and in the night when it is put back the hour shown twice counts
twice. Pure functions of a moment.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from facegate.access.names import same_name_key

CLOCK_UNSET_BEFORE = datetime(2026, 1, 1, tzinfo=UTC)
"""A Raspberry Pi without a battery clock wakes up in the past; no hours hold before this moment."""

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True)
class Window:
    """Hours on some days of the week.

    Attributes:
        days: 0 is Monday; the days on which it begins.
        start, end: wall-clock times, start included, end not. An end at or before the start is on
            the next day; equal ones make a whole day.
    """

    days: frozenset[int]
    start: time
    end: time


@dataclass(frozen=True)
class Group:
    """People and their hours.

    Attributes:
        people: keys (`names.same_name_key`); None is everybody.
        windows: when they may come in; none means at all times.
        holidays: whether they may also come in on holidays.
        name: key of the group's name; whoever the store puts into this group belongs to it too,
            and `people` None is nobody else.
    """

    people: frozenset[str] | None = None
    windows: tuple[Window, ...] = ()
    holidays: bool = False
    name: str | None = None


@dataclass(frozen=True)
class Schedule:
    """All hours of one door.

    Attributes:
        zone: time zone of the clock on the wall.
        holidays: days without hours.
        groups: who may come in when; none means everybody at all times.
        unlock: when the door stands unlocked for anybody.
        battery_clock: whether the machine's clock is right from the start. One without a battery
            wakes up with the time at which it lost its power, hours or days ago.
    """

    zone: tzinfo = UTC
    holidays: frozenset[date] = frozenset()
    groups: tuple[Group, ...] = ()
    unlock: tuple[Window, ...] = ()
    battery_clock: bool = False

    def admits(self, name: str, at: datetime, group: str | None = None) -> bool:
        """Whether a person may come in at a moment (with a time zone, any).

        Args:
            name: of the person.
            at: the moment.
            group: the group that the store puts them into.
        """
        key, own = same_name_key(name), None if group is None else same_name_key(group)
        return not self.groups or any(self._admits(g, at) for g in self._of(key, own))

    def by_clock(self, name: str, group: str | None = None) -> bool:
        """Whether somebody is admitted at some moments only, so that the clock has to be right."""
        key, own = same_name_key(name), None if group is None else same_name_key(group)
        always = (not g.windows and (g.holidays or not self.holidays) for g in self._of(key, own))
        return bool(self.groups) and not any(always)

    def unlocked(self, at: datetime) -> bool:
        """Whether the door stands unlocked at a moment."""
        return self._within(self.unlock, at, self.holidays)

    def _of(self, key: str, own: str | None) -> list[Group]:
        return [g for g in self.groups if _has(g, key, own)]

    def _admits(self, group: Group, at: datetime) -> bool:
        closed = frozenset() if group.holidays else self.holidays
        if group.windows:
            return self._within(group.windows, at, closed)
        if not closed:
            return True
        return at >= CLOCK_UNSET_BEFORE and at.astimezone(self.zone).date() not in closed

    def _within(self, windows: Iterable[Window], at: datetime, closed: frozenset[date]) -> bool:
        if at < CLOCK_UNSET_BEFORE:
            return False
        # The wall shows local time without zone; comparing that is what makes hours follow it.
        wall = at.astimezone(self.zone).replace(tzinfo=None, fold=0)
        return any(_holds(window, wall, closed) for window in windows)


def _has(group: Group, key: str, own: str | None) -> bool:
    if group.people is None:
        return group.name is None or group.name == own
    return key in group.people or (group.name is not None and group.name == own)


def _holds(window: Window, wall: datetime, closed: frozenset[date]) -> bool:
    """Whether a window that began today or yesterday, on no closed day, still lasts."""
    for begun in (wall.date(), wall.date() - timedelta(days=1)):
        if begun.weekday() not in window.days or begun in closed:
            continue
        start = datetime.combine(begun, window.start)
        ends_next_day = window.end <= window.start
        end = datetime.combine(begun + timedelta(days=ends_next_day), window.end)
        if start <= wall < end:
            return True
    return False
