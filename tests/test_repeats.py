"""What stands before the camera for an hour is not written for an hour."""

import threading
from typing import get_args

import pytest

from facegate.events import EVENTS, EventName
from facegate.journal import Event, Journal
from facegate.repeats import KINDS, MOST_KINDS, WINDOW_S, Repeats


@pytest.fixture
def said():
    return []


@pytest.fixture
def repeats(said, clock):
    return Repeats(said.append, clock=clock)


def names(said):
    return [e.name for e in said]


def test_an_hour_before_the_door_is_seven_lines(said, clock, repeats):
    for second in range(3601):
        clock.now_s = float(second)
        for _ in range(15):
            repeats(Event("unknown", "nobody looks like this", {"reason": "no_match", "track": 1}))
    assert names(said) == ["unknown"] + ["repeated"] * 6
    counts = [e.fields["times"] for e in said[1:]]
    repeats.settle(at_end=True)
    assert sum(counts) + said[-1].fields["times"] + 1 == 3601 * 15
    assert said[1].message == f"unknown {counts[0]} times more in 10 minutes; the last: " + (
        "nobody looks like this"
    )
    assert said[1].fields["repeated"] == "unknown"
    assert said[1].fields["within_s"] == WINDOW_S


def test_the_count_is_said_though_nothing_else_happens(said, clock, repeats):
    for _ in range(3):
        repeats(Event("unknown", "x"))
    clock.now_s = WINDOW_S - 1
    repeats.settle()
    assert names(said) == ["unknown"]
    clock.now_s = WINDOW_S
    repeats.settle()
    assert names(said) == ["unknown", "repeated"]
    clock.now_s = 10 * WINDOW_S
    repeats.settle()
    assert names(said) == ["unknown", "repeated"]


def test_after_a_pause_the_first_is_said_at_once_again(said, clock, repeats):
    repeats(Event("unknown", "x"))
    clock.now_s = WINDOW_S
    repeats(Event("unknown", "x"))
    assert names(said) == ["unknown", "unknown"]


def test_another_person_reason_or_face_is_another_thing(said, repeats):
    for person, reason in ((1, "hours"), (2, "hours"), (1, "lockdown"), (1, "hours")):
        repeats(Event("grant_refused", "x", {"person": person, "reason": reason}))
    repeats(Event("face_refused", "x", {"reasons": "too_dark"}))
    repeats(Event("face_refused", "x", {"reasons": "too_small"}))
    assert names(said) == ["grant_refused"] * 3 + ["face_refused"] * 2


def test_a_keypad_hears_of_every_visit(said, repeats):
    for track in (1, 1, 2, 3, 3):
        repeats(Event("second_factor_wanted", "x", {"person": 1, "track": track}))
    assert names(said) == ["second_factor_wanted"] * 3


def test_a_count_names_the_person_by_number(said, repeats):
    for _ in range(4):
        repeats(Event("denied", "x", {"person": 7, "distance": 0.5}))
    repeats.settle(at_end=True)
    assert said[-1].fields == {"person": 7, "repeated": "denied", "times": 3, "within_s": 0.0}


def test_too_near_to_a_third_person_is_another_thing(said, repeats):
    for other in (2, 2, 3):
        repeats(Event("denied", "x", {"person": 1, "runner_up": other}))
    assert names(said) == ["denied"] * 2


@pytest.mark.parametrize("name", sorted(set(get_args(EventName)) - set(KINDS)))
def test_nothing_else_is_ever_held_back(said, repeats, name):
    for _ in range(50):
        repeats(Event(name, "x", {"person": 1}))
    assert len(said) == 50


def test_nothing_urgent_may_be_held_back():
    urgent = {n for n, kind in EVENTS.items() if kind.priority <= 3}
    door = {n for n in EVENTS if n.startswith(("door_", "tamper_", "lock"))}
    for never in (urgent, door, {"granted", "duress", "enrolled", "commanded"}):
        assert not never & set(KINDS)


def test_kinds_without_end_take_no_memory_without_end(said, repeats):
    for person in range(5000):
        repeats(Event("denied", "x", {"person": person}))
    assert len(repeats._counts) == MOST_KINDS
    assert len(said) == 5000


def test_what_is_written_to_the_audit_trail_is_not_held_back(said, clock):
    recorded = []
    journal = Journal(Repeats(said.append, clock=clock), recorded.append)
    for _ in range(10):
        journal.emit("denied", "x", person=1)
    journal.settle(at_end=True)
    assert names(said) == ["denied", "repeated"]
    assert names(recorded) == ["denied"] * 10


def test_threads_lose_no_count(said, clock, repeats):
    def shout():
        for _ in range(500):
            repeats(Event("unknown", "x"))
            repeats.settle()

    threads = [threading.Thread(target=shout) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    repeats.settle(at_end=True)
    assert said[-1].fields["times"] == 1999


def test_the_count_tells_the_last_of_them(clock):
    """Who reads the line wants to know what is so now, not ten minutes ago."""
    said = []
    repeats = Repeats(said.append, 600.0, clock)
    for number in range(3):
        repeats(Event("unknown", f"look {number}", {"reason": "nobody"}))
    clock.now_s = 600.0
    repeats.settle()
    assert [e.name for e in said] == ["unknown", "repeated"]
    assert said[1].message.endswith("the last: look 2")
    assert said[1].fields["times"] == 2
