import threading

import pytest

from facegate.errors import LineError
from facegate.hardware.fake import Edge, FakeInput, FakeOutput
from facegate.hardware.lines import wait_for_edges


@pytest.fixture
def line():
    times = iter(range(100))
    return FakeOutput("relay", clock=lambda: float(next(times)))


def test_only_changes_are_edges(line):
    for active in (False, True, True, False, False):
        line.set(active)
    assert line.edges == [Edge(0.0, True), Edge(1.0, False)]


def test_closing_makes_it_inactive_and_is_final(line):
    with line:
        line.set(True)
    assert not line.active
    assert line.edges[-1] == Edge(1.0, False)
    line.close()
    assert len(line.edges) == 2
    with pytest.raises(LineError, match="relay: the line is closed"):
        line.set(True)


def test_it_can_be_told_to_fail(line):
    line.failure = "cannot be driven: Input/output error"
    with pytest.raises(LineError, match="relay: cannot be driven: Input/output error"):
        line.set(True)
    assert not line.active
    line.failure = None
    line.set(True)
    assert line.active


@pytest.mark.parametrize("active_low", [False, True])
def test_the_wiring_decides_which_level_is_active(active_low):
    line = FakeOutput("relay", active_low)
    assert line.high is active_low
    line.set(True)
    assert line.high is not active_low


@pytest.fixture
def button():
    times = iter(range(100))
    with FakeInput("button", clock=lambda: float(next(times))) as line:
        yield line


def test_an_input_keeps_its_edges_until_they_are_taken(button):
    for active in (False, True, True, False):
        button.drive(active)
    assert wait_for_edges({"button": button}, 0.0) == [
        ("button", Edge(0.0, True)),
        ("button", Edge(1.0, False)),
    ]
    assert wait_for_edges({"button": button}, 0.0) == []
    assert not button.read()


def test_an_edge_wakes_who_waits(button):
    timer = threading.Timer(0.05, button.drive, [True])
    timer.start()
    assert wait_for_edges({"button": button}, 10.0) == [("button", Edge(0.0, True))]
    timer.join()


def test_edges_of_several_lines_come_in_the_order_they_happened():
    now_s = 0.0
    with FakeInput("a", lambda: now_s) as a, FakeInput("b", lambda: now_s) as b:
        for line, active in ((b, True), (a, True), (b, False)):
            now_s += 1
            line.drive(active)
        found = wait_for_edges({"a": a, "b": b}, 0.0)
    assert [(name, edge.at_s) for name, edge in found] == [("b", 1.0), ("a", 2.0), ("b", 3.0)]


def test_an_input_raises_what_a_real_one_does(button):
    button.failure = "cannot be read: Input/output error"
    for use in (button.read, button.edges, button.fileno):
        with pytest.raises(LineError, match="button: cannot be read: Input/output error"):
            use()
    button.failure = None
    button.close()
    button.close()
    button.drive(True)
    with pytest.raises(LineError, match="button: the line is closed"):
        button.read()
