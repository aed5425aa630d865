"""The act thread with shipped fakes: real threads, real time, a door of its own."""

import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from datetime import time as clock_time

import pytest
from doors import rules

from facegate.access.arming import Arming
from facegate.access.door import Door
from facegate.access.door_events import DoorEvent, DoorState
from facegate.access.schedule import Group, Schedule, Window
from facegate.doorkeeper import DoorKeeper
from facegate.errors import DaemonError, LineError
from facegate.hardware.fake import FakeInput, FakeOutput
from facegate.hardware.panel import LAMPS, Panel, PanelState
from facegate.journal import Journal
from facegate.types import Decision, Verdict
from facegate.unused_grants import AGAIN_S, UnusedGrants

INPUTS = ("exit_button", "contact", "tamper", "factor_button", "enrol_button")
PULSE_S = 0.3
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)  # a Tuesday
ADMIN, MEMBER = 1, 2
EVERYBODY = {ADMIN: "Ann", MEMBER: "Ben", 3: "Cleo"}


class Enroller:
    """Counts presses."""

    active = False
    presses = 0

    def press(self):
        self.presses += 1


class Kept:
    def __init__(self, schedule=None, names=True, synchronised=True, locked=False, **settings):
        clock = time.monotonic
        self.synchronised = synchronised
        self.relay = FakeOutput("relay")
        self.inputs = {name: FakeInput(name) for name in INPUTS}
        self.lamps = {lamp: FakeOutput(lamp) for lamp in LAMPS}
        self.enroller, self.events = Enroller(), []
        self.keeper = DoorKeeper(
            Door(self.relay, rules(pulse_s=PULSE_S, **settings), clock),
            self.inputs,
            Panel(self.lamps, clock),
            schedule or Schedule(),
            Arming(30.0, clock),
            self.enroller,
            Journal(self.events.append, names=names),
            clock,
            wall_clock=lambda: NOON,
            synchronised=lambda: self.synchronised,
            locked_down=locked,
        )
        self.follow(frozenset({ADMIN}), frozenset())

    def follow(self, admins, duress, groups=None, passes=None, names=None):
        names = EVERYBODY if names is None else names
        self.keeper.follow(admins, duress, groups or {}, passes or {}, names)

    def names(self):
        return [e.name for e in self.events]

    def face(self, verdict=Verdict.GRANT, person=MEMBER, name="Ben"):
        now_s = time.monotonic()
        also = (ADMIN, "Ann") if verdict is Verdict.DENY else ()
        self.keeper.decisions.put(
            Decision(verdict, "match", 1, person, name, 0.3, 0.99, now_s, 1, *also)
        )

    @contextmanager
    def running(self):
        stopping = threading.Event()
        thread = threading.Thread(target=self.keeper.run, args=(stopping,))
        thread.start()
        try:
            yield self
        finally:
            stopping.set()
            self.keeper.decisions.close()
            thread.join(5)
            assert not thread.is_alive()
            self.keeper.close()


def until(condition, seconds=5.0):
    end_s = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end_s, "waited in vain"
        time.sleep(0.002)


def pulse(kept):
    until(lambda: len(kept.relay.edges) == 2)
    on, off = kept.relay.edges
    return off.at_s - on.at_s


def test_the_exit_button_opens_at_once_and_for_one_pulse():
    with Kept().running() as kept:
        pressed_s = time.monotonic()
        kept.inputs["exit_button"].press()
        assert pulse(kept) == pytest.approx(PULSE_S, abs=0.02)
        assert kept.relay.edges[0].at_s - pressed_s < 0.1
    assert kept.names() == ["door_unlocked", "door_locked"]
    assert "exit button" not in kept.events[1].message


def test_a_grant_says_how_long_it_took_from_the_frame_to_the_relay():
    with Kept().running() as kept:
        kept.face()
        assert pulse(kept) == pytest.approx(PULSE_S, abs=0.02)
    granted = kept.events[0]
    assert (granted.name, granted.fields["person"]) == ("granted", MEMBER)
    assert 0 < granted.fields["latency_ms"] < 100


