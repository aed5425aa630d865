from itertools import pairwise

import pytest
from doors import rules

from facegate.access.door import HOURS_HOLD_S, LATCH_GRACE_S, Door
from facegate.access.door_events import MAX_PULSE_S, DoorState
from facegate.types import Decision, Verdict


class Relay:
    def __init__(self):
        self.levels = []

    @property
    def edges(self):
        """What changed; a line that is set to what it is makes no edge."""
        levels = [False, *self.levels]
        return [b for a, b in pairwise(levels) if a != b]

    def set(self, active):
        self.levels.append(active)


@pytest.fixture
def clock(clock):
    clock.now_s = 100.0
    return clock


@pytest.fixture
def relay():
    return Relay()


@pytest.fixture
def make(relay, clock):
    def made(is_open=False, **settings):
        return Door(relay, rules(**settings), clock, is_open)

    return made


@pytest.fixture
def door(make):
    return make()


def decision(verdict=Verdict.GRANT, at_s=100.0, name="Ann"):
    return Decision(verdict, "match", 1, 1, name, 0.5, 0.9, at_s, 1)


def names(events):
    return [e.name for e in events]


def test_a_fresh_grant_unlocks_for_the_pulse(door, relay, clock):
    events = door.apply(decision())
    assert names(events) == ["granted", "door_unlocked"]
    assert (events[1].before, events[1].after) == (DoorState.LOCKED, DoorState.UNLOCKED)
    assert events[1].person == "Ann"
    clock.now_s += 3.99
    assert door.tick() == []
    clock.now_s += 0.01
    (locked,) = door.tick()
    assert (locked.name, locked.cause) == ("door_locked", "pulse_over")
    assert relay.edges == [True, False]
    assert door.state is DoorState.LOCKED


@pytest.mark.parametrize("verdict", [v for v in Verdict if v is not Verdict.GRANT])
def test_nothing_but_a_grant_moves_the_relay(door, relay, verdict):
    assert door.apply(decision(verdict)) == []
    assert relay.levels == []


@pytest.mark.parametrize("age_s", [2.01, 60.0, -0.5])
def test_a_stale_grant_or_one_from_the_future_does_not_open(door, relay, age_s):
    assert names(door.apply(decision(at_s=100.0 - age_s))) == ["decision_too_old"]
    assert relay.levels == []


def test_a_second_grant_prolongs_without_an_edge(door, relay, clock):
    door.apply(decision())
    clock.now_s += 2
    assert names(door.apply(decision(at_s=102.0))) == ["granted", "door_prolonged"]
    clock.now_s += 3.9
    assert door.tick() == []
    clock.now_s += 0.2
    assert names(door.tick()) == ["door_locked"]
    assert relay.edges == [True, False]


def test_grants_without_end_do_not_hold_it_released_beyond_the_maximum(door, relay, clock):
    while len(relay.edges) < 2:
        door.apply(decision(at_s=clock.now_s))
        clock.now_s += 1
    assert clock.now_s - 100.0 <= MAX_PULSE_S + 1
    assert door.state is DoorState.UNLOCKED, "the grant after the maximum opens anew"


def test_locking_is_always_possible(door, relay):
    assert door.lock("stopping") == []
    door.apply(decision())
    assert names(door.lock("stopping")) == ["door_locked"]
    assert relay.levels[-1] is False
    assert door.deadline_s is None


@pytest.mark.parametrize("pulse_s", [0, -1, 31])
def test_an_impossible_pulse_is_refused(pulse_s):
    with pytest.raises(ValueError, match="pulse_s"):
        rules(pulse_s=pulse_s)


@pytest.mark.parametrize("failing", [True, False])
def test_a_relay_that_fails_is_released_at_the_next_tick(clock, failing):
    class Failing(Relay):
        broken = True

        def set(self, active):
            super().set(active)
            if active is failing and self.broken:
                raise OSError("stuck")

    relay = Failing()
    door = Door(relay, rules(), clock)
    if failing:
        with pytest.raises(OSError, match="stuck"):
            door.apply(decision())
    else:
        door.apply(decision())
    clock.now_s += 4
    if not failing:
        with pytest.raises(OSError, match="stuck"):
            door.tick()
        relay.broken = False
    assert names(door.tick()) == ["door_locked"]
    assert relay.levels[-1] is False


