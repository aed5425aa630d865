"""Until when somebody may come in."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from facegate.access.passes import barred, check_end, read_end, said
from facegate.errors import InputError

ZURICH = ZoneInfo("Europe/Zurich")
NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)


def test_the_last_day_counts_whole_by_the_doors_own_clock():
    end = read_end("2026-12-31", ZURICH)
    assert end == datetime(2026, 12, 31, 23, 0, tzinfo=UTC).timestamp()
    assert barred(end, datetime(2026, 12, 31, 22, 59, 59, tzinfo=UTC), True) is None
    assert barred(end, datetime(2026, 12, 31, 23, 0, tzinfo=UTC), True) == "pass_ended"


@pytest.mark.parametrize(
    ("typed", "end"),
    [
        ("2026-12-31T17:00", datetime(2026, 12, 31, 16, 0, tzinfo=UTC)),
        ("2026-07-01 08:30", datetime(2026, 7, 1, 6, 30, tzinfo=UTC)),
        ("2026-12-31T17:00+00:00", datetime(2026, 12, 31, 17, 0, tzinfo=UTC)),
        ("2026-12-31T17:00Z", datetime(2026, 12, 31, 17, 0, tzinfo=UTC)),
    ],
)
def test_a_moment_is_read(typed, end):
    assert read_end(typed, ZURICH) == end.timestamp()


def test_never_is_no_end():
    assert read_end("Never", ZURICH) is None
    assert barred(None, datetime(1970, 1, 2, tzinfo=UTC), False) is None


def test_now_blocks_whatever_the_clock_says():
    for at in (datetime(1970, 1, 1, tzinfo=UTC), NOW):
        for sure in (True, False):
            assert barred(read_end("NOW ", ZURICH), at, sure) == "blocked"


@pytest.mark.parametrize(
    "typed",
    ["", " ", "tomorrow", "2026-13-01", "31.12.2026", "9999-12-31", "1969-12-31", "-1", "0"],
)
def test_what_is_no_end_is_said(typed):
    with pytest.raises(InputError, match="no end of a pass; write 2026-12-31"):
        read_end(typed, UTC)


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -1.0, 1e300])
def test_a_number_that_is_no_moment_is_refused(seconds):
    with pytest.raises(InputError, match="no moment"):
        check_end(seconds)


@pytest.mark.parametrize("typed", ["9000-12-30T23:59", "1971-01-01", "now", "never"])
def test_every_end_that_can_be_typed_is_kept(typed):
    end = read_end(typed, UTC)
    assert check_end(end) == end


def test_a_clock_that_may_be_behind_lets_nobody_in_whose_pass_has_an_end():
    end = (NOW + timedelta(days=1)).timestamp()
    assert barred(end, NOW, True) is None
    assert barred(end, NOW, False) == "pass_unsure"
    assert barred(end, datetime(1970, 1, 1, 1, 0, tzinfo=UTC), True) == "pass_unsure"
    assert barred(NOW.timestamp(), NOW, False) == "pass_ended"


@pytest.mark.parametrize("typed", ["2026-12-31", "2026-12-31 17:00", "now", "never"])
def test_an_end_is_told_as_it_was_typed(typed):
    assert said(read_end(typed, ZURICH), ZURICH) == typed


def test_a_day_after_which_no_midnight_comes_is_told_as_it_was_typed():
    cairo = ZoneInfo("Africa/Cairo")  # at midnight of 24 April 2026 the clocks go to one
    assert said(read_end("2026-04-23", cairo), cairo) == "2026-04-23"
