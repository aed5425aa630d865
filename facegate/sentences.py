"""What the journal's lines about the door say."""

from __future__ import annotations

from facegate.access.door_events import DoorEvent, DoorEventName, DoorSettings

WHY = {
    "lockdown": "the door is in lockdown",
    "tamper": "the case is open",
    "lockout": "too many were refused just now",
    "exit": "by the exit button",
    "command": "by command",
    "hours": "unlock hours",
    "restart": "it was on before facegate started again",
    "grant": "a grant",
    "pulse_over": "pulse over",
    "hours_over": "unlock hours are over",
    "kept": "kept unlocked by command",
    "kept_over": "the time for which it was kept unlocked is over",
    "hours_unconfirmed": "unlock hours were not confirmed",
    "closed": "the door closed",
    "stopped": "facegate stops",
}
"""Causes as people say them; others are said as they are."""

BARRED = {
    "hours": "not within their hours",
    "hours_unsure": "they have hours, and the time is not confirmed yet",
    "blocked": "blocked",
    "pass_ended": "their pass has ended",
    "pass_unsure": "their pass has an end, and the time is not confirmed yet",
    "forgotten": "not enrolled any more",
}
"""What keeps one person out."""

SENTENCES: dict[DoorEventName, str] = {
    "granted": "{person}: come in",
    "grant_refused": "{person}: known, but {why}",
    "decision_too_old": "{person}: decided too late, not opened",
    "duress": "{person}",
    "second_factor_wanted": "{person}: now the {cause}, within {second_factor_s:g} s",
    "second_factor_refused": "{person}: wrong {cause}",
    "second_factor_expired": "{person}: nothing came",
    "door_unlocked": "for {pulse_s:g} s",
    "door_kept_unlocked": "for {minutes:g} min, {why}",
    "door_prolonged": "{why}",
    "door_locked": "{why}",
    "door_opened": "opened",
    "door_closed": "closed",
    "door_authorised": "{why}",
    "door_held_open_warning": "open for {held_open_warning_s:g} s; close it",
    "door_held_open": "open for {held_open_alarm_s:g} s",
    "door_forced_open": "opened while the strike was held",
    "tamper_began": "the case was opened",
    "tamper_ended": "the case is closed",
    "lockdown_began": "{why}",
    "lockdown_ended": "{why}",
    "lockout_began": "faces are locked out for {lockout_s:g} s",
    "lockout_ended": "faces are let in again",
}


def sentence(event: DoorEvent, settings: DoorSettings) -> str:
    """Say one event of the door in a line."""
    why = WHY.get(event.cause, event.cause)
    if event.cause in ("hours", "kept") and event.name == "door_unlocked":
        return why
    if event.name == "grant_refused" and event.cause in BARRED:
        return f"{event.person or 'somebody'}: {BARRED[event.cause]}"
    if event.name == "grant_refused" and event.person is None:
        return f"not unlocked: {why}"
    return SENTENCES[event.name].format(
        person=event.person or "somebody",
        cause=event.cause,
        why=why,
        pulse_s=settings.pulse_s,
        second_factor_s=settings.second_factor_s,
        held_open_warning_s=settings.held_open_warning_s,
        held_open_alarm_s=settings.held_open_alarm_s,
        lockout_s=settings.lockout_s,
        minutes=(event.for_s or 0.0) / 60,
    )
