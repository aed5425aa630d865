"""What is said of mistakes in the settings: those of one, and those of several together."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, get_args
from zoneinfo import ZoneInfo

from facegate.settings import Section
from facegate.types import HEAD_TURN

if TYPE_CHECKING:
    from facegate.config import Config

SAME_PROPORTIONS = 0.02
"""So much may the small picture's proportions differ from the main one's, for even sizes."""


def explained(error: dict[str, Any], whole: type[Section]) -> str:
    """Say what is wrong with one setting, in a line.

    Args:
        error: one of pydantic's `ValidationError.errors()`.
        whole: the section that holds all others.
    """
    path = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        known = list(_section_at(whole, error["loc"][:-1]).model_fields)
        near = difflib.get_close_matches(str(error["loc"][-1]), known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
        return f"{path}: unknown setting; {hint}"
    if error["type"] == "missing":
        return f"{path}: is missing"
    if error["type"].startswith("date") and isinstance(error["input"], str):
        return f"{path}: {error['input']!r}: must be a date without quotes, as 2026-12-25"
    if error["loc"][-1] in ("start", "end"):
        return f'{path}: {error["input"]!r}: must be a time of day in quotes, as "08:00"'
    message = str(error["msg"])
    return f"{path}: {error['input']!r}: {message[:1].lower()}{message[1:]}"


def _section_at(found: type[Section], place: Iterable[str | int]) -> type[Section]:
    """Find the section that a path leads into, through lists of sections too."""
    for part in place:
        field = found.model_fields.get(str(part))
        found = (_section_in(field.annotation) if field else None) or found
    return found


def _section_in(annotation: Any) -> type[Section] | None:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    return next((s for a in get_args(annotation) if (s := _section_in(a))), None)


def contradictions(config: Config) -> list[str]:
    """Find settings that are right by themselves and cannot be meant together, a line each."""
    wrong = []
    if config.access.votes_needed > config.access.votes_of:
        wrong.append(
            f"access.votes_needed: {config.access.votes_needed} of access.votes_of "
            f"{config.access.votes_of} can never be reached"
        )
    if config.quality.min_brightness >= config.quality.max_brightness:
        wrong.append("quality.min_brightness: must be below quality.max_brightness")
    if config.door.held_open_warning_s >= config.door.held_open_alarm_s:
        wrong.append("door.held_open_warning_s: must be below door.held_open_alarm_s")
    wrong += _other_proportions(config) + _hopeless_enrolment(config) + _hopeless_turns(config)
    if lacks_button(config):
        wrong.append("door.second_factor: 'button' needs door.factor_button.line")
    if config.door.second_factor == "pin" and config.door.lockout_attempts is None:
        wrong.append(
            "door.second_factor: 'pin' needs door.lockout_attempts, for example 10; else whoever "
            "has a face, or a picture of one, tries PINs without end"
        )
    return wrong + _unknown_zone(config.schedule.time_zone) + _shared_lines(config)


def lacks_button(config: Config) -> bool:
    """Whether the second factor is a button that is wired nowhere."""
    unwired = config.gpio.driver == "gpiod" and config.door.factor_button.line is None
    return config.door.second_factor == "button" and unwired


def _hopeless_turns(config: Config) -> list[str]:
    """Find settings by which no turn of the head is seen, or a lockout never comes."""
    if config.access.liveness is None:
        return []
    wrong, least = [], HEAD_TURN / 2 + 0.05
    if config.quality.max_yaw < least:
        wrong.append(
            f"access.liveness: a head_turn is {HEAD_TURN:g} from side to side, and quality.max_yaw "
            f"{config.quality.max_yaw:g} refuses such looks; {least:.2f} or more is needed, 0.35 "
            "is usual"
        )
    attempts, within_s = config.door.lockout_attempts, config.door.lockout_within_s
    needed_s = 0 if attempts is None else (attempts - 1) * (config.access.liveness_s + 2)
    if needed_s > within_s:
        wrong.append(
            f"access.liveness: each try takes {config.access.liveness_s:g} s, so {attempts} "
            f"in door.lockout_within_s {within_s:g} never come together; fewer "
            f"door.lockout_attempts, or {needed_s:g} s"
        )
    return wrong


def _other_proportions(config: Config) -> list[str]:
    """Find small pictures that would show another part of the view than the main ones."""
    c = config.camera
    main, small = c.width_px / c.height_px, c.small_width_px / c.small_height_px
    if not c.source.startswith("picamera2") or abs(main / small - 1) <= SAME_PROPORTIONS:
        return []
    return [
        f"camera.small_height_px: {c.small_width_px}×{c.small_height_px} has other proportions "
        f"than {c.width_px}×{c.height_px}, and a Pi 5 would show another part of the view in it; "
        f"use {c.small_width_px}×{round(c.small_width_px / main / 2) * 2}"
    ]


def _hopeless_enrolment(config: Config) -> list[str]:
    c = config.enrolment
    least_s = (c.captures - 1) * c.interval_s
    if least_s < c.timeout_s:
        return []
    return [
        f"enrolment.timeout_s: {c.captures} captures, {c.interval_s:g} s apart, take {least_s:g} "
        f"s; {c.timeout_s:g} s are never enough"
    ]


def _unknown_zone(name: str | None) -> list[str]:
    try:
        if name is not None:
            ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        return [f"schedule.time_zone: {name!r} is not known here; for example Europe/Zurich"]
    return []


def _shared_lines(config: Config) -> list[str]:
    """Find lines that two settings claim."""
    users: dict[str, str] = {}
    wrong = []
    for section in ("door", "panel"):
        for setting, part in getattr(config, section):
            line = getattr(part, "line", None)
            if line is None:
                continue
            path = f"{section}.{setting}.line"
            # On the header GPIO17, "17" and 17 are one line.
            name = str(line)
            name = name.removeprefix("GPIO") if config.gpio.chip == "header" else name
            if name in users:
                wrong.append(f"{path}: {line} is already {users[name]}")
            users[name] = path
    return wrong