def test_the_door_is_closed_the_strike_is_held():
    with Kept().running() as kept:
        kept.face()
        until(lambda: kept.relay.active)
        kept.inputs["contact"].drive(True)
        kept.inputs["contact"].drive(False)
        assert pulse(kept) < PULSE_S / 2
    assert kept.names()[-2:] == ["door_closed", "door_locked"]


def test_a_forced_door_alarms_on_the_panel():
    with Kept().running() as kept:
        kept.inputs["contact"].drive(True)
        until(lambda: "door_forced_open" in kept.names())
        until(lambda: kept.keeper.state["panel"] == PanelState.ALARM.value)
        until(lambda: kept.lamps["red"].edges)
    assert not kept.relay.edges


def test_lockdown_by_command_keeps_faces_out_but_lets_people_out():
    with Kept().running() as kept:
        kept.keeper.command(lambda door: door.lockdown(True))
        kept.face()
        until(lambda: "grant_refused" in kept.names())
        assert not kept.relay.edges
        kept.inputs["exit_button"].press()
        assert pulse(kept) == pytest.approx(PULSE_S, abs=0.02)
        kept.keeper.command(lambda door: door.lockdown(False))
        kept.face()
        until(lambda: "granted" in kept.names())


def test_a_command_to_a_thread_that_does_not_answer_is_an_error(monkeypatch):
    monkeypatch.setattr("facegate.doorkeeper.COMMAND_TIMEOUT_S", 0.05)
    with pytest.raises(DaemonError, match="did not answer"):
        Kept().keeper.command(lambda door: door.lockdown(True))


def test_outside_their_hours_nobody_is_let_in():
    morning = Window(frozenset(range(7)), clock_time(8), clock_time(10))
    schedule = Schedule(groups=(Group(None, (morning,)),))
    with Kept(schedule).running() as kept:
        kept.face()
        until(lambda: "grant_refused" in kept.names())
    assert not kept.relay.edges
    assert "hours" in kept.events[0].message


def test_hours_of_people_wait_for_a_clock_that_can_be_believed():
    """After a power cut on Friday a weekend would be Friday still."""
    day = Window(frozenset(range(7)), clock_time(8), clock_time(18))
    schedule = Schedule(
        groups=(Group(frozenset({"ben"}), (day,)), Group(frozenset({"ann"}))), battery_clock=False
    )
    kept = Kept(schedule, synchronised=False)
    with kept.running():
        kept.face()
        until(lambda: "grant_refused" in kept.names())
        kept.face(person=ADMIN, name="Ann")
        until(lambda: "granted" in kept.names())
        kept.synchronised = True
        kept.face()
        until(lambda: kept.names().count("granted") == 2)
    (refused,) = [e for e in kept.events if e.name == "grant_refused"]
    assert refused.fields["reason"] == "hours_unsure"
    assert refused.message == "Ben: they have hours, and the time is not confirmed yet"


def test_within_unlock_hours_the_door_stands_unlocked():
    day = Window(frozenset(range(7)), clock_time(8), clock_time(18))
    kept = Kept(Schedule(unlock=(day,)))
    with kept.running():
        until(lambda: kept.relay.active)
        time.sleep(PULSE_S + 2.5)
        assert kept.relay.active
        assert len(kept.relay.edges) == 1


def test_kept_unlocked_by_command_for_a_time():
    with Kept().running() as kept:
        kept.keeper.command(lambda door: door.keep_unlocked(3.0))
        time.sleep(PULSE_S + 2.0)
        assert kept.relay.active
        assert 0 < kept.keeper.state["kept_unlocked_s"] < 1
        assert pulse(kept) == pytest.approx(3.0, abs=0.02)
        assert kept.keeper.state["kept_unlocked_s"] is None
    told, unlocked, locked = kept.events
    assert (told.name, told.message) == ("door_kept_unlocked", "for 0.05 min, by command")
    assert told.fields["for_s"] == 3.0
    assert unlocked.message == "kept unlocked by command"
    assert locked.message == "the time for which it was kept unlocked is over"


