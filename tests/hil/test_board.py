"""From the press of the button to the relay's edge, on a virtual board with simulated GPIO chips.

A QEMU machine is booted; board/probe.py tries it there and tells what it saw. Levels and times are
the simulator's own: the kernel notes every write to a line with its time stamp.
"""

import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest
from debian import ROOT, build, inside, needs_root_and, wheels
from virtual_board import BOARD, Kernel, boot_board

pytestmark = pytest.mark.gpio
PULSE_S, TOLERANCE_S = 0.8, 0.02

PACKAGES = (
    "systemd,systemd-sysv,dbus,passwd,kmod,python3,python3-venv,python3-systemd,python3-numpy"
)
PROBE_UNIT = """
[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/usr/bin/python3 /srv/board/probe.py
ExecStopPost=/usr/bin/systemctl poweroff -f
TimeoutStartSec=infinity
[Install]
WantedBy=multi-user.target
"""

PATIENCE = """
[Service]
TimeoutStartSec=300
TimeoutStopSec=120
WatchdogSec=120
"""
"""The emulated processor is slow; of the unit, nothing else is changed."""


def stage(tree):
    """Put the probe and what its cameras see into the board's system."""
    import cv2

    from facegate.demo import walkup

    folder = tree / "srv/board"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for file in BOARD.glob("*.py"):
        shutil.copy(file, folder)
    friend, _ = walkup.portraits()
    cv2.imwrite(str(folder / "portrait.jpg"), friend.pixels[:320, 80:400, ::-1])
    units = tree / "etc/systemd/system"
    (units / "probe.service").write_text(PROBE_UNIT)
    (units / "facegate.service.d").mkdir(exist_ok=True)
    (units / "facegate.service.d/patience.conf").write_text(PATIENCE)
    (units / "multi-user.target.wants").mkdir(exist_ok=True)
    # The probe starts it, when the lines are there.
    (units / "multi-user.target.wants/facegate.service").unlink(missing_ok=True)
    (units / "multi-user.target.wants/probe.service").unlink(missing_ok=True)
    (units / "multi-user.target.wants/probe.service").symlink_to("../probe.service")


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """What the probe told, by the name of what it tried."""
    needs_root_and("qemu-system-x86_64", "mmdebstrap", "systemd-nspawn", "cpio", "depmod", "make")
    pytest.importorskip("skimage", reason="the portraits need facegate[demo]")
    folder = tmp_path_factory.mktemp("board")
    tree = folder / "tree"
    with ThreadPoolExecutor(1) as pool:
        made = pool.submit(Kernel, folder / "kernel")
        build(tree, "bookworm", PACKAGES)
        wheels(tree / "root/wheels", "3.11", "x86_64")
        kernel = made.result()
    ignored = shutil.ignore_patterns(".*", "runs", "facegate-demo", "tests")
    shutil.copytree(ROOT, tree / "root/source", ignore=ignored)
    inside(tree, "/root/source/deploy/install.sh", "--no-apt", "--wheels", "/root/wheels")
    for name in ("source", "wheels"):
        shutil.rmtree(tree / "root" / name)
    kernel.install(tree)
    stage(tree)
    told, console = boot_board(kernel, tree, timeout_s=900)
    shutil.rmtree(folder, ignore_errors=True)
    assert told, console[-3000:]
    return {line["name"]: line["result"] for line in told}


def take(seen, name):
    """Give the result of one thing tried, which must have come to its end."""
    assert name in seen, f"the board did not get so far; it told {list(seen)}"
    result = seen[name]
    if isinstance(result, dict) and "failed" in result:
        pytest.fail(result["failed"] + result["log"])
    return result


def levels(edges):
    return [level for _, level in edges]


def pulse_lengths_s(edges):
    """Seconds of each pulse of a line that is active when high."""
    assert levels(edges) == [1, 0] * (len(edges) // 2)
    return [down - up for (up, _), (down, _) in zip(edges[::2], edges[1::2], strict=True)]


def test_nothing_that_drove_a_line_went_unnoticed(seen):
    assert take(seen, "lost") is False


def test_from_the_press_of_the_button_to_the_first_grant(seen):
    told = take(seen, "by_the_button")
    assert told["before"] == []
    (person,) = told["after"]
    assert (person["name"], person["role"]) == ("person-0001", "admin")
    assert told["message"] == "person 1: come in"
    assert not told["prolonged"]
    (length_s,) = pulse_lengths_s(told["edges"])
    assert length_s == pytest.approx(PULSE_S, abs=TOLERANCE_S)
    # The journal's latency ends at the relay: its entry is written right after the edge.
    assert told["latency_ms"] > 0
    assert told["pressed_s"] < told["edges"][0][0] < told["granted_s"]
