from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facegate.access.schedule import CLOCK_UNSET_BEFORE, Group, Schedule, Window

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = [ZoneInfo(z) for z in ("Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "UTC")]
WORKDAYS = frozenset(range(5))
ALL_DAYS = frozenset(range(7))
OFFICE = Window(WORKDAYS, time(8), time(18))
NIGHT = Window(WORKDAYS, time(22), time(6))

CHANGES = [  # of the clocks in those zones, in UTC
    datetime(2027, 3, 28, 1), datetime(2027, 10, 31, 1),
    datetime(2027, 3, 14, 5, 30), datetime(2027, 11, 7, 4, 30),
    datetime(2027, 4, 3, 15), datetime(2027, 10, 2, 15, 30),
]  # fmt: skip
near_changes = st.builds(
    lambda change, minutes: (change + timedelta(minutes=minutes)).replace(tzinfo=UTC),
    st.sampled_from(CHANGES),
    st.integers(-240, 240),
)
moments = near_changes | st.datetimes(
    datetime(2026, 1, 2), datetime(2030, 1, 1), timezones=st.just(UTC)
)
times = st.times().map(lambda t: t.replace(second=0, microsecond=0))
windows = st.builds(Window, st.frozensets(st.integers(0, 6)), times, times)


def berlin(*when, fold=0):
    return datetime(*when, tzinfo=BERLIN, fold=fold)


def staff(*windows, **more):
    return Schedule(BERLIN, groups=(Group(frozenset({"ann"}), windows, **more),))


def test_without_groups_everybody_may_come_at_all_times():
    assert Schedule().admits("Ann", berlin(2027, 1, 1))
    assert Schedule().admits("Ann", datetime(1970, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("when", "may"),
    [
        ((2027, 3, 1, 8, 0), True),  # a Monday
        ((2027, 3, 1, 7, 59, 59), False),
        ((2027, 3, 1, 17, 59, 59), True),
        ((2027, 3, 1, 18, 0), False),
        ((2027, 3, 6, 12, 0), False),
    ],
)
def test_hours_begin_and_end_on_the_minute(when, may):
    assert staff(OFFICE).admits("ANN", berlin(*when)) is may


def test_who_is_in_no_group_stays_out():
    assert not staff(OFFICE).admits("Ben", berlin(2027, 3, 1, 12))
    everybody = Schedule(BERLIN, groups=(Group(None, (OFFICE,)),))
    assert everybody.admits("Ben", berlin(2027, 3, 1, 12))


def test_one_of_several_groups_is_enough():
    both = Schedule(
        BERLIN,
        groups=(Group(None, (OFFICE,)), Group(frozenset({"ann"}))),
    )
    night = berlin(2027, 3, 1, 3)
    assert both.admits("Ann", night)
    assert not both.admits("Ben", night)


def test_a_night_shift_belongs_to_the_day_it_begins_on():
    shift = staff(NIGHT)
    assert shift.admits("Ann", berlin(2027, 3, 6, 5, 59)), "Friday's, on Saturday morning"
    assert not shift.admits("Ann", berlin(2027, 3, 6, 6, 0))
    assert not shift.admits("Ann", berlin(2027, 3, 1, 5, 59)), "Sunday has none"


def test_holidays_close_groups_that_do_not_work_on_them():
    holiday = berlin(2027, 12, 24, 12)
    closed = frozenset({date(2027, 12, 24)})
    for works in (True, False):
        for hours in ((OFFICE,), ()):
            schedule = Schedule(BERLIN, closed, (Group(None, hours, works),), (OFFICE,))
            assert schedule.admits("Ann", holiday) is works
            assert not schedule.unlocked(holiday)
    assert schedule.admits("Ann", berlin(2027, 12, 23, 12))


def test_a_holiday_is_one_of_the_doors_own_zone():
    closed = Schedule(BERLIN, frozenset({date(2027, 12, 24)}), (Group(),))
    assert not closed.admits("Ann", datetime(2027, 12, 23, 23, 30, tzinfo=UTC))
    assert closed.admits("Ann", datetime(2027, 12, 24, 23, 30, tzinfo=UTC))


def test_no_hours_hold_while_the_clock_is_not_set():
    always = Window(ALL_DAYS, time(0), time(0))
    schedule = Schedule(UTC, groups=(Group(None, (always,)),), unlock=(always,))
    for at, holds in (
        (CLOCK_UNSET_BEFORE - timedelta(seconds=1), False),
        (CLOCK_UNSET_BEFORE, True),
    ):
        assert schedule.admits("Ann", at) is holds
        assert schedule.unlocked(at) is holds


# 28 March 2027: 2:00 becomes 3:00. 31 October 2027: 3:00 becomes 2:00.


def count_minutes(window, day):
    schedule = Schedule(BERLIN, unlock=(window,))
    first = datetime(*day, tzinfo=BERLIN).astimezone(UTC) - timedelta(hours=3)
    return sum(schedule.unlocked(first + timedelta(minutes=m)) for m in range(30 * 60))


@pytest.mark.parametrize(
    ("start", "end", "day", "minutes"),
    [
        (time(1, 30), time(3, 30), (2027, 3, 28), 60),
        (time(2, 10), time(2, 50), (2027, 3, 28), 0),
        (time(1, 30), time(3, 30), (2027, 10, 31), 180),
        (time(2, 10), time(2, 50), (2027, 10, 31), 80),
        (time(8), time(18), (2027, 3, 28), 600),
    ],
)
def test_hours_when_the_clocks_change(start, end, day, minutes):
    sunday = Window(frozenset({6}), start, end)
    assert count_minutes(sunday, day) == minutes


def test_an_evening_end_is_the_walls_in_summer_and_winter():
    schedule = Schedule(BERLIN, unlock=(OFFICE,))
    assert schedule.unlocked(datetime(2027, 3, 26, 16, 59, tzinfo=UTC)), "winter: UTC+1"
    assert not schedule.unlocked(datetime(2027, 3, 29, 16, 0, tzinfo=UTC)), "summer: UTC+2"


@given(moments, windows, st.sampled_from(ZONES))
def test_a_window_holds_exactly_when_the_wall_shows_its_hours(at, window, zone):
    wall = at.astimezone(zone)
    now, today, yesterday = wall.time(), wall.weekday(), (wall.weekday() - 1) % 7
    if window.start < window.end:
        expected = today in window.days and window.start <= now < window.end
    else:
        expected = (today in window.days and now >= window.start) or (
            yesterday in window.days and now < window.end
        )
    assert Schedule(zone, unlock=(window,)).unlocked(at) is expected


@given(moments, st.frozensets(st.integers(0, 6)), times, st.sampled_from(ZONES))
def test_a_whole_day_and_its_complement_leave_no_gap(at, days, start, zone):
    """Also in the nights when the clocks change."""
    here = Schedule(zone, unlock=(Window(days, start, start),))
    there = Schedule(zone, unlock=(Window(ALL_DAYS - days, start, start),))
    assert here.unlocked(at) is not there.unlocked(at)


@given(moments, windows, st.sampled_from(ZONES), st.sampled_from(ZONES))
def test_the_zone_of_the_question_makes_no_difference(at, window, zone, asked):
    schedule = Schedule(zone, unlock=(window,))
    assert schedule.unlocked(at) is schedule.unlocked(at.astimezone(asked))


@given(moments, windows, st.sampled_from(ZONES))
def test_a_person_of_a_group_with_those_hours_is_admitted_just_then(at, window, zone):
    schedule = Schedule(zone, groups=(Group(frozenset({"ann"}), (window,)),), unlock=(window,))
    assert schedule.admits("Ann", at) is schedule.unlocked(at)


def test_a_named_group_holds_for_whom_the_store_puts_into_it():
    always = Window(frozenset(range(7)), time(0), time(0))
    staff = Group(None, (always,), name="staff")
    both = Group(frozenset({"ann"}), (always,), name="staff")
    at = datetime(2027, 6, 1, 12, tzinfo=UTC)
    for groups, name, group, admitted in (
        ((staff,), "Ann", "Staff", True),
        ((staff,), "Ann", None, False),
        ((staff,), "Ann", "night", False),
        ((both,), "Ann", None, True),
        ((both,), "Ben", "staff", True),
        ((both,), "Ben", "night", False),
        ((), "Ben", None, True),
    ):
        assert Schedule(UTC, groups=groups).admits(name, at, group) == admitted, (name, group)


def test_a_group_without_hours_waits_for_the_clock_where_holidays_close_it():
    before = CLOCK_UNSET_BEFORE - timedelta(days=1)
    holiday = frozenset({date(2027, 1, 1)})
    assert not Schedule(ZoneInfo("UTC"), holiday, (Group(),)).admits("Ann", before)
    assert Schedule(ZoneInfo("UTC"), holiday, (Group(),)).admits("Ann", CLOCK_UNSET_BEFORE)


@pytest.mark.parametrize(
    ("groups", "holidays", "by_clock"),
    [
        ((), (), False),
        ((), (date(2026, 12, 25),), False),
        ((Group(),), (), False),
        ((Group(),), (date(2026, 12, 25),), True),
        ((Group(holidays=True),), (date(2026, 12, 25),), False),
        ((Group(windows=(OFFICE,)),), (), True),
        ((Group(windows=(OFFICE,)), Group(frozenset({"ann"}))), (), False),
        ((Group(windows=(OFFICE,)), Group(frozenset({"ben"}))), (), True),
    ],
)
def test_who_is_admitted_at_all_times_needs_no_clock(groups, holidays, by_clock):
    schedule = Schedule(BERLIN, frozenset(holidays), groups)
    assert schedule.by_clock("Ann") is by_clock
    if not by_clock:
        for hour in range(0, 24 * 400, 5):
            assert schedule.admits("Ann", datetime(2026, 1, 2, tzinfo=UTC) + timedelta(hours=hour))