def test_nothing_keeps_it_unlocked_when_no_decisions_come_any_more():
    """Else a gate whose camera is gone would go on for hours without one, instead of anew."""
    with Kept().running() as kept:
        kept.keeper.command(lambda door: door.keep_unlocked(3600.0))
        kept.keeper.decisions.close()
        until(lambda: not kept.relay.active)
    assert kept.events[-1].message == "facegate stops"


def test_unlock_hours_wait_for_a_clock_that_can_be_believed():
    """After a power cut a clock without a battery goes on from when the power failed."""
    day = Window(frozenset(range(7)), clock_time(8), clock_time(18))
    kept = Kept(Schedule(unlock=(day,)), synchronised=False)
    with kept.running():
        until(lambda: kept.events)
        time.sleep(1.2)  # two looks at the hours
        assert not kept.relay.edges
        assert kept.names() == ["hours_unsure"]
        kept.face()
        assert pulse(kept) == pytest.approx(PULSE_S, abs=0.02)
        kept.synchronised = True
        until(lambda: kept.relay.active)
    with Kept(Schedule(unlock=(day,), battery_clock=True), synchronised=False).running() as sure:
        until(lambda: sure.relay.active)


def test_a_clock_once_believed_is_believed_for_as_long_as_the_gate_runs():
    """systemd-timesyncd's mark is gone for a while when it is started again."""
    kept = Kept(Schedule(unlock=(Window(frozenset(range(7)), clock_time(8), clock_time(18)),)))
    with kept.running():
        until(lambda: kept.relay.active)
        kept.synchronised = False
        time.sleep(2.8)  # beyond what hours hold unconfirmed
        assert kept.relay.active
    assert "hours_unsure" not in kept.names()


def test_a_lockdown_from_before_the_start_is_on_before_anything_else():
    day = Window(frozenset(range(7)), clock_time(8), clock_time(18))
    kept = Kept(Schedule(unlock=(day,)), locked=True)
    kept.face()
    with kept.running():
        until(lambda: len(kept.events) == 2)
        time.sleep(0.6)
        assert not kept.relay.edges
        kept.keeper.command(lambda door: door.lockdown(False))
        until(lambda: kept.relay.active)
    assert kept.names()[:2] == ["lockdown_began", "grant_refused"]
    assert "before facegate started" in kept.events[0].message


def test_a_threat_outside_of_the_hours_is_still_told():
    evening = Window(frozenset({0}), clock_time(18), clock_time(20))
    kept = Kept(Schedule(groups=(Group(None, (evening,)),)))
    kept.follow(frozenset(), frozenset({"ben"}))
    with kept.running():
        kept.face()
        until(lambda: len(kept.events) == 2)
    assert kept.names() == ["duress", "grant_refused"]
    refused = kept.events[1]
    assert (refused.message, refused.fields["reason"]) == ("Ben: not within their hours", "hours")
    assert not kept.relay.edges


def test_whoever_the_second_factor_is_of_is_named_whoever_comes_meanwhile():
    with Kept(second_factor="pin").running() as kept:
        kept.face(person=ADMIN, name="Ann")
        until(lambda: kept.keeper.waiting)
        kept.face(Verdict.UNKNOWN, None, None)
        kept.face(Verdict.DENY, MEMBER, "Ben")
        until(lambda: "denied" in kept.names())
        kept.keeper.command(lambda door: door.pin(True))
        until(lambda: "granted" in kept.names())
    (granted,) = [e for e in kept.events if e.name == "granted"]
    assert granted.fields["person"] == ADMIN


def test_panel_and_status_say_that_a_second_factor_is_wanted():
    with Kept(second_factor="pin").running() as kept:
        kept.face(person=ADMIN, name="Ann")
        until(lambda: kept.keeper.state["panel"] == "second factor")
        assert kept.keeper.state["second_factor_wanted"] == "pin"
        kept.keeper.command(lambda door: door.pin(True))
        assert kept.keeper.state["second_factor_wanted"] is None
        until(lambda: kept.keeper.state["panel"] == "granted")


