"""The door against a plain model of its rules: whatever happens, in whatever order."""

import random

import pytest
from doors import rules
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from facegate.access.door import HOURS_HOLD_S, LATCH_GRACE_S, Door
from facegate.access.door_events import ALARMS, STANDS_OPEN, DoorState
from facegate.types import MAX_PULSE_S, Decision, Verdict

RANDOM_EVENTS = 100_000
ROUNDING_S = 1e-6
VARIANTS = {
    "plain": {},
    "button": {"second_factor": "button", "lockout_attempts": 3},
    "pin": {"second_factor": "pin", "lockout_attempts": 2, "relock_on_close": False},
    "long": {"pulse_s": MAX_PULSE_S, "lockout_attempts": 4, "lockout_s": 5.0},
}
INPUTS = (
    *(
        "grant",
        "other_grant",
        "old_grant",
        "refusal",
        "exit",
        "open",
        "close",
        "tamper",
        "tamper_over",
    ),
    *("lockdown", "lockdown_over", "hours", "hours_over", "button", "right_pin", "wrong_pin"),
    *("keep", "keep_no_longer"),
    *("wait", "wait", "wait_long"),
)


class Watched:
    """A door driven as the act thread drives it, and what may be true of it.

    The model keeps its own account of causes, from the inputs alone.
    """

    def __init__(self, pulse_s=4.0, **settings):
        self.now_s, self.level = 0.0, False
        self.settings = rules(pulse_s=pulse_s, **settings)
        self.door = Door(self, self.settings, lambda: self.now_s)
        self.cause_s = self.hours_s = self.kept_until_s = self.kept_s = float("-inf")
        self.released_s = self.closed_at_s = float("-inf")
        self.asked_s = {}
        self.is_open = self.is_shut = self.tampered = False
        self.logged = self.transitions = 0

    def set(self, active):
        if active and not self.level:
            self.released_s = self.now_s
        if not active and self.level:
            self.closed_at_s = self.now_s
        self.level = active

    def watch(self, act):
        """Give the door one input; every change of state and strike must be in its events."""
        before, level = self.door.state, self.level
        events = act()
        for event in events:
            assert event.at_s == self.now_s
            assert event.before is before, f"{event.name} begins where the last one did not end"
            before = event.after
        assert before is self.door.state, "a transition without an event"
        told = [e.name for e in events if e.name in ("door_unlocked", "door_locked")]
        for name in told:
            assert level is (name == "door_locked")
            level = name == "door_unlocked"
        assert level is self.level, "a relay edge without an event"
        self.logged += len(events)
        self.transitions += sum(e.before is not e.after for e in events)
        return events

    def pass_time(self, seconds):
        """Tick at every deadline on the way, as the act thread does."""
        until_s = self.now_s + seconds
        while (due_s := self.door.deadline_s) is not None and due_s <= until_s:
            self.now_s = max(self.now_s, due_s)
            self.watch(self.door.tick)
            self.check()
        self.now_s = until_s
        self.watch(self.door.tick)

    def face(self, verdict, age_s=0.0, name="Ann"):
        shut = self.is_shut or self.tampered or self.door.locked_out
        captured_s = self.now_s - age_s
        if verdict is Verdict.GRANT and not shut and age_s <= self.settings.max_decision_age_s:
            self.asked_s.pop(name, None)
            self.asked_s[name] = self.now_s
            if self.settings.second_factor is None:
                self.cause_s = self.now_s
        decision = Decision(verdict, "r", 1, 1, name, 0.1, 0.9, captured_s, 1)
        self.watch(lambda: self.door.apply(decision))

    def second_factor(self, kind, correct=True):
        in_s = self.settings.second_factor_s
        asked = [n for n, at_s in self.asked_s.items() if self.now_s < at_s + in_s]
        shut = self.is_shut or self.tampered or self.door.locked_out
        if kind == self.settings.second_factor:
            if correct and asked and not shut:
                self.cause_s = self.now_s
            asked = asked[:-1]
            self.asked_s = {n: self.asked_s[n] for n in asked}
        act = self.door.button if kind == "button" else lambda: self.door.pin(correct)
        self.watch(act)
        if self.settings.second_factor is not None:
            assert self.door.waiting_for == tuple(asked)

    def give(self, name, seconds=1.0):
        door = self.door
        if name == "grant":
            self.face(Verdict.GRANT)
        elif name == "other_grant":
            self.face(Verdict.GRANT, name="Ben")
        elif name == "old_grant":
            self.face(Verdict.GRANT, 2.5)
        elif name == "refusal":
            self.face(Verdict.UNKNOWN)
        elif name == "exit":
            self.cause_s = self.now_s
            self.watch(door.exit_requested)
        elif name in ("open", "close"):
            opens = name == "open"
            in_time = self.level or self.now_s <= self.closed_at_s + LATCH_GRACE_S
            was_open, self.is_open = self.is_open, opens
            self.watch(lambda: door.contact(opens))
            if opens and not was_open:
                assert door.state is (DoorState.OPEN if in_time else DoorState.FORCED_OPEN)
        elif name in ("tamper", "tamper_over"):
            self.tampered = name == "tamper"
            if self.tampered:
                self.asked_s, self.kept_until_s = {}, float("-inf")
            was = door.tampered
            self.watch(lambda: door.tamper(self.tampered))
            assert not (self.tampered and not was and self.level), "tamper holds the strike"
        elif name in ("lockdown", "lockdown_over"):
            self.is_shut = name == "lockdown"
            if self.is_shut:
                self.asked_s, self.kept_until_s = {}, float("-inf")
            was = door.locked_down
            self.watch(lambda: door.lockdown(self.is_shut))
            assert not (self.is_shut and not was and self.level), "lockdown holds the strike"
        elif name in ("hours", "hours_over"):
            if name == "hours" and not (self.is_shut or self.tampered):
                self.hours_s = self.now_s
            self.watch(lambda: door.hours(name == "hours"))
        elif name == "keep":
            if not (self.is_shut or self.tampered):
                self.kept_s, self.kept_until_s = self.now_s, self.now_s + 20 * seconds + 1
            self.watch(lambda: door.keep_unlocked(20 * seconds + 1))
        elif name == "keep_no_longer":
            self.kept_until_s = float("-inf")
            self.watch(lambda: door.keep_unlocked_no_longer("command"))
        elif name == "button":
            self.second_factor("button")
        elif name in ("right_pin", "wrong_pin"):
            self.second_factor("pin", name == "right_pin")
        elif name == "wait_long":
            self.pass_time(seconds * 30)
        else:
            self.pass_time(seconds)

    def check(self):
        door = self.door
        if self.level:
            by_pulse = self.now_s <= self.cause_s + self.settings.pulse_s
            by_hours = self.now_s <= self.hours_s + HOURS_HOLD_S
            by_command = self.now_s <= self.kept_until_s
            assert by_pulse or by_hours or by_command, "released without a cause that still holds"
            assert door.deadline_s is not None, "released without an end"
            longest_s = max(MAX_PULSE_S, self.kept_until_s - self.now_s)
            assert door.deadline_s - self.now_s <= longest_s + ROUNDING_S
            if max(self.hours_s, self.kept_s) < self.released_s:
                lasted_s = self.now_s - self.released_s
                assert lasted_s <= MAX_PULSE_S + ROUNDING_S, "longer than the maximum"
        else:
            assert door.deadline_s is None
            assert self.kept_until_s <= self.now_s, "a command said to keep it unlocked"
        assert self.is_open is (door.state in STANDS_OPEN)
        assert (door.state is DoorState.UNLOCKED) is (self.level and not self.is_open)
        if door.state in ALARMS:
            assert self.is_open


class DoorMachine(RuleBasedStateMachine):
    """Hypothesis looks for the shortest way to break it."""

    def __init__(self):
        super().__init__()
        self.watched = Watched(second_factor="button", lockout_attempts=3)

    @rule(name=st.sampled_from(INPUTS), seconds=st.floats(0, 10))
    def give(self, name, seconds):
        self.watched.give(name, seconds)

    @invariant()
    def holds(self):
        self.watched.check()


class PlainDoorMachine(DoorMachine):
    """The same without a second factor, where grants alone open."""

    def __init__(self):
        super().__init__()
        self.watched = Watched()


TestDoorMachine = DoorMachine.TestCase
TestPlainDoorMachine = PlainDoorMachine.TestCase
TestDoorMachine.settings = TestPlainDoorMachine.settings = settings(
    max_examples=60, stateful_step_count=50, deadline=None
)


@pytest.mark.parametrize("variant", VARIANTS)
def test_random_events_break_no_invariant(variant):
    rng = random.Random(variant)
    watched = Watched(**VARIANTS[variant])
    for _ in range(RANDOM_EVENTS):
        watched.give(rng.choice(INPUTS), rng.uniform(0, 3))
        watched.check()
    assert watched.transitions > 1000, "the run must have moved the door"
