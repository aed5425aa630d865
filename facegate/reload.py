"""Changed settings for a gate that runs: what it takes on at once, and what needs a restart."""

from __future__ import annotations

from facegate.config import Config
from facegate.mistakes import lacks_button

SECTIONS = ("access", "door", "schedule")
"""What changes without a restart; of `door` the rules, not the lines."""

LINES = frozenset({"relay", "exit_button", "contact", "tamper", "factor_button"})


def merge(running: Config, wanted: Config) -> tuple[Config, list[str]]:
    """Take from `wanted` what may change while the gate runs.

    Returns:
        The settings in force from now on, and the paths of those that wait for a restart.
    """
    lines = {name: getattr(running.door, name) for name in LINES}
    waiting = [f"door.{n}" for n in sorted(LINES) if getattr(wanted.door, n) != lines[n]]
    door = wanted.door.model_copy(update=lines)
    merged = running.model_copy(
        update={"access": wanted.access, "door": door, "schedule": wanted.schedule}
    )
    if lacks_button(merged):  # it waits for a restart, as its line does
        door = door.model_copy(update={"second_factor": running.door.second_factor})
        merged = merged.model_copy(update={"door": door})
        waiting.append("door.second_factor")
    for name in type(wanted).model_fields:
        if name not in SECTIONS and getattr(wanted, name) != getattr(running, name):
            waiting.append(name)
    return merged, waiting