def test_the_exit_button_opens_even_in_lockdown(door, relay, clock):
    door.lockdown(True)
    (event,) = door.exit_requested()
    assert (event.name, event.cause) == ("door_unlocked", "exit")
    clock.now_s += 4
    door.tick()
    assert relay.edges == [True, False]


def test_opening_and_closing_relocks_at_once(door, relay, clock):
    door.apply(decision())
    assert names(door.contact(True)) == ["door_opened"]
    clock.now_s += 1
    assert names(door.contact(False)) == ["door_closed", "door_locked"]
    assert door.state is DoorState.LOCKED
    assert relay.edges == [True, False]


def test_relocking_on_close_can_be_off(make, relay, clock):
    door = make(relock_on_close=False)
    door.apply(decision())
    door.contact(True)
    clock.now_s += 1
    assert names(door.contact(False)) == ["door_closed"]
    assert door.state is DoorState.UNLOCKED
    clock.now_s += 3
    assert names(door.tick()) == ["door_locked"]


def test_the_strike_is_held_at_the_pulses_end_though_the_door_stands_open(door, clock):
    door.apply(decision())
    door.contact(True)
    clock.now_s += 4
    (event,) = door.tick()
    assert (event.name, event.before, event.after) == (
        "door_locked", DoorState.OPEN, DoorState.OPEN,
    )  # fmt: skip
    assert names(door.contact(False)) == ["door_closed"]


def test_a_door_held_open_warns_then_alarms_then_recovers(door, clock):
    door.apply(decision())
    door.contact(True)
    clock.now_s += 20
    assert names(door.tick()) == ["door_locked", "door_held_open_warning"]
    clock.now_s += 10
    assert names(door.tick()) == ["door_held_open"]
    assert door.state is DoorState.HELD_OPEN
    assert names(door.contact(False)) == ["door_closed"]
    assert door.state is DoorState.LOCKED


def test_a_grant_ends_the_held_open_alarm(door, clock):
    door.apply(decision())
    door.contact(True)
    clock.now_s += 30
    door.tick()
    events = door.apply(decision(at_s=clock.now_s))
    assert names(events) == ["granted", "door_authorised", "door_unlocked"]
    assert door.state is DoorState.OPEN


def test_opening_a_locked_door_is_an_alarm_until_it_closes(door, clock):
    (event,) = door.contact(True)
    assert (event.name, event.after) == ("door_forced_open", DoorState.FORCED_OPEN)
    door.apply(decision(at_s=clock.now_s))
    assert door.state is DoorState.FORCED_OPEN
    clock.now_s += 100
    door.tick()
    assert door.state is DoorState.FORCED_OPEN
    assert names(door.contact(False)) == ["door_closed"]


def test_the_kernels_time_decides_whether_it_was_forced(door, clock):
    door.apply(decision())
    clock.now_s += 4
    door.tick()
    late_s = LATCH_GRACE_S + 0.2
    clock.now_s += late_s
    assert names(door.contact(True, at_s=clock.now_s - late_s)) == ["door_opened"]
    door.contact(False)
    clock.now_s += 10
    assert names(door.contact(True, at_s=clock.now_s)) == ["door_forced_open"]


def test_a_door_that_stands_open_at_the_start_was_not_forced(make, clock):
    door = make(is_open=True)
    assert door.state is DoorState.OPEN
    clock.now_s += 30
    assert names(door.tick()) == ["door_held_open_warning", "door_held_open"]


@pytest.mark.parametrize(("what", "why"), [("lockdown", "lockdown"), ("tamper", "tamper")])
def test_lockdown_and_tamper_lock_at_once_and_keep_faces_out(door, relay, clock, what, why):
    door.apply(decision())
    assert names(getattr(door, what)(True)) == [f"{what}_began", "door_locked"]
    assert getattr(door, what)(True) == []
    (event,) = door.apply(decision(at_s=clock.now_s))
    assert (event.name, event.cause) == ("grant_refused", why)
    assert door.hours(True) == []
    assert relay.edges == [True, False]
    assert names(getattr(door, what)(False)) == [f"{what}_ended"]
    assert names(door.apply(decision(at_s=clock.now_s))) == ["granted", "door_unlocked"]


def test_unlock_hours_release_until_they_end(door, relay, clock):
    assert names(door.hours(True)) == ["door_unlocked"]
    for _ in range(100):
        clock.now_s += 1
        assert door.hours(True) == []
    assert names(door.hours(False)) == ["door_locked"]
    assert door.hours(False) == []
    assert relay.edges == [True, False]


