"""Checks of the machine on trees of files as a Pi has them."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from facegate.access.schedule import CLOCK_UNSET_BEFORE
from facegate.doctor import machine
from facegate.doctor.finding import Finding


def put(root, path, text):
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_a_64_bit_pi_is_well_and_named(tmp_path):
    put(tmp_path, "proc/device-tree/model", "Raspberry Pi 4 Model B Rev 1.4\0")
    put(tmp_path, "etc/os-release", 'ID=debian\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n')
    found = machine.system(tmp_path, "aarch64", 64)
    assert found.state == "ok"
    assert found.found.startswith("Raspberry Pi 4 Model B Rev 1.4, Debian GNU/Linux 12 (bookworm)")


@pytest.mark.parametrize(("kernel", "bits"), [("armv7l", 32), ("aarch64", 32)])
def test_32_bits_are_bad(tmp_path, kernel, bits):
    found = machine.system(tmp_path, kernel, bits)
    assert found.state == "bad"
    assert "64-bit Raspberry Pi OS" in found.mend


@pytest.mark.parametrize(
    ("bits", "state", "said"),
    [
        ("0", "ok", "no under-voltage"),
        ("50005", "bad", "now: under-voltage, throttled"),
        ("50000", "warning", "since the last start: under-voltage, throttled"),
        ("8", "bad", "soft temperature limit"),
    ],
)
def test_the_firmwares_bits(tmp_path, bits, state, said):
    found = machine.power(tmp_path, lambda: f"throttled=0x{bits}")
    assert (found.state, said in found.found) == (state, True)


@pytest.mark.parametrize(
    ("alarm", "state", "said"),
    [("0", "ok", "no under-voltage now"), ("1", "bad", "now: under-voltage")],
)
@pytest.mark.parametrize("answer", ["", "error=1 error_msg=Command not registered"])
def test_where_the_firmware_does_not_answer_the_kernels_sensor_is_read(
    tmp_path, alarm, state, said, answer
):
    put(tmp_path, "proc/device-tree/model", "Raspberry Pi 5 Model B Rev 1.0\0")
    for number, name in enumerate(("cpu_thermal", machine.VOLTAGE_SENSOR)):
        put(tmp_path, f"sys/class/hwmon/hwmon{number}/name", f"{name}\n")
    put(tmp_path, "sys/class/hwmon/hwmon1/in0_lcrit_alarm", f"{alarm}\n")
    found = machine.power(tmp_path, lambda: answer)
    assert (found.state, said in found.found) == (state, True)


def test_a_pi_of_whose_power_nothing_is_known_is_told(tmp_path):
    assert machine.power(tmp_path, lambda: "").state == "ok"
    put(tmp_path, "proc/device-tree/model", "Raspberry Pi 5 Model B Rev 1.0\0")
    assert machine.power(tmp_path, lambda: "").state == "warning"


@pytest.mark.parametrize(
    ("millidegrees", "state"), [("48312", "ok"), ("77000", "warning"), ("82500", "bad")]
)
def test_heat(tmp_path, millidegrees, state):
    put(tmp_path, "sys/class/thermal/thermal_zone0/temp", millidegrees + "\n")
    put(tmp_path, "sys/class/thermal/thermal_zone1/temp", "30000\n")
    found = machine.heat(tmp_path)
    assert (found.check, found.state) == ("heat", state)


def test_without_a_sensor_nothing_is_claimed(tmp_path):
    assert machine.heat(tmp_path) == Finding("heat", "ok", "nothing known: no thermal sensor here")


def test_the_clock():
    assert machine.clock(lambda: 0, CLOCK_UNSET_BEFORE).state == "ok"
    assert machine.clock(lambda: machine.TIME_ERROR, CLOCK_UNSET_BEFORE).state == "warning"
    never_set = machine.clock(lambda: 0, CLOCK_UNSET_BEFORE - timedelta(seconds=1))
    assert (never_set.state, never_set.found) == ("bad", "it shows 2025-12-31")
    assert machine.clock().check == "clock"  # this machine's own kernel answers


def test_room_on_the_card(tmp_path, monkeypatch):
    assert "MiB free" in machine.space(tmp_path / "not" / "made" / "yet").found
    monkeypatch.setattr(machine, "MIN_FREE_MB", 1e12)
    full = machine.space(tmp_path)
    assert full.state == "bad"
    assert "vacuum" in full.mend


def test_a_read_only_card_is_bad():
    mounts = (line.split() for line in Path("/proc/self/mounts").read_text().splitlines())
    read_only = [where for _, where, _, options, *_ in mounts if "ro" in options.split(",")]
    if not read_only:
        pytest.skip("this machine has nothing mounted read-only")
    found = machine.space(Path(read_only[0]))
    assert found.state == "bad"
    assert "read-only" in found.found


def test_a_system_that_was_meant_to_be_read_only_and_is_not_is_bad(tmp_path):
    put(tmp_path, "proc/self/mounts", "/dev/mmcblk0p2 / ext4 rw,noatime 0 0\n")
    assert machine.overlay(tmp_path).state == "ok"
    put(tmp_path, machine.OVERLAY, 'overlayroot="tmpfs:recurse=0"\n')
    found = machine.overlay(tmp_path)
    assert (found.state, "read-only.sh on again" in found.mend) == ("bad", True)
    put(
        tmp_path,
        "proc/self/mounts",
        "/dev/mmcblk0p2 /media/root-ro ext4 ro 0 0\noverlayroot / overlay rw,lowerdir=x 0 0\n",
    )
    assert machine.overlay(tmp_path).state == "ok"


def test_a_watchdog_that_nobody_uses_is_told(tmp_path):
    assert "no hardware watchdog" in machine.watchdog(tmp_path, lambda: "15s").found
    put(tmp_path, "dev/watchdog0", "")
    assert machine.watchdog(tmp_path, lambda: "15s").state == "ok"
    for said in machine.WATCHDOG_OFF:
        found = machine.watchdog(tmp_path, lambda said=said: said)
        assert (found.state, "RuntimeWatchdogSec=15s" in found.mend) == ("warning", True)
        assert found.mend.startswith("from the checkout: sudo deploy/install.sh again, or ")


def test_a_kernel_that_keeps_no_account_of_memory_is_said(tmp_path):
    unknown = machine.memory(tmp_path)
    assert unknown.state == "ok"
    assert unknown.found == "nothing known: no control groups of version 2 here"
    put(tmp_path, "sys/fs/cgroup/cgroup.controllers", "cpuset cpu io pids\n")
    assert "add cgroup_enable=memory" in machine.memory(tmp_path).mend
    put(tmp_path, machine.COMMAND_LINE, "cgroup_disable=memory root=x cgroup_enable=memory\n")
    assert "full-upgrade" in machine.memory(tmp_path).mend
    put(tmp_path, "sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory pids\n")
    assert machine.memory(tmp_path).state == "ok"


def test_unlock_hours_that_wait_for_another_time_service_are_said():
    assert machine.clock(lambda: 0, CLOCK_UNSET_BEFORE, waits=False).state == "ok"
    found = machine.clock(lambda: 0, CLOCK_UNSET_BEFORE, waits=True)
    assert found.state == "warning"
    assert "battery_clock" in found.mend


def test_holidays_that_are_all_over_are_told():
    past, next_one = date(2026, 12, 25), date(2027, 1, 1)
    now = datetime(2026, 12, 27, tzinfo=UTC)
    found = machine.clock(lambda: 0, now, holidays=[past])
    assert (found.state, "2026-12-25" in found.found) == ("warning", True)
    assert machine.clock(lambda: 0, now, holidays=[past, next_one]).state == "ok"


def test_a_program_that_is_missing_or_fails_says_nothing():
    assert machine.said_by("echo", "throttled=0x0") == "throttled=0x0"
    assert machine.said_by("no-such-program") == ""
    assert machine.said_by("sh", "-c", "echo no; exit 1") == ""
