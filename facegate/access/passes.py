"""Until when somebody may come in; whoever has no such end may until they are forgotten."""

from __future__ import annotations

import math
from datetime import date, datetime, time, timedelta, tzinfo

from facegate.access.schedule import CLOCK_UNSET_BEFORE
from facegate.errors import InputError

NOW = "now"
LAST_YEAR = 9000
"""Later ones cannot be told by every clock."""


def read_end(text: str, zone: tzinfo, now: datetime) -> float | None:
    """Read the end of a pass, as somebody typed it.

    Args:
        text: a day, which still counts whole; a day and a time; "now"; or nothing, for no end.
        zone: of the clock on the wall.
        now: the moment, with a time zone.

    Returns:
        Seconds since the epoch; None for no end.

    Raises:
        InputError: it is none of these.
    """
    typed = text.strip()
    if not typed:
        return None
    if typed.casefold() == NOW:
        return now.timestamp()
    try:
        try:
            day = date.fromisoformat(typed)
            wall = datetime.combine(day + timedelta(days=1), time.min)
        except ValueError:
            wall = datetime.fromisoformat(typed)
        if wall.year > LAST_YEAR:
            raise ValueError
        return (wall if wall.tzinfo else wall.replace(tzinfo=zone)).timestamp()
    except (ValueError, OverflowError):
        raise InputError(
            f"{text}: no day; write 2026-12-31, 2026-12-31T17:00, now, or nothing for no end"
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


def ended(until_wall: float | None, at: datetime) -> bool:
    """Whether a pass has ended at a moment; with a clock that was never set it counts as ended."""
    if until_wall is None:
        return False
    return at < CLOCK_UNSET_BEFORE or at.timestamp() >= until_wall


def said(until_wall: float | None, zone: tzinfo) -> str:
    """Tell the end of a pass as it is typed: the last day, or day and time."""
    if until_wall is None:
        return "none"
    wall = datetime.fromtimestamp(until_wall, zone)
    if wall.time() == time.min:
        return (wall.date() - timedelta(days=1)).isoformat()
    return wall.strftime("%Y-%m-%d %H:%M")
