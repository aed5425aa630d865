from datetime import UTC, datetime, timedelta
from datetime import time as clock_time

from facegate import unlock_hours
from facegate.access.schedule import Schedule, Window


def test_the_clock_is_believed_once_the_networks_time_was_there(tmp_path, monkeypatch):
    mark = tmp_path / "synchronized"
    monkeypatch.setattr(unlock_hours, "SYNCHRONISED", mark)
    assert not unlock_hours.clock_synchronised()
    mark.touch()
    assert unlock_hours.clock_synchronised()


def test_hours_by_an_unsure_clock_are_told_once_each_time():
    noon, now, told = datetime(2026, 11, 24, 12, tzinfo=UTC), [], []
    hours = unlock_hours.UnlockHours(lambda: told.append(1), lambda: now[-1], lambda: False)
    schedule = Schedule(unlock=(Window(frozenset(range(7)), clock_time(8), clock_time(18)),))
    for hour in (0, 1, 8, 24, 25):
        now.append(noon + timedelta(hours=hour))
        assert not hours.hold(schedule)
    assert len(told) == 2