def test_each_of_two_people_who_were_asked_is_told_of_by_their_own_number():
    with Kept(second_factor="pin").running() as kept:
        kept.face(person=ADMIN, name="Ann")
        kept.face(person=MEMBER, name="Ben")
        until(lambda: kept.names().count("second_factor_wanted") == 2)
        kept.keeper.command(lambda door: door.pin(False))
        kept.keeper.command(lambda door: door.pin(True))
        until(lambda: "granted" in kept.names())
    told = {e.name: e.fields["person"] for e in kept.events if "person" in e.fields}
    assert told["second_factor_refused"] == MEMBER
    assert told["granted"] == told["door_unlocked"] == ADMIN


@pytest.mark.parametrize(
    ("end_wall", "synchronised", "why"),
    [
        ((NOON - timedelta(hours=1)).timestamp(), True, "pass_ended"),
        (NOON.timestamp(), True, "pass_ended"),
        (0.0, True, "blocked"),
        ((NOON + timedelta(hours=1)).timestamp(), True, None),
        ((NOON + timedelta(hours=1)).timestamp(), False, "pass_unsure"),
    ],
)
def test_a_pass_lets_in_until_it_ends(end_wall, synchronised, why):
    kept = Kept(synchronised=synchronised)
    kept.follow(frozenset({ADMIN}), frozenset(), passes={ADMIN: end_wall})
    with kept.running():
        kept.face(person=ADMIN, name="Ann")
        until(lambda: {"granted", "grant_refused"} & set(kept.names()))
        kept.inputs["enrol_button"].press()
        until(lambda: kept.enroller.presses or "enrol_button_ignored" in kept.names())
    assert bool(kept.relay.edges) is (why is None)
    assert kept.enroller.presses == (why is None), "an administrator's pass is the button's too"
    assert [e.fields["reason"] for e in kept.events if e.name == "grant_refused"] == [why] * (
        why is not None
    )


@pytest.mark.parametrize("gone", ["blocked", "forgotten"])
def test_who_is_kept_out_while_the_door_waits_is_waited_for_no_longer(gone):
    kept = Kept(second_factor="pin")
    with kept.running():
        kept.face(person=ADMIN, name="Ann")
        kept.face(person=MEMBER, name="Ben")
        until(lambda: kept.names().count("second_factor_wanted") == 2)
        passes = {MEMBER: 0.0} if gone == "blocked" else {}
        names = {ADMIN: "Ann"} | ({MEMBER: "Ben"} if gone == "blocked" else {})
        kept.follow(frozenset({ADMIN}), frozenset(), passes=passes, names=names)
        until(lambda: "grant_refused" in kept.names())
        kept.keeper.command(lambda door: door.pin(True))
        until(lambda: "granted" in kept.names())
        assert not kept.keeper.waiting
    refused, granted = (
        next(e for e in kept.events if e.name == name) for name in ("grant_refused", "granted")
    )
    assert (refused.fields["reason"], refused.fields["person"]) == (gone, MEMBER)
    assert granted.fields["person"] == ADMIN


def test_a_pass_that_ends_while_the_door_waits_has_ended():
    kept = Kept(second_factor="button")
    ends = time.monotonic() + 0.3
    kept.keeper._wall_clock = lambda: NOON + timedelta(seconds=time.monotonic() - ends)
    kept.follow(frozenset(), frozenset(), passes={MEMBER: NOON.timestamp()})
    with kept.running():
        kept.face()
        until(lambda: "second_factor_wanted" in kept.names())
        until(lambda: "grant_refused" in kept.names())
        kept.inputs["factor_button"].press()
        time.sleep(0.05)
    assert kept.events[-1].fields["reason"] == "pass_ended"
    assert not kept.relay.edges


def test_a_grant_of_somebody_forgotten_meanwhile_opens_nothing():
    kept = Kept()
    kept.follow(frozenset(), frozenset(), names={ADMIN: "Ann"})
    with kept.running():
        kept.face()
        until(lambda: "grant_refused" in kept.names())
    assert kept.events[-1].message == "Ben: not enrolled any more"
    assert not kept.relay.edges


