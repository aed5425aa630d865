"""Until when somebody may come in."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from facegate.access.passes import check_end, ended, read_end, said
from facegate.errors import InputError

ZURICH = ZoneInfo("Europe/Zurich")
NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)


def test_the_last_day_counts_whole_by_the_doors_own_clock():
    end = read_end("2026-12-31", ZURICH, NOW)
    assert end == datetime(2026, 12, 31, 23, 0, tzinfo=UTC).timestamp()
    assert not ended(end, datetime(2026, 12, 31, 22, 59, 59, tzinfo=UTC))
    assert ended(end, datetime(2026, 12, 31, 23, 0, tzinfo=UTC))


@pytest.mark.parametrize(
    ("typed", "end"),
    [
        ("2026-12-31T17:00", datetime(2026, 12, 31, 16, 0, tzinfo=UTC)),
        ("2026-07-01 08:30", datetime(2026, 7, 1, 6, 30, tzinfo=UTC)),
        ("2026-12-31T17:00+00:00", datetime(2026, 12, 31, 17, 0, tzinfo=UTC)),
        ("now", NOW),
        ("NOW ", NOW),
    ],
)
def test_a_moment_is_read(typed, end):
    assert read_end(typed, ZURICH, NOW) == end.timestamp()


def test_nothing_is_no_end():
    assert read_end("", ZURICH, NOW) is None
    assert not ended(None, datetime.max.replace(tzinfo=UTC))


@pytest.mark.parametrize("typed", ["tomorrow", "2026-13-01", "31.12.2026", "9999-12-31", "-1", "0"])
def test_what_is_no_day_is_said(typed):
    with pytest.raises(InputError, match="no day; write 2026-12-31"):
        read_end(typed, UTC, NOW)


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -1.0, 1e300])
def test_a_number_that_is_no_moment_is_refused(seconds):
    with pytest.raises(InputError, match="no moment"):
        check_end(seconds)


def test_every_end_that_can_be_typed_is_kept():
    assert check_end(read_end("9000-12-31T23:59", UTC, NOW)) is not None
    assert check_end(0.0) == 0.0


def test_with_a_clock_that_was_never_set_a_pass_with_an_end_has_ended():
    unset = datetime(1970, 1, 1, 1, 0, tzinfo=UTC)
    assert ended(NOW.timestamp(), unset)
    assert not ended(None, unset)
    assert not ended((NOW + timedelta(days=1)).timestamp(), NOW)


@pytest.mark.parametrize("typed", ["2026-12-31", "2026-12-31 17:00"])
def test_an_end_is_told_as_it_was_typed(typed):
    assert said(read_end(typed, ZURICH, NOW), ZURICH) == typed
    assert said(None, ZURICH) == "none"