def test_unlock_hours_lapse_when_nobody_confirms_them(door, clock):
    door.hours(True)
    clock.now_s += HOURS_HOLD_S
    (event,) = door.tick()
    assert (event.name, event.cause) == ("door_locked", "hours_unconfirmed")


def test_the_pulse_outlasts_the_end_of_the_hours(door, clock):
    door.hours(True)
    door.apply(decision())
    assert door.hours(False) == []
    assert door.state is DoorState.UNLOCKED
    clock.now_s += 4
    assert names(door.tick()) == ["door_locked"]


def test_within_unlock_hours_the_door_may_stand_open(door, clock):
    door.hours(True)
    door.contact(True)
    for _ in range(60):
        clock.now_s += 1
        assert door.hours(True) == []
    door.hours(False)
    clock.now_s += 20
    assert names(door.tick()) == ["door_held_open_warning"]


def test_a_command_keeps_it_unlocked_for_a_time(door, relay, clock):
    told, unlocked = door.keep_unlocked(3600)
    assert (told.name, told.for_s, unlocked.name) == ("door_kept_unlocked", 3600, "door_unlocked")
    for _ in range(59):
        clock.now_s += 60
        assert door.tick() == []
    assert door.kept_unlocked_s == 60
    clock.now_s += 60
    (event,) = door.tick()
    assert (event.name, event.cause) == ("door_locked", "kept_over")
    assert (door.kept_unlocked_s, relay.edges) == (None, [True, False])


def test_another_command_says_anew_for_how_long_and_one_ends_it(door, clock):
    door.keep_unlocked(3600)
    assert names(door.keep_unlocked(60)) == ["door_kept_unlocked"]
    clock.now_s += 59
    assert door.tick() == []
    (event,) = door.keep_unlocked_no_longer("command")
    assert (event.name, event.cause) == ("door_locked", "command")
    assert door.keep_unlocked_no_longer("command") == []


@pytest.mark.parametrize("what", ["lockdown", "tamper"])
def test_what_keeps_people_out_ends_the_time_it_is_kept_unlocked(door, relay, what):
    door.keep_unlocked(3600)
    assert names(getattr(door, what)(True)) == [f"{what}_began", "door_locked"]
    (event,) = door.keep_unlocked(3600)
    assert (event.name, event.cause) == ("grant_refused", what)
    assert names(getattr(door, what)(False)) == [f"{what}_ended"]
    assert relay.edges == [True, False]


def test_pulses_hours_and_a_closing_door_leave_it_unlocked(door, relay, clock):
    door.keep_unlocked(3600)
    door.exit_requested()
    door.hours(True)
    door.contact(True)
    door.contact(False)
    assert door.hours(False) == []
    clock.now_s += 30
    assert door.tick() == []
    assert relay.edges == [True]
    door.hours(True)
    assert door.keep_unlocked_no_longer("command") == []
    assert names(door.hours(False)) == ["door_locked"]


def test_a_pulse_outlasts_the_time_it_is_kept_unlocked(door, clock):
    door.keep_unlocked(60)
    clock.now_s += 59
    door.exit_requested()
    assert door.keep_unlocked_no_longer("command") == []
    clock.now_s += 4
    (event,) = door.tick()
    assert (event.name, event.cause) == ("door_locked", "pulse_over")


def test_kept_unlocked_it_may_stand_open_and_afterwards_not(door, clock):
    door.keep_unlocked(3600)
    assert names(door.contact(True)) == ["door_opened"]
    for _ in range(60):
        clock.now_s += 59
        assert door.tick() == []
    clock.now_s += 60
    assert names(door.tick()) == ["door_locked"]
    clock.now_s += 20
    assert names(door.tick()) == ["door_held_open_warning"]


@pytest.mark.parametrize("for_s", [0.0, -1.0, 43201.0, float("nan")])
def test_no_command_keeps_it_unlocked_for_ever(door, for_s):
    with pytest.raises(ValueError, match="must be above 0"):
        door.keep_unlocked(for_s)
    assert door.deadline_s is None


