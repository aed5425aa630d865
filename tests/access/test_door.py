import pytest
from hypothesis import given
from hypothesis import strategies as st

from facegate.access.door import MAX_PULSE_S, Door, DoorState, Outcome
from facegate.types import Decision, Verdict


class Clock:
    def __init__(self):
        self.now_s = 100.0

    def __call__(self):
        return self.now_s


class Relay:
    def __init__(self):
        self.levels = []

    def set(self, active):
        self.levels.append(active)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def relay():
    return Relay()


@pytest.fixture
def door(relay, clock):
    return Door(relay, pulse_s=4.0, max_decision_age_s=2.0, clock=clock)


def decision(verdict=Verdict.GRANT, at_s=100.0):
    return Decision(verdict, "match", 1, 1, "Ann", 0.5, 0.9, at_s, 1, at_s)


def test_a_fresh_grant_unlocks_for_the_pulse(door, relay, clock):
    assert door.apply(decision()) is Outcome.UNLOCKED
    clock.now_s += 3.99
    assert not door.tick()
    clock.now_s += 0.01
    assert door.tick()
    assert relay.levels == [True, False]
    assert door.state is DoorState.LOCKED


@pytest.mark.parametrize("verdict", [v for v in Verdict if v is not Verdict.GRANT])
def test_nothing_but_a_grant_moves_the_relay(door, relay, verdict):
    assert door.apply(decision(verdict)) is Outcome.NOTHING
    assert relay.levels == []


@pytest.mark.parametrize("age_s", [2.01, 60.0, -0.5])
def test_a_stale_grant_or_one_from_the_future_does_not_open(door, relay, age_s):
    assert door.apply(decision(at_s=100.0 - age_s)) is Outcome.TOO_OLD
    assert relay.levels == []


def test_a_second_grant_prolongs_without_an_edge(door, relay, clock):
    door.apply(decision())
    clock.now_s += 2
    assert door.apply(decision(at_s=102.0)) is Outcome.PROLONGED
    clock.now_s += 3.9
    assert not door.tick()
    clock.now_s += 0.2
    assert door.tick()
    assert relay.levels == [True, False]


def test_locking_is_always_possible(door, relay):
    door.lock()
    door.apply(decision())
    door.lock()
    assert relay.levels[-1] is False
    assert door.deadline_s is None


@pytest.mark.parametrize("pulse_s", [0, -1, 31])
def test_an_impossible_pulse_is_refused(relay, clock, pulse_s):
    with pytest.raises(ValueError, match="pulse_s"):
        Door(relay, pulse_s, 2.0, clock)


def test_a_relay_that_fails_is_released_at_the_next_tick(clock):
    class Failing(Relay):
        def set(self, active):
            super().set(active)
            if active:
                raise OSError("stuck")

    relay = Failing()
    door = Door(relay, 4.0, 2.0, clock)
    with pytest.raises(OSError, match="stuck"):
        door.apply(decision())
    clock.now_s += 4
    assert door.tick()
    assert relay.levels[-1] is False


@given(
    st.lists(st.tuples(st.sampled_from(["grant", "deny", "tick"]), st.floats(0, 5)), max_size=60)
)
def test_the_strike_is_never_released_longer_than_the_maximum(steps):
    clock, relay = Clock(), Relay()
    door = Door(relay, 4.0, 2.0, clock)
    unlocked_at_s = None
    for action, wait_s in steps:
        until_s = clock.now_s + wait_s
        while door.deadline_s is not None and door.deadline_s <= until_s:
            clock.now_s = max(clock.now_s, door.deadline_s)
            door.tick()
        clock.now_s = until_s
        before = door.state
        if action == "tick":
            door.tick()
        else:
            verdict = Verdict.GRANT if action == "grant" else Verdict.DENY
            door.apply(decision(verdict, clock.now_s))
        if before is DoorState.LOCKED and door.state is DoorState.UNLOCKED:
            assert action == "grant"
            unlocked_at_s = clock.now_s
        if door.state is DoorState.UNLOCKED:
            assert clock.now_s - unlocked_at_s <= MAX_PULSE_S
            assert door.deadline_s - unlocked_at_s <= MAX_PULSE_S
