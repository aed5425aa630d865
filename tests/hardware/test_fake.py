import pytest

from facegate.errors import LineError
from facegate.hardware.fake import Edge, FakeOutput


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