def test_refusals_in_a_row_lock_faces_out_for_a_while(make, clock):
    door = make(lockout_attempts=3, lockout_s=60.0)
    for _ in range(2):
        assert door.apply(decision(Verdict.UNKNOWN)) == []
    assert names(door.apply(decision(Verdict.DENY))) == ["lockout_began"]
    assert door.locked_out
    (event,) = door.apply(decision())
    assert (event.name, event.cause) == ("grant_refused", "lockout")
    clock.now_s += 60
    assert names(door.tick()) == ["lockout_ended"]
    assert "granted" in names(door.apply(decision(at_s=clock.now_s)))


@pytest.mark.parametrize("between", ["grant", "time"])
def test_refusals_far_apart_or_with_a_grant_between_do_not_count(make, clock, between):
    door = make(lockout_attempts=2, lockout_within_s=60.0)
    door.apply(decision(Verdict.UNKNOWN))
    if between == "grant":
        door.apply(decision())
    else:
        clock.now_s += 61
    assert door.apply(decision(Verdict.UNKNOWN, clock.now_s)) == []


def test_a_threatened_person_gets_in_and_says_so(make, relay):
    door = make(duress=frozenset({"ann"}))
    events = door.apply(decision(name="ANN"))
    assert names(events) == ["duress", "granted", "door_unlocked"]
    assert relay.edges == [True]


def test_nor_is_a_threat_missed_when_the_head_was_not_turned(make, relay):
    door = make(duress=frozenset({"ann"}))
    assert names(door.apply(decision(Verdict.SPOOF, name="ANN"))) == ["duress"]
    assert names(door.apply(decision(Verdict.DENY, name="ANN"))) == []
    assert relay.edges == []


def test_the_button_confirms_a_face(make, relay, clock):
    door = make(second_factor="button")
    assert door.button() == []
    assert names(door.apply(decision())) == ["second_factor_wanted"]
    assert relay.edges == []
    clock.now_s += 9
    assert names(door.button()) == ["granted", "door_unlocked"]
    assert door.button() == []


def test_a_press_before_the_face_is_none_however_late_it_is_told(make, relay, clock):
    door = make(second_factor="button")
    pressed_s = clock.now_s
    clock.now_s += 0.2
    door.apply(decision(at_s=clock.now_s))
    assert door.button(pressed_s) == []
    assert names(door.button(clock.now_s + 0.1)) == ["granted", "door_unlocked"]


def test_a_second_factor_comes_too_late(make, relay, clock):
    door = make(second_factor="button")
    door.apply(decision())
    clock.now_s += 10
    assert names(door.tick()) == ["second_factor_expired"]
    assert door.button() == []
    assert relay.edges == []


def test_a_pin_confirms_the_face_before_it(make, relay):
    door = make(second_factor="pin", lockout_attempts=2)
    assert door.pin(True) == []
    door.apply(decision())
    assert names(door.pin(False)) == ["second_factor_refused"]
    door.apply(decision())
    assert door.button() == []
    assert names(door.pin(True)) == ["granted", "door_unlocked"]
    assert relay.edges == [True]


def test_wrong_pins_lock_faces_out(make):
    door = make(second_factor="pin", lockout_attempts=3)
    for told in ([], [], ["lockout_began"]):
        door.apply(decision())
        assert names(door.pin(False)) == ["second_factor_refused", *told]


def test_only_a_right_pin_forgives_the_wrong_ones(make):
    door = make(second_factor="pin", lockout_attempts=2)
    for correct in (False, True, False):
        door.apply(decision())
        door.pin(correct)
    assert not door.locked_out
    door.apply(decision())
    door.pin(False)
    assert door.locked_out


@pytest.mark.parametrize("shut", ["lockdown", "tamper"])
def test_what_shuts_the_door_turns_away_whom_it_waited_for(make, shut):
    door = make(second_factor="button")
    door.apply(decision())
    door.apply(decision(name="Ben"))
    began, *refused = getattr(door, shut)(True)
    assert began.name == f"{shut}_began"
    assert [(e.name, e.cause, e.person) for e in refused] == [
        ("grant_refused", shut, "Ann"),
        ("grant_refused", shut, "Ben"),
    ]
    getattr(door, shut)(False)
    assert door.button() == []


def test_two_people_are_waited_for_and_the_last_asked_answers_first(make, clock):
    door = make(second_factor="button", second_factor_s=10.0)
    door.apply(decision())
    clock.now_s += 4
    door.apply(decision(at_s=clock.now_s, name="Ben"))
    assert door.waiting_for == ("Ann", "Ben")
    assert door.button()[0].person == "Ben"
    assert [(e.name, e.person) for e in door.button()] == [
        ("granted", "Ann"),
        ("door_prolonged", "Ann"),
    ]
    door.apply(decision(at_s=clock.now_s))
    clock.now_s += 1
    door.apply(decision(at_s=clock.now_s, name="Ben"))
    clock.now_s += 9
    expired = [e for e in door.tick() if e.name == "second_factor_expired"]
    assert [e.person for e in expired] == ["Ann"]
    assert door.waiting_for == ("Ben",)


