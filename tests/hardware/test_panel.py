from itertools import combinations

import pytest

from facegate.errors import LineError
from facegate.hardware.fake import FakeOutput
from facegate.hardware.panel import LAMPS, PATTERNS, Panel, PanelState


@pytest.fixture
def lamps(clock):
    return {lamp: FakeOutput(lamp, clock=clock) for lamp in LAMPS}


def on(lamps):
    return {name for name, line in lamps.items() if line.active}


def play(panel, clock, seconds, step_s=0.01):
    """Tick at every deadline, as the act thread does."""
    end_s = clock.now_s + seconds
    while clock.now_s < end_s:
        panel.tick()
        clock.now_s = min(end_s, max(panel.deadline_s, clock.now_s + 1e-6))
    panel.tick()


def test_every_state_has_a_pattern_of_its_own():
    assert set(PATTERNS) == set(PanelState)
    for a, b in combinations(PanelState, 2):
        assert PATTERNS[a].steps != PATTERNS[b].steps, f"{a} looks like {b}"


@pytest.mark.parametrize("state", [s for s in PanelState if not PATTERNS[s].once])
def test_rhythms_differ_though_colours_are_not_seen(state):
    """To the colour-blind: lit and unlit times, whatever the lamp, tell the states apart."""

    def rhythm(pattern):
        return tuple((s.seconds, bool(s.on), "buzzer" in s.on) for s in pattern.steps)

    same = [s for s in PanelState if rhythm(PATTERNS[s]) == rhythm(PATTERNS[state])]
    assert same == [state]


def test_a_pattern_plays_again_and_again(clock, lamps):
    panel = Panel(lamps, clock)
    panel.show(PanelState.COME_CLOSER)
    play(panel, clock, 10.0)
    edges = [(round(e.at_s, 3), e.active) for e in lamps["blue"].edges]
    assert edges == [(k / 2, k % 2 == 0) for k in range(21)]


def test_a_grant_is_shown_once_and_what_was_before_comes_back(clock, lamps):
    panel = Panel(lamps, clock)
    panel.show(PanelState.LOOKING)
    panel.show(PanelState.GRANTED)
    panel.tick()
    assert on(lamps) == {"green", "buzzer"}
    play(panel, clock, 1.9)
    assert on(lamps) == {"green"}
    play(panel, clock, 0.2)
    assert on(lamps) == {"blue"}


def test_saying_the_same_again_does_not_begin_anew(clock, lamps):
    panel = Panel(lamps, clock)
    for _ in range(100):
        panel.show(PanelState.COME_CLOSER)
        play(panel, clock, 0.05)
    assert len(lamps["blue"].edges) in (10, 11)  # rounding at the very last change


def test_lamps_that_are_not_wired_are_no_matter(clock):
    panel = Panel({}, clock)
    panel.show(PanelState.GRANTED)
    panel.tick()
    assert panel.deadline_s is None


def test_a_broken_lamp_is_told(clock, lamps):
    lamps["blue"].failure = "no such device"
    panel = Panel(lamps, clock)
    panel.show(PanelState.LOOKING)
    with pytest.raises(LineError, match="no such device"):
        panel.tick()


def test_whoever_asks_for_the_state_changes_nothing(clock, lamps):
    """Other threads ask while the act thread is in the middle of playing."""
    panel = Panel(lamps, clock)
    panel.show(PanelState.GRANTED)
    asked = []

    def ticking():
        now_s = clock()
        if not asked:
            asked.append(now_s)
            clock.now_s += 5.0  # the pattern is over for whoever asks meanwhile
            assert panel.state is PanelState.IDLE
            clock.now_s -= 5.0
        return now_s

    panel._clock = ticking
    panel.tick()
    assert panel.state is PanelState.GRANTED
