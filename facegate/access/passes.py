"""Until when somebody may come in; whoever has no such end may until they are forgotten.

An end is a moment, in seconds since the epoch. `BLOCKED` is one that no clock undoes.
"""

from __future__ import annotations

import math
from datetime import date, datetime, time, timedelta, tzinfo

from facegate.access.schedule import CLOCK_UNSET_BEFORE
from facegate.errors import InputError

BLOCKED = 0.0
NOW, NEVER = "now", "never"
LAST_YEAR = 9000
"""Later ones cannot be told by every clock."""


def read_end(text: str, zone: tzinfo) -> float | None:
    """Read the end of a pass, as somebody typed it.

    Args:
        text: a day, which still counts whole; a day and a time; "now", which blocks whatever the
            clock says; or "never".
        zone: of the clock on the wall.

    Returns:
        Seconds since the epoch; None for no end.

    Raises:
        InputError: it is none of these.
    """
    typed = text.strip()
    if (word := typed.casefold()) in (NOW, NEVER):
        return BLOCKED if word == NOW else None
    try:
        try:
            wall = datetime.combine(date.fromisoformat(typed) + timedelta(days=1), time.min)
        except ValueError:
            wall = datetime.fromisoformat(typed)
        if not 1971 <= wall.year <= LAST_YEAR:
            raise ValueError
        return (wall if wall.tzinfo else wall.replace(tzinfo=zone)).timestamp()
    except (ValueError, OverflowError):
        raise InputError(
            f"{text or 'nothing'}: no end of a pass; write 2026-12-31, 2026-12-31T17:00, now or "
            "never"
        ) from None


def check_end(until_wall: float | None) -> float | None:
    """Give the end of a pass back.

    Raises:
        InputError: it is no moment.
    """
    latest = datetime(LAST_YEAR + 1, 1, 2).timestamp()
    if until_wall is not None and not (math.isfinite(until_wall) and 0 <= until_wall <= latest):
        raise InputError(f"{until_wall}: no moment at which a pass could end")
    return until_wall


def barred(until_wall: float | None, at: datetime, sure: bool) -> str | None:
    """Say why a pass does not let in at a moment.

    Args:
        until_wall: its end.
        at: the moment, with a time zone.
        sure: whether the clock that tells it can be believed. One without a battery is behind after
            a power cut, never ahead: what has ended by it has ended.

    Returns:
        "blocked", "pass_ended", "pass_unsure"; None where it lets in.
    """
    if until_wall is None:
        return None
    if until_wall == BLOCKED:
        return "blocked"
    if at.timestamp() >= until_wall:
        return "pass_ended"
    return None if sure and at >= CLOCK_UNSET_BEFORE else "pass_unsure"


def said(until_wall: float | None, zone: tzinfo) -> str:
    """Tell the end of a pass as it is typed: the last day, day and time, now or never."""
    if until_wall is None or until_wall == BLOCKED:
        return NEVER if until_wall is None else NOW
    wall = datetime.fromtimestamp(until_wall, zone)
    if datetime.combine(wall.date(), time.min, zone).timestamp() == until_wall:
        return (wall.date() - timedelta(days=1)).isoformat()
    return wall.strftime("%Y-%m-%d %H:%M")