def test_a_press_between_two_faces_is_the_first_ones(make, clock):
    door = make(second_factor="button")
    door.apply(decision())
    pressed_s = clock.now_s + 0.1
    clock.now_s += 0.2
    door.apply(decision(at_s=clock.now_s, name="Ben"))
    assert door.button(pressed_s)[0].person == "Ann"
    assert door.waiting_for == ("Ben",)


def test_a_wrong_pin_is_one_persons(make):
    door = make(second_factor="pin", lockout_attempts=3)
    door.apply(decision())
    door.apply(decision(name="Ben"))
    assert door.pin(False)[0].person == "Ben"
    assert door.pin(True)[0].person == "Ann"
    assert door.waiting_for == ()


def test_other_rules_leave_a_lockout_and_a_pulse_alone(make, relay, clock):
    door = make(lockout_attempts=2, lockout_s=60.0)
    door.apply(decision())
    door.apply(decision(Verdict.UNKNOWN))
    door.obey(rules(pulse_s=1.0, lockout_attempts=2, lockout_s=5.0))
    assert door.deadline_s == clock.now_s + 4.0
    door.apply(decision(Verdict.UNKNOWN))
    assert door.locked_out
    door.obey(rules(pulse_s=1.0))
    assert door.locked_out
    clock.now_s += 5.0
    door.tick()
    assert not door.locked_out
    assert relay.edges == [True, False]


def refused(door, clock, *times_s):
    for clock.now_s in times_s:
        events = door.apply(decision(Verdict.UNKNOWN, clock.now_s))
    return names(events)


def test_an_old_refusal_does_not_hide_those_that_follow_quickly(make, clock):
    door = make(lockout_attempts=3, lockout_within_s=60.0)
    refused(door, clock, 100.0, 300.0, 301.0, 302.0)
    assert door.locked_out


def test_a_refusal_during_a_lockout_does_not_prolong_it(make, clock):
    door = make(lockout_attempts=1, lockout_within_s=60.0, lockout_s=60.0)
    assert refused(door, clock, 100.0, 130.0) == []
    clock.now_s = 160.0
    door.tick()
    assert not door.locked_out


def test_after_a_lockout_the_count_begins_anew(make, clock):
    door = make(lockout_attempts=3, lockout_within_s=600.0, lockout_s=60.0)
    assert refused(door, clock, 100.0, 100.0, 100.0, 160.0) == ["lockout_ended"]
    assert not door.locked_out


def test_a_command_does_not_unlock_in_tamper_but_in_a_lockout(make, relay):
    door = make(lockout_attempts=1)
    door.tamper(True)
    assert names(door.command_unlock()) == ["grant_refused"]
    assert not any(relay.levels)
    door.tamper(False)
    door.apply(decision(Verdict.UNKNOWN))
    assert door.locked_out
    assert names(door.command_unlock()) == ["door_unlocked"]


def test_taking_on_rules_takes_on_all_of_them(door, clock):
    door.obey(rules(second_factor="button", max_decision_age_s=0.5, pulse_s=1.0))
    assert names(door.apply(decision(at_s=99.0))) == ["decision_too_old"]
    assert names(door.apply(decision())) == ["second_factor_wanted"]
    door.button()
    assert door.deadline_s == clock.now_s + 1.0


def test_the_time_a_door_may_stand_open_begins_when_it_opens(make, clock):
    door = make(pulse_s=30.0)
    door.apply(decision())
    clock.now_s += 19
    door.contact(True)
    clock.now_s += 19
    assert "door_held_open_warning" not in names(door.tick())


def test_the_events_of_a_second_factor_name_whose_it_was(make, clock):
    door = make(second_factor="pin")
    door.apply(decision())
    assert [e.person for e in door.pin(False)] == ["Ann"]
    door.apply(decision())
    clock.now_s += 60
    assert [e.person for e in door.tick()] == ["Ann"]
    door.apply(decision(at_s=clock.now_s))
    assert door.pin(True)[0].person == "Ann"