@pytest.mark.parametrize("kept_out", [{"passes": {ADMIN: 0.0}}, {}])
def test_who_is_no_administrator_any_more_has_armed_nothing(kept_out):
    kept = Kept()
    with kept.running():
        kept.face(person=ADMIN, name="Ann")
        until(lambda: "enrol_armed" in kept.names())
        admins = frozenset({ADMIN} if kept_out else {3})
        kept.follow(admins, frozenset(), **kept_out)
        until(lambda: not kept.keeper._arming.armed)
        kept.inputs["enrol_button"].press()
        until(lambda: "enrol_button_ignored" in kept.names())
    assert kept.enroller.presses == 0


def unused(kept):
    """The tracks that are judged again, and in how many seconds."""
    found, began_s, later_s = [], time.monotonic(), 0
    kept.keeper.unused._clock = lambda: began_s + later_s
    for later_s in range(12):
        found += [(track, later_s) for track in kept.keeper.unused.due(frozenset({1}))]
    return found


def test_who_was_let_in_but_came_too_late_may_be_granted_again():
    with Kept().running() as kept:
        kept.face()
        pulse(kept)
    assert unused(kept) == [(1, 5)]
    with Kept().running() as kept:
        kept.face()
        until(lambda: kept.relay.active)
        kept.inputs["contact"].drive(True)  # the door opens
        until(lambda: not kept.relay.active)
        kept.inputs["contact"].drive(False)
        until(lambda: "door_closed" in kept.names())
        kept.inputs["exit_button"].press()
        until(lambda: len(kept.relay.edges) == 4)
    assert unused(kept) == []
    with Kept(relock_on_close=False).running() as kept:  # in and out again within one pulse
        kept.face()
        until(lambda: kept.relay.active)
        kept.inputs["contact"].drive(True)
        kept.inputs["contact"].drive(False)
        until(lambda: len(kept.relay.edges) == 2)
    assert unused(kept) == []


def test_all_who_were_let_in_by_one_pulse_that_nobody_used_are_judged_again(clock):
    unused, alive = UnusedGrants(clock), frozenset({1, 2, 3})

    def note(name, track=None):
        unused.note(DoorEvent(name, 0.0, DoorState.LOCKED, DoorState.LOCKED, "c"), track)

    note("granted", 1)
    note("granted", 2)
    note("door_locked")
    assert unused.due(alive) == []
    clock.now_s += AGAIN_S["door_locked"]
    assert unused.due(alive) == [1, 2]
    note("granted", 3)
    note("door_opened")
    note("door_locked")
    clock.now_s += AGAIN_S["door_locked"]
    assert unused.due(alive) == []


@pytest.mark.parametrize(
    ("rules", "act", "wanted"),
    [
        ({"max_decision_age_s": 1e-9}, lambda _: None, ("decision_too_old", 5)),
        (
            {"second_factor": "pin"},
            lambda kept: kept.keeper.command(lambda door: door.pin(False)),
            ("second_factor_refused", 0),
        ),
        (
            {"second_factor": "button", "second_factor_s": 0.1},
            lambda _: None,
            ("second_factor_expired", 0),
        ),
        ({}, None, ("grant_refused", 10)),
    ],
)
def test_a_grant_that_came_to_nothing_is_judged_again(rules, act, wanted):
    with Kept(locked=act is None, **rules).running() as kept:
        kept.face()
        if "second_factor" in rules:
            until(lambda: kept.keeper.waiting or wanted[0] in kept.names())
        if act:
            act(kept)
        until(lambda: wanted[0] in kept.names())
    assert unused(kept) == [(1, wanted[1])]
    assert not kept.relay.edges


@pytest.mark.parametrize("count", [50])
def test_every_press_of_an_unarmed_button_is_logged_and_changes_nothing(count):
    with Kept().running() as kept:
        for _ in range(count):
            kept.inputs["enrol_button"].press()
        until(lambda: len(kept.events) == count)
    assert kept.names() == ["enrol_button_ignored"] * count
    assert kept.enroller.presses == 0
    assert not kept.relay.edges


