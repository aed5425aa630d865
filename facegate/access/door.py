"""The door: locked unless there is a fresh cause, and never released longer than the cause lasts.

               grant, REX, unlock hours, command
          locked ────────────────────────────▶ unlocked
            ▲ ◀──────────────────────────────── │ pulse over
            │ closes                            │ opens
            ├───────── open ◀───────────────────┘
            ├───────── held-open-warning    stands open too long
            ├───────── held-open            alarm
            └───────── forced-open          alarm: opened while the strike was held

Pure state with an injected clock. The act thread alone hands it inputs and calls `tick`, so the
relay is released on time whatever the other threads do. Every input returns what it changed, as
events.

Lockdown, tamper and lockout keep faces and unlock hours out; lockdown and tamper commands, too. The
exit button always opens: whoever is inside gets out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from facegate.access.door_events import (
    STANDS_OPEN,
    DoorEvent,
    DoorEventName,
    DoorSettings,
    DoorState,
)
from facegate.access.lockout import Lockout
from facegate.access.names import same_name_key
from facegate.errors import LineError, RelayError
from facegate.types import MAX_KEPT_UNLOCKED_S, MAX_PULSE_S, Decision, Verdict

HOURS_HOLD_S = 2.0
"""Unlock hours release the strike for so long; who keeps time must confirm them again and again."""

LATCH_GRACE_S = 0.5
"""A door that opens so soon after the strike was held again was opened in time: the latch has play,
a closing door bounces, and the contact's debounce is late."""


@dataclass(frozen=True)
class _Asked:
    """When somebody was asked for a second factor, and until when it counts; monotonic seconds."""

    at_s: float
    until_s: float


class Relay(Protocol):
    """The line that releases the strike while it is active."""

    def set(self, active: bool) -> None:
        """Drive the line."""
        ...


