"""Every setting reaches the part that it is about, none of them at its default."""

from dataclasses import asdict
from datetime import UTC, date, datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from facegate import parts, settings
from facegate.access.audit import AuditTrail, Limits, read
from facegate.access.enrolment import EnrolmentSettings
from facegate.access.policy import PolicySettings
from facegate.access.schedule import Group, Window
from facegate.closing import Closing
from facegate.config import Config, parse_config
from facegate.vision.card import read_card

DAY_S = 86_400.0
MONDAY = datetime(2026, 12, 21, 10, tzinfo=UTC)
CHRISTMAS = datetime(2026, 12, 25, 10, tzinfo=UTC)

DOOR = {
    "pulse_s": 7.0,
    "max_decision_age_s": 1.5,
    "relock_on_close": False,
    "held_open_warning_s": 11.0,
    "held_open_alarm_s": 12.0,
    "second_factor": "pin",
    "second_factor_s": 13.0,
    "lockout_attempts": 14,
    "lockout_within_s": 15.0,
    "lockout_s": 16.0,
}
QUALITY = {
    "min_size_px": 51.0,
    "min_sharpness": 7.0,
    "min_brightness": 26.0,
    "max_brightness": 230.0,
    "max_yaw": 0.3,
    "max_roll_deg": 30.0,
}
CAMERA = {
    "width_px": 1280,
    "height_px": 720,
    "small_width_px": 640,
    "small_height_px": 360,
    "fps": 10.0,
    "focus_m": 1.5,
    "rotation": 90,
    "pacing": "fast",
    "loop": True,
}
# Each line differs from every other in all that can differ, so that none is taken for another.
INPUTS = {
    "exit_button": {"line": "GPIO5", "active_low": False, "bias": "none", "debounce_s": 0.01},
    "contact": {"line": "GPIO6", "active_low": True, "bias": "pull-down", "debounce_s": 0.03},
    "tamper": {"line": "GPIO13", "active_low": False, "bias": "pull-up", "debounce_s": 0.04},
    "factor_button": {"line": "GPIO19", "active_low": True, "bias": "none", "debounce_s": 0.05},
}
ENROL_BUTTON = {"line": "GPIO26", "active_low": False, "bias": "pull-down", "debounce_s": 0.06}
LAMPS = {
    "green": {"line": 20, "active_low": True},
    "red": {"line": 21, "active_low": False},
    "blue": {"line": 22, "active_low": True},
    "buzzer": {"line": 23, "active_low": False},
}


def config(**sections):
    return parse_config(sections, "test")


@pytest.fixture
def card():
    return read_card(parts.embedder_path(Config()), "embedder")


def test_none_of_these_settings_is_at_its_default():
    for section, given in (("door", DOOR), ("quality", QUALITY), ("camera", CAMERA)):
        usual = getattr(Config(), section)
        assert [n for n, value in given.items() if getattr(usual, n) == value] == []


def test_the_doors_rules():
    wanted = {**DOOR, "duress": frozenset()}
    assert asdict(parts.door_settings(config(door=DOOR))) == wanted


def test_the_hours():
    night = {"days": ["fri", "sat"], "start": "18:00", "end": "08:00"}
    day = {"days": ["mon"], "start": "09:30", "end": "10:30"}
    hours = {
        "time_zone": "Europe/Zurich",
        "battery_clock": True,
        "holidays": [date(2026, 12, 25), date(2027, 1, 1)],
        "groups": [
            {"people": ["Ann Élan", "BEN"], "windows": [day, night]},
            {"name": "Night Watch", "holidays": True},
        ],
        "unlock": [night],
    }
    found = parts.schedule(config(schedule=hours))
    nights = Window(frozenset({4, 5}), time(18), time(8))
    days = Window(frozenset({0}), time(9, 30), time(10, 30))
    assert found.zone.key == "Europe/Zurich"
    assert found.battery_clock
    assert found.holidays == {date(2026, 12, 25), date(2027, 1, 1)}
    assert found.groups == (
        Group(frozenset({"ann élan", "ben"}), (days, nights), False, None),
        Group(None, (), True, "night watch"),
    )
    assert found.unlock == (nights,)


def test_whom_the_hours_admit_and_on_which_days():
    everyday = [{"days": ["mon", "fri"], "start": "00:00", "end": "00:00"}]
    hours = {
        "time_zone": "UTC",
        "holidays": [CHRISTMAS.date()],
        "groups": [
            {"people": ["Ann"], "windows": everyday},
            {"people": ["Ben"], "windows": everyday, "holidays": True},
            {"name": "night watch", "windows": everyday},
        ],
        "unlock": everyday,
    }
    found = parts.schedule(config(schedule=hours))
    admitted = {
        (who, day.day): found.admits(who, day, group)
        for who, group in (("ann", None), ("BEN", None), ("Cleo", None), ("Dan", "Night Watch"))
        for day in (MONDAY, CHRISTMAS)
    }
    assert {who for who, yes in admitted.items() if yes} == {
        ("ann", 21),
        ("BEN", 21),
        ("BEN", 25),
        ("Dan", 21),
    }
    assert found.unlocked(MONDAY)
    assert not found.unlocked(CHRISTMAS)


def test_the_system_tells_the_time_zone_where_the_settings_do_not(monkeypatch, tmp_path):
    zurich = Path("/usr/share/zoneinfo/Europe/Zurich")
    if not zurich.exists():
        pytest.skip("this machine has no time zones")
    monkeypatch.setattr(settings, "LOCAL_TIME", zurich)
    at = datetime(2026, 7, 1)
    assert parts.schedule(Config()).zone.utcoffset(at) == ZoneInfo("Europe/Zurich").utcoffset(at)
    monkeypatch.setattr(settings, "LOCAL_TIME", tmp_path / "none")
    assert parts.schedule(Config()).zone is UTC