def test_an_administrators_face_arms_the_button_once():
    with Kept().running() as kept:
        kept.face(person=ADMIN, name="Ann")
        until(lambda: "granted" in kept.names())
        kept.inputs["enrol_button"].press()
        until(lambda: kept.enroller.presses == 1)
        kept.inputs["enrol_button"].press()
        until(lambda: "enrol_button_ignored" in kept.names())
    assert kept.enroller.presses == 1
    assert "enrol_armed" in kept.names()


@pytest.mark.parametrize(("names", "by"), [(True, "by Ann"), (False, f"by person {ADMIN}")])
def test_who_armed_the_button_is_told_by_number_too(names, by):
    with Kept(names=names).running() as kept:
        kept.face(person=ADMIN, name="Ann")
        until(lambda: "enrol_armed" in kept.names())
    (armed,) = (e for e in kept.events if e.name == "enrol_armed")
    assert (armed.message, armed.fields) == (by, {"person": ADMIN})


def test_an_administrator_who_prolongs_anothers_arming_is_told_too():
    kept = Kept()
    kept.follow(frozenset({ADMIN, 3}), frozenset())
    with kept.running():
        for number, name in ((ADMIN, "Ann"), (ADMIN, "Ann"), (3, "Zoe")):
            kept.face(person=number, name=name)
        until(lambda: "door_locked" in kept.names())
    armed = [e.fields["person"] for e in kept.events if e.name == "enrol_armed"]
    assert armed == [ADMIN, 3]


def test_a_member_does_not_arm_it():
    with Kept().running() as kept:
        kept.face()
        until(lambda: "granted" in kept.names())
        kept.inputs["enrol_button"].press()
        until(lambda: "enrol_button_ignored" in kept.names())
    assert kept.enroller.presses == 0


def test_before_there_is_an_administrator_the_button_enrols():
    kept = Kept()
    kept.follow(frozenset(), frozenset())
    with kept.running():
        kept.inputs["enrol_button"].press()
        until(lambda: kept.enroller.presses == 1)


def test_a_face_and_the_button_open_together_only():
    with Kept(second_factor="button").running() as kept:
        kept.inputs["factor_button"].press()
        kept.face()
        until(lambda: "second_factor_wanted" in kept.names())
        time.sleep(0.05)
        assert not kept.relay.edges
        kept.inputs["factor_button"].press()
        pulse(kept)


def test_duress_opens_and_raises_an_alert():
    kept = Kept()
    kept.follow(frozenset({ADMIN}), frozenset({"ben"}))
    with kept.running():
        kept.face()
        pulse(kept)
    assert "duress" in kept.names()


def test_a_broken_lamp_keeps_nobody_out():
    kept = Kept()
    kept.lamps["blue"].failure = kept.lamps["green"].failure = "unplugged"
    with kept.running():
        kept.face()
        pulse(kept)
        kept.keeper.flash(PanelState.ENROLLED)
        until(lambda: kept.lamps["buzzer"].edges)
    assert 1 <= kept.names().count("panel_failed") <= 2  # each lamp once, or both at once


def test_a_buzzer_is_silent_after_the_alarm_though_a_lamp_broke_meanwhile():
    with Kept().running() as kept:
        kept.inputs["contact"].drive(True)
        until(lambda: kept.lamps["buzzer"].active)
        kept.lamps["red"].failure = "unplugged"
        until(lambda: "panel_failed" in kept.names())
        kept.inputs["contact"].drive(False)
        until(lambda: "door_closed" in kept.names())
        until(lambda: not kept.lamps["buzzer"].active)
        time.sleep(0.6)  # longer than the alarm's rhythm
        assert not kept.lamps["buzzer"].active


def test_strangers_are_told_apart_from_people_who_look_alike():
    with Kept().running() as kept:
        kept.face(Verdict.UNKNOWN, None, None)
        kept.face(Verdict.DENY)
        until(lambda: len(kept.events) == 2)
        until(lambda: kept.lamps["red"].edges)
    assert kept.names() == ["unknown", "denied"]
    assert not kept.relay.edges


