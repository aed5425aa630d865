"""When a frame was taken, as monotonic seconds."""

from __future__ import annotations

MAX_AGE_S = 1.0
"""A driver's stamp older than this is of another clock: no camera here buffers a second."""


def capture_time_s(stamp_s: float | None, now_s: float) -> float:
    """Take the driver's stamp where it is believable, else now.

    A stamp from the boot-time clock runs ahead of the monotonic one after a suspend; a frame from
    the future would look fresh for ever, so it counts as taken now.

    Args:
        stamp_s: the driver's stamp in seconds, or None when it gives none.
        now_s: monotonic seconds at delivery.

    Returns:
        Monotonic seconds, at most `MAX_AGE_S` before `now_s` and never after it.
    """
    if stamp_s is None or not now_s - MAX_AGE_S <= stamp_s <= now_s:
        return now_s
    return stamp_s