class Claimed(Closing):
    """A line that says only how it was claimed."""

    def __init__(self, *how):
        self.how = how

    def close(self):
        pass


def test_every_line_is_claimed_as_it_is_wired(monkeypatch):
    monkeypatch.setattr(parts, "GpiodInput", Claimed)
    monkeypatch.setattr(parts, "GpiodOutput", Claimed)
    wired = config(
        gpio={"chip": "pinctrl-rp1"},
        door={"relay": {"line": "GPIO4", "active_low": True}, **INPUTS},
        panel={"button": ENROL_BUTTON, **LAMPS},
    )
    lines = parts.lines_from(wired)
    assert lines.relay.how == ("pinctrl-rp1", "GPIO4", True)
    assert {name: line.how for name, line in lines.inputs.items()} == {
        name: ("pinctrl-rp1", *how.values())
        for name, how in {**INPUTS, "enrol_button": ENROL_BUTTON}.items()
    }
    assert {name: line.how for name, line in lines.lamps.items()} == {
        name: ("pinctrl-rp1", *how.values()) for name, how in LAMPS.items()
    }


def test_what_is_not_wired_is_not_claimed(monkeypatch):
    monkeypatch.setattr(parts, "GpiodInput", Claimed)
    monkeypatch.setattr(parts, "GpiodOutput", Claimed)
    lines = parts.lines_from(config(door={"contact": INPUTS["contact"]}))
    assert set(lines.inputs) == {"contact"}
    assert lines.lamps == {}


def test_the_fake_driver_has_every_line_at_the_level_of_its_wiring():
    fake = config(gpio={"driver": "fake"}, panel={"red": {"active_low": True}})
    with parts.lines_from(fake) as lines:
        assert set(lines.inputs) == {*INPUTS, "enrol_button"}
        assert {name: lamp.high for name, lamp in lines.lamps.items()} == {
            "green": False,
            "red": True,
            "blue": False,
            "buzzer": False,
        }


def test_when_a_face_is_a_person(card):
    access = {"threshold": 0.7, "min_margin": 0.06, "votes_needed": 2, "votes_of": 4}
    calibration = parts.calibration_of(card)
    found = parts.policy_settings(config(access=access), calibration, 3)
    assert found == PolicySettings(0.7, 0.06, 2, 4)
    by_rate = config(access={"target_fmr": 0.01})
    assert parts.threshold_for(by_rate, calibration, 3) == calibration.threshold(0.01, 3)


def test_which_faces_are_good_enough(card):
    shares = {"shortest_refused": 0.05, "covered_refused": 0.04}
    limits = parts.quality_limits(config(quality={**QUALITY, **shares}), card)
    assert {name: getattr(limits, name) for name in QUALITY} == QUALITY
    assert limits.min_length == card.lengths.below(0.05)
    assert limits.coverage.limits.tolist() == card.coverage.limits(0.04).tolist()


def test_which_faces_are_found():
    class Detector:
        def detect(self, pixels):
            asked.append(pixels.shape)
            return []

    asked = []
    strict = config(detection={"min_score": 0.9, "tiles": 2})
    finder = parts.finder_of(strict, Detector(), None)
    finder.detect(np.zeros((100, 100, 3), np.uint8))
    assert finder.min_score == 0.9
    assert len(asked) == 1 + 2 * 2


def test_how_somebody_is_enrolled():
    enrolment = {"captures": 7, "interval_s": 0.5, "timeout_s": 20.0}
    assert parts.enrolment_settings(config(enrolment=enrolment)) == EnrolmentSettings(7, 0.5, 20.0)


def test_which_camera_is_opened(monkeypatch):
    monkeypatch.setattr(parts, "open_camera", lambda source, **how: (source, how))
    given = config(camera={"source": "v4l2:/dev/video3", **CAMERA})
    assert parts.camera_from(given) == ("v4l2:/dev/video3", CAMERA)
    assert parts.camera_from(given, "file:film") == ("file:film", CAMERA)


@pytest.mark.parametrize(
    ("audit", "limits"),
    [
        ({"keep_days": 30.0, "max_mb": 2.5}, Limits(int(2.5 * (1 << 20)), 30 * DAY_S)),
        ({"keep_days": None, "max_mb": 1.0}, Limits(1 << 20, None)),
    ],
)
def test_how_much_of_the_trail_is_kept(tmp_path, monkeypatch, audit, limits):
    opened = []
    monkeypatch.setattr(AuditTrail, "open", lambda path, key, kept: opened.append(kept))
    given = config(state={"folder": str(tmp_path)}, audit=audit)
    parts.open_store(given, "model-a").close()
    parts.open_audit(given)
    assert opened == [limits]


def test_records_older_than_the_settings_keep_are_taken_out(tmp_path):
    given = config(state={"folder": str(tmp_path)}, audit={"keep_days": 2.0})
    parts.open_store(given, "model-a").close()
    with parts.open_audit(given) as trail:
        trail.believed = lambda: True
        for day in (0, 1, 3):
            at_s = day * DAY_S
            trail.append("granted", {"person": day}, wall_s=1e9 + at_s, mono_s=at_s)
    left = [r.facts["person"] for r in read(given.audit_path) if r.event == "granted"]
    assert left == [1, 3]


def test_how_many_copies_are_kept(tmp_path):
    given = config(state={"folder": str(tmp_path)}, backup={"keep": 2})
    with parts.open_store(given, "model-a") as store:
        copies = parts.rolling_backups(given)
        for name in ("Ann", "Ben", "Cleo", "Dan"):
            store.add(name, [np.eye(128, dtype=np.float32)[0]])
            copies.make(store)
    assert len(list(given.backup_folder.glob("*"))) == 2