def test_a_face_that_did_not_turn_is_refused_and_counts_towards_the_lockout():
    with Kept(lockout_attempts=2).running() as kept:
        for _ in range(2):
            kept.face(Verdict.SPOOF)
        until(lambda: "lockout_began" in kept.names())
        until(lambda: kept.lamps["red"].edges)
    assert kept.names()[:3] == ["turn_missing", "turn_missing", "lockout_began"]
    assert not kept.relay.edges


def test_the_panel_says_how_an_enrolment_ended_and_that_a_part_stands_still():
    with Kept().running() as kept:
        kept.keeper.flash(PanelState.ENROLLED)
        until(lambda: kept.keeper.state["panel"] == PanelState.ENROLLED.value)
        kept.keeper.stalled = True
        until(lambda: kept.keeper.state["panel"] == PanelState.ERROR.value)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (True, "Ben: not let in, too near to Ann"),
        (False, "person 2: not let in, too near to person 1"),
    ],
)
def test_the_status_calls_people_as_the_journal_does(names, said):
    kept = Kept(names=names)
    with kept.running():
        kept.face(Verdict.DENY)
        until(lambda: "denied" in kept.names())
        assert kept.keeper.last_event == f"denied: {said}"
    assert kept.events[0].message == said
    assert (kept.events[0].fields["person"], kept.events[0].fields["runner_up"]) == (MEMBER, ADMIN)


DAY = Window(frozenset(range(7)), clock_time(8), clock_time(18))
EVENING = Window(frozenset(range(7)), clock_time(18), clock_time(20))


def answered(kept):
    """Whether a face was let in, refused or asked for more."""
    return {"granted", "grant_refused", "second_factor_wanted"} & set(kept.names())


def test_a_case_that_stands_open_at_the_start_keeps_faces_out():
    kept = Kept()
    kept.inputs["tamper"].drive(True)
    kept.inputs["tamper"].edges()  # before facegate listened
    with kept.running():
        kept.face()
        until(lambda: answered(kept))
    assert kept.names() == ["tamper_began", "grant_refused"]
    assert not kept.relay.edges


def test_an_opened_case_keeps_faces_out_until_it_is_closed():
    with Kept().running() as kept:
        kept.inputs["tamper"].drive(True)
        until(lambda: "tamper_began" in kept.names())
        kept.face()
        until(lambda: answered(kept))
        assert not kept.relay.edges
        kept.inputs["tamper"].drive(False)
        until(lambda: "tamper_ended" in kept.names())
        kept.face()
        until(lambda: kept.relay.edges)


def test_the_stores_group_decides_whose_hours_hold():
    groups = (Group(None, (DAY,), name="staff"), Group(None, (EVENING,), name="night"))
    kept = Kept(Schedule(groups=groups))
    kept.follow(frozenset({ADMIN}), frozenset(), {MEMBER: "staff", ADMIN: "night"})
    with kept.running():
        kept.face(person=ADMIN, name="Ann")
        until(lambda: "grant_refused" in kept.names())
        assert not kept.relay.edges
        kept.face()
        until(lambda: "granted" in kept.names())
        until(lambda: len(kept.relay.edges) == 2)
        kept.follow(frozenset({ADMIN}), frozenset(), {MEMBER: "night"})
        kept.face()
        until(lambda: kept.names().count("grant_refused") == 2)


def test_other_rules_and_hours_are_in_force_at_once_and_a_threat_stays_one():
    kept = Kept(Schedule(groups=(Group(None, (DAY,)),)))
    kept.follow(frozenset(), frozenset({"ben"}))
    with kept.running():
        with_pin = rules(pulse_s=PULSE_S, second_factor="pin")
        kept.keeper.obey(with_pin, Schedule(groups=(Group(None, (EVENING,)),)))
        kept.face()
        until(lambda: answered(kept))
        assert kept.names() == ["duress", "grant_refused"]
        kept.keeper.obey(with_pin, Schedule())
        kept.face()
        until(lambda: "second_factor_wanted" in kept.names())
        assert not kept.relay.edges