class Door:
    """Drive the relay.

    Args:
        relay: output line, inactive when handed over.
        settings: how the door behaves.
        clock: monotonic seconds.
        is_open: whether it stands open at the start; that is no forced opening.

    Attributes:
        state: what it is doing.
        settings: the rules in force.
        locked_down, tampered: whether either keeps faces and unlock hours out.

    Every input raises the line's own error where the relay cannot be driven (`LineError`).

    A second grant during the pulse prolongs it, but never beyond `MAX_PULSE_S` after it began.
    """

    def __init__(
        self,
        relay: Relay,
        settings: DoorSettings,
        clock: Callable[[], float],
        is_open: bool = False,
    ) -> None:
        self._relay, self.settings, self._clock = relay, settings, clock
        self.state = DoorState.OPEN if is_open else DoorState.LOCKED
        self.locked_down = self.tampered = False
        self._released = False
        self._pulse_began_s = 0.0
        self._pulse_until_s: float | None = None
        self._hours_until_s: float | None = None
        self._kept_until_s: float | None = None
        self._held_at_s = float("-inf")
        self._open_since_s = clock()
        self._asked: dict[str | None, _Asked] = {}
        self._lockout = Lockout(
            settings.lockout_attempts, settings.lockout_within_s, settings.lockout_s
        )

    @property
    def deadline_s(self) -> float | None:
        """When the strike must be held again, monotonic seconds; None while it is held."""
        ends = (self._pulse_until_s, self._hours_until_s, self._kept_until_s)
        return max((t for t in ends if t is not None), default=None)

    @property
    def kept_unlocked_s(self) -> float | None:
        """Seconds for which a command still keeps the door unlocked; None where none does."""
        until_s = self._kept_until_s
        return None if until_s is None else max(0.0, until_s - self._clock())

    @property
    def waiting_for(self) -> tuple[str | None, ...]:
        """Whose second factor the door waits for; whoever was asked last is last, and answers."""
        return tuple(self._asked)

    @property
    def locked_out(self) -> bool:
        """Whether too many refusals keep faces out."""
        return self._lockout.until_s is not None

    def obey(self, settings: DoorSettings) -> None:
        """Take on other rules; a pulse that runs keeps its end, a lockout goes on."""
        self.settings = settings
        self._lockout.limit(
            settings.lockout_attempts, settings.lockout_within_s, settings.lockout_s
        )

    # Inputs.

    def apply(self, decision: Decision, barred: str | None = None) -> list[DoorEvent]:
        """Act on a decision; only a fresh grant can open.

        Args:
            decision: about one face.
            barred: why whom it is for may not come in now, such as "hours" or "blocked".
        """
        events = self.tick()
        now_s, person = self._clock(), decision.name
        if decision.verdict is Verdict.WAIT:
            return events
        recognised = decision.verdict in (Verdict.GRANT, Verdict.SPOOF)
        if recognised and person is not None and same_name_key(person) in self.settings.duress:
            events.append(self._event("duress", decision.verdict.value, person))
        if decision.verdict is not Verdict.GRANT:
            return events + self._refused(now_s, decision.verdict.value)
        if not 0 <= now_s - decision.captured_at_s <= self.settings.max_decision_age_s:
            return [*events, self._event("decision_too_old", "age", person)]
        why = self._shut_to_faces() or barred
        if why is not None:
            return [*events, self._event("grant_refused", why, person)]
        if self.settings.second_factor is not None:
            self._asked.pop(person, None)
            self._asked[person] = _Asked(now_s, now_s + self.settings.second_factor_s)
            return [
                *events,
                self._event("second_factor_wanted", self.settings.second_factor, person),
            ]
        self._lockout.forgive()
        events.append(self._event("granted", "grant", person))
        return events + self._unlock("grant", person)

    def button(self, at_s: float | None = None) -> list[DoorEvent]:
        """Take a press as the second factor of whoever was asked last before it, if anybody was.

        Args:
            at_s: when it was pressed, by the kernel's time stamp, monotonic seconds; None is now.
        """
        events = self.tick()
        if self.settings.second_factor != "button":
            return events
        pressed_s = self._clock() if at_s is None else at_s
        before = [person for person, asked in self._asked.items() if asked.at_s <= pressed_s]
        return events + self._confirm("button", before[-1]) if before else events

    def pin(self, correct: bool) -> list[DoorEvent]:
        """Take a PIN as the second factor of whoever was asked last.

        A wrong one asks for that face again.
        """
        events = self.tick()
        if not self._asked or self.settings.second_factor != "pin":
            return events
        person = self.waiting_for[-1]
        if correct:
            return events + self._confirm("pin", person)
        del self._asked[person]
        events.append(self._event("second_factor_refused", "pin", person))
        return events + self._refused(self._clock(), "pin")

    def turn_away(self, person: str | None, cause: str) -> list[DoorEvent]:
        """Wait no longer for somebody's second factor."""
        events = self.tick()
        if self._asked.pop(person, None) is None:
            return events
        return [*events, self._event("grant_refused", cause, person)]

    def exit_requested(self) -> list[DoorEvent]:
        """Let somebody out, whatever else is the matter."""
        return self.tick() + self._unlock("exit")

    def command_unlock(self) -> list[DoorEvent]:
        """Release the strike for one pulse, by an operator's command; not in lockdown or tamper."""
        events = self.tick()
        refused = self._refused_command()
        return events + (refused or self._unlock("command"))

    def keep_unlocked(self, for_s: float) -> list[DoorEvent]:
        """Let the door stand unlocked from now on, by command; not in lockdown or tamper.

        Args:
            for_s: so many seconds, instead of what was left of a time said before.

        Raises:
            ValueError: it is not above 0, or more than `MAX_KEPT_UNLOCKED_S`.
        """
        if not 0 < for_s <= MAX_KEPT_UNLOCKED_S:
            raise ValueError(f"for_s is {for_s}, must be above 0 and at most {MAX_KEPT_UNLOCKED_S}")
        events = self.tick()
        if refused := self._refused_command():
            return events + refused
        self._kept_until_s = self._clock() + for_s
        events.append(self._event("door_kept_unlocked", "command", for_s=for_s))
        return events + self._release("kept")

    def keep_unlocked_no_longer(self, cause: str) -> list[DoorEvent]:
        """End what `keep_unlocked` began; a pulse that runs and unlock hours go on."""
        events = self.tick()
        if self._kept_until_s is None:
            return events
        if self._pulse_until_s is None and self._hours_until_s is None:
            events += self._hold(cause)
        self._kept_until_s = None
        return events

    def hours(self, unlocked: bool) -> list[DoorEvent]:
        """Say whether it is within unlock hours; lapses after `HOURS_HOLD_S` unless said again."""
        events = self.tick()
        if unlocked and not (self.locked_down or self.tampered):
            self._hours_until_s = self._clock() + HOURS_HOLD_S
            return events + self._release("hours")
        if self._hours_until_s is not None:
            if self._pulse_until_s is None and self._kept_until_s is None:
                events += self._hold("hours_over")
            self._hours_until_s = None
        return events

    def contact(self, is_open: bool, at_s: float | None = None) -> list[DoorEvent]:
        """Take the door contact's word.

        Args:
            is_open: what it says.
            at_s: when it changed, by the kernel's time stamp, monotonic seconds; None is now.
        """
        events = self.tick()
        if is_open == (self.state in STANDS_OPEN):
            return events
        now_s = self._clock()
        if is_open:
            changed_s = now_s if at_s is None else at_s
            if self._released or changed_s <= self._held_at_s + LATCH_GRACE_S:
                self._open_since_s = now_s
                return [*events, self._become(DoorState.OPEN, "door_opened", "contact")]
            return [*events, self._become(DoorState.FORCED_OPEN, "door_forced_open", "contact")]
        after = DoorState.UNLOCKED if self._released else DoorState.LOCKED
        events.append(self._become(after, "door_closed", "contact"))
        if self.settings.relock_on_close:
            if self._released and self._hours_until_s is None and self._kept_until_s is None:
                events += self._hold("closed")
            self._pulse_until_s = None
        return events

    def tamper(self, active: bool) -> list[DoorEvent]:
        """Take the tamper switch's word; the strike is held at once when it trips."""
        events = self.tick()
        if active == self.tampered:
            return events
        self.tampered = active
        if not active:
            return [*events, self._event("tamper_ended", "tamper")]
        return [*events, self._event("tamper_began", "tamper"), *self.lock("tamper")]

    def lockdown(self, on: bool, cause: str = "command") -> list[DoorEvent]:
        """Keep everybody out, or end that; the strike is held at once when it begins."""
        events = self.tick()
        if on == self.locked_down:
            return events
        self.locked_down = on
        if not on:
            return [*events, self._event("lockdown_ended", cause)]
        return [*events, self._event("lockdown_began", cause), *self.lock("lockdown")]

    def tick(self) -> list[DoorEvent]:
        """Do what is due by now; the act thread calls it at `deadline_s` at the latest."""
        now_s = self._clock()
        events: list[DoorEvent] = []
        # The line first: should it fail, the deadline stands and the next tick tries again.
        if self.deadline_s is not None and now_s >= self.deadline_s:
            ends = {self._kept_until_s: "kept_over", self._pulse_until_s: "pulse_over"}
            events += self._hold(ends.get(self.deadline_s, "hours_unconfirmed"))
        if self._pulse_until_s is not None and now_s >= self._pulse_until_s:
            self._pulse_until_s = None
        if self._hours_until_s is not None and now_s >= self._hours_until_s:
            self._hours_until_s = None
        if self._kept_until_s is not None:
            events += self._authorised("kept")
            if now_s >= self._kept_until_s:
                self._kept_until_s = None
        for person in [p for p, asked in self._asked.items() if now_s >= asked.until_s]:
            del self._asked[person]
            events.append(self._event("second_factor_expired", "time", person))
        if self._lockout.over(now_s):
            events.append(self._event("lockout_ended", "time"))
        return events + self._standing_open(now_s)

    def lock(self, cause: str) -> list[DoorEvent]:
        """Hold the strike at once and forget every cause to release it."""
        asked, self._asked = self._asked, {}
        events = self._hold(cause)
        events += [self._event("grant_refused", cause, person) for person in asked]
        self._pulse_until_s = self._hours_until_s = self._kept_until_s = None
        return events

    # What they have in common.

    def _shut_to_faces(self) -> str | None:
        if self.locked_down:
            return "lockdown"
        if self.tampered:
            return "tamper"
        return "lockout" if self.locked_out else None

    def _refused_command(self) -> list[DoorEvent]:
        why = self._shut_to_faces()
        return [self._event("grant_refused", why)] if why in ("lockdown", "tamper") else []

    def _refused(self, now_s: float, cause: str) -> list[DoorEvent]:
        return [self._event("lockout_began", cause)] if self._lockout.refuse(now_s) else []

    def _confirm(self, factor: str, person: str | None) -> list[DoorEvent]:
        del self._asked[person]
        if (why := self._shut_to_faces()) is not None:
            return [self._event("grant_refused", why, person)]
        self._lockout.forgive()
        return [self._event("granted", factor, person), *self._unlock("grant", person)]

    def _unlock(self, cause: str, person: str | None = None) -> list[DoorEvent]:
        """Begin a pulse or prolong the one that runs."""
        now_s = self._clock()
        if self._pulse_until_s is None:
            self._pulse_began_s, self._pulse_until_s = now_s, now_s + self.settings.pulse_s
        else:
            last_s = self._pulse_began_s + MAX_PULSE_S
            self._pulse_until_s = min(now_s + self.settings.pulse_s, last_s)
        if self._released:
            return [*self._authorised(cause), self._event("door_prolonged", cause, person)]
        return self._release(cause, person)

    def _release(self, cause: str, person: str | None = None) -> list[DoorEvent]:
        """Release the strike; the deadline was set before, so that a line that fails is tried."""
        events = self._authorised(cause)
        if self._released:
            return events
        self._released = True
        after = DoorState.UNLOCKED if self.state is DoorState.LOCKED else self.state
        event = self._become(after, "door_unlocked", cause, person)
        self._drive(True)
        return [*events, event]

    def _hold(self, cause: str) -> list[DoorEvent]:
        """Hold the strike again."""
        self._drive(False)
        if not self._released:
            return []
        self._released, self._held_at_s = False, self._clock()
        after = DoorState.LOCKED if self.state is DoorState.UNLOCKED else self.state
        return [self._become(after, "door_locked", cause)]

    def _authorised(self, cause: str) -> list[DoorEvent]:
        """Start the time again that the door may stand open; a forced opening stays one."""
        self._open_since_s = self._clock()
        if self.state in (DoorState.HELD_OPEN_WARNING, DoorState.HELD_OPEN):
            return [self._become(DoorState.OPEN, "door_authorised", cause)]
        return []

    def _standing_open(self, now_s: float) -> list[DoorEvent]:
        stands_s = now_s - self._open_since_s
        events = []
        if self.state is DoorState.OPEN and stands_s >= self.settings.held_open_warning_s:
            warning = DoorState.HELD_OPEN_WARNING
            events.append(self._become(warning, "door_held_open_warning", "time"))
        if (
            self.state is DoorState.HELD_OPEN_WARNING
            and stands_s >= self.settings.held_open_alarm_s
        ):
            events.append(self._become(DoorState.HELD_OPEN, "door_held_open", "time"))
        return events

    def _event(
        self,
        name: DoorEventName,
        cause: str,
        person: str | None = None,
        for_s: float | None = None,
    ) -> DoorEvent:
        return DoorEvent(name, self._clock(), self.state, self.state, cause, person, for_s)

    def _become(
        self, after: DoorState, name: DoorEventName, cause: str, person: str | None = None
    ) -> DoorEvent:
        before, self.state = self.state, after
        return DoorEvent(name, self._clock(), before, after, cause, person)

    def _drive(self, active: bool) -> None:
        try:
            self._relay.set(active)
        except LineError as error:
            raise RelayError(str(error)) from error