def test_a_relay_that_fails_is_told_to_whoever_gave_the_command():
    kept = Kept()
    kept.relay.failure = "stuck"
    ended = []

    def run():
        try:
            kept.keeper.run(threading.Event())
        except LineError as error:
            ended.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    with pytest.raises(LineError):
        kept.keeper.command(lambda door: door.command_unlock())
    thread.join(5)
    kept.keeper.close()
    assert ended


def test_a_command_given_up_is_not_done_later(monkeypatch):
    monkeypatch.setattr("facegate.doorkeeper.COMMAND_TIMEOUT_S", 0.05)
    kept = Kept()
    with pytest.raises(DaemonError, match="did not answer"):
        kept.keeper.command(lambda door: door.command_unlock())
    with kept.running():
        time.sleep(0.2)
        assert not kept.relay.edges


def test_a_command_that_is_being_carried_out_is_waited_for(monkeypatch):
    monkeypatch.setattr("facegate.doorkeeper.COMMAND_TIMEOUT_S", 0.2)

    def slow(door):
        time.sleep(0.3)
        return door.command_unlock()

    with Kept().running() as kept:
        assert [e.name for e in kept.keeper.command(slow)] == ["door_unlocked"]


def test_a_waiting_grant_is_not_pushed_out_by_strangers():
    kept = Kept()
    kept.face()
    for _ in range(40):
        kept.face(Verdict.UNKNOWN, None, None)
    with kept.running():
        until(lambda: kept.relay.edges)


def test_a_press_stamped_before_the_face_is_none():
    with Kept(second_factor="button").running() as kept:
        pressed_s, line = time.monotonic(), kept.inputs["factor_button"]
        kept.face()
        until(lambda: kept.keeper.waiting)
        line._clock = lambda: pressed_s
        line.press()
        time.sleep(0.1)
        assert not kept.relay.edges
        line._clock = time.monotonic
        line.press()
        until(lambda: kept.relay.edges)


def test_a_contact_told_late_is_judged_by_when_it_changed():
    with Kept().running() as kept:
        kept.face()
        until(lambda: kept.relay.active)
        opened_s, line = time.monotonic(), kept.inputs["contact"]
        until(lambda: not kept.relay.active)
        time.sleep(0.6)
        line._clock = lambda: opened_s
        line.drive(True)
        until(lambda: {"door_opened", "door_forced_open"} & set(kept.names()))
    assert "door_opened" in kept.names()


def test_what_is_overdue_is_about_whoever_came_before():
    def late(_door):
        time.sleep(0.3)
        return []

    with Kept(second_factor="button", second_factor_s=0.2).running() as kept:
        kept.face(person=ADMIN, name="Ann")
        until(lambda: kept.keeper.waiting)
        act = threading.Thread(target=kept.keeper.command, args=(late,))
        act.start()
        time.sleep(0.05)
        kept.face(Verdict.UNKNOWN, None, None)
        act.join(5)
        until(lambda: "second_factor_expired" in kept.names())
    (expired,) = [e for e in kept.events if e.name == "second_factor_expired"]
    assert expired.fields["person"] == ADMIN


def test_a_press_cancels_what_it_began_though_nobody_may_enrol_now():
    kept = Kept()
    kept.enroller.active = True
    with kept.running():
        kept.inputs["enrol_button"].press()
        until(lambda: kept.enroller.presses == 1)


def test_who_mistypes_often_is_asked_as_often():
    grants = UnusedGrants(time.monotonic)
    event = DoorEvent(
        "second_factor_refused", 0.0, DoorState.LOCKED, DoorState.LOCKED, "pin", "Ann"
    )
    for _ in range(5):
        grants.note(event, 1)
        assert grants.due(frozenset({1})) == [1]


def test_whose_pulse_was_cut_short_is_judged_again():
    with Kept().running() as kept:
        kept.face()
        until(lambda: kept.relay.active)
        kept.inputs["tamper"].press()
        until(lambda: "tamper_ended" in kept.names())
    kept.keeper.unused._clock = lambda: time.monotonic() + 60
    assert kept.keeper.unused.due(frozenset({1})) == [1]
