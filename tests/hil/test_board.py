"""The relay's line, the button and the unit on a virtual board with simulated GPIO chips.

One QEMU machine is booted once; board/probe.py tries everything in it and tells what it saw. Levels
and times are the simulator's own: the kernel notes every write to a line with its time stamp.

The level after facegate let a line go is the pull's. So these hold for every way of ending:

- pulled to inactive (the resistor that the README asks for): the strike is never released but by an
  unlock, and is held again the moment the process is gone;
- pulled to active (wired wrongly): the strike is released whenever facegate does not run.
"""

import json
import os
import shutil
import statistics
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from debian import ROOT, build, inside, needs_root_and, wheels
from virtual_board import BOARD, Kernel, boot_board

pytestmark = pytest.mark.gpio
PULSE_S, TOLERANCE_S = 0.8, 0.02
STUMBLE_S = 0.15
"""So late the emulated processor may be once in a while, on a busy machine: late to release makes a
pulse longer, late to claim it shorter."""

FULL = os.environ.get("FACEGATE_BOARD_LIVES")
LIVES, CRASHES, HANGS = (int(FULL), 4 * int(FULL), 3) if FULL else (1, 1, 1)
"""Lives of each kind a wiring, of which there are four; crashes of each thread; rounds of hangs.
5 makes 20 of each kind, and 20 crashes of each thread."""

ENDINGS, WIRINGS = (int(FULL), 4) if FULL else (1, 1)
"""Lives of the whole unit a wiring, and of how many wirings: each is three starts, 11 s or more."""

WANTED = {"lives": (LIVES, CRASHES, HANGS), "endings": (ENDINGS, WIRINGS)}

THREADS = {"capture", "detect", "identify", "act"}

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
    import numpy as np

    from facegate.demo import walkup

    folder = tree / "srv/board"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for file in BOARD.glob("*.py"):
        shutil.copy(file, folder)
    (folder / "wanted.json").write_text(json.dumps(WANTED))
    cv2.imwrite(str(folder / "empty.jpg"), np.full((240, 320, 3), 90, np.uint8))
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
    told, console = boot_board(kernel, tree, timeout_s=3600 if FULL else 900)
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


LET_GO = None


def wanted_levels(active_low, pull, *driven):
    """What a line does that is driven inactive or active in turn, or let go, as at the end."""
    way = [pull if d is LET_GO else int(d != active_low) for d in (LET_GO, *driven, LET_GO)]
    return [b for a, b in pairwise(way) if a != b]


def test_nothing_that_drove_a_line_went_unnoticed(seen):
    assert take(seen, "lost") is False


@pytest.mark.parametrize("kind", ["term", "kill", "reload", "crash"])
def test_no_unwanted_edge_in_any_life(seen, kind):
    lives = [life for life in take(seen, "lives")["lives"] if life["kind"] == kind]
    threads = {life["thread"] for life in lives}
    assert threads == (THREADS if kind == "crash" else {None})
    assert len(lives) == (CRASHES * len(THREADS) if kind == "crash" else 4 * LIVES)
    ends = {"term": 0, "reload": 0, "kill": -9, "crash": 7}
    for life in lives:
        assert life["status"] == ends[kind], life["log"]
        driven = [False, True] if life["unlocked"] else [False]
        if kind != "kill":
            driven.append(False)  # a clean end holds the strike before it lets go of the line
        wanted = wanted_levels(life["active_low"], life["pull"], *driven)
        assert levels(life["edges"]) == wanted, life


def test_a_crash_says_which_part_failed(seen):
    for life in take(seen, "lives")["lives"]:
        if life["kind"] == "crash":
            assert f"{life['thread']} failed: crash on purpose" in life["log"]


@pytest.mark.parametrize("thread", ["capture", "detect", "identify"])
def test_the_relay_is_released_on_time_though_another_thread_hangs(seen, thread):
    lives = [
        x for x in take(seen, "lives")["lives"] if (x["kind"], x["thread"]) == ("hang", thread)
    ]
    assert len(lives) >= HANGS  # the four wirings share three threads
    for life in lives:
        # All of the pulse falls into the hang.
        said = [life["log"].find(s) for s in ("hang on purpose", "door_unlocked", "pulse over")]
        assert -1 not in said, life["log"]
        assert said == sorted(said), life["log"]
        wanted = wanted_levels(life["active_low"], life["pull"], False, True, False)
        assert levels(life["edges"]) == wanted, life
        active = int(not life["active_low"])
        (up,) = [i for i, (_, level) in enumerate(life["edges"]) if level == active and i < 2]
        lasted_s = life["edges"][up + 1][0] - life["edges"][up][0]
        assert lasted_s == pytest.approx(life["pulse_s"], abs=STUMBLE_S)


def test_a_line_that_is_let_go_has_the_level_of_its_pull(seen):
    assert take(seen, "lives")["levels"] == [0, 1, 0, 1]


def test_from_the_press_of_the_button_to_the_first_grant(seen):
    told = take(seen, "by_the_button")
    assert told["before"] == []
    (person,) = told["after"]
    assert (person["name"], person["role"]) == ("person-0001", "admin")
    assert told["message"] == "person 1: come in"
    assert not told["prolonged"]
    (length_s,) = pulse_lengths_s(told["edges"])
    assert length_s == pytest.approx(PULSE_S, abs=STUMBLE_S)
    # The journal's latency ends at the relay: its entry is written right after the edge.
    assert told["latency_ms"] > 0
    assert told["pressed_s"] < told["edges"][0][0] < told["granted_s"]


def test_pulses_last_as_long_as_they_are_set_to(seen):
    told = take(seen, "pulses")
    off_s = [length_s - PULSE_S for length_s in pulse_lengths_s(told["edges"])]
    assert len(off_s) == 10
    print("pulses off by ms:", [round(1000 * s, 1) for s in off_s])
    assert abs(statistics.median(off_s)) < TOLERANCE_S
    assert max(abs(s) for s in off_s) < STUMBLE_S


def test_fifty_bouncing_presses_are_fifty_and_change_nothing(seen):
    told = take(seen, "presses")
    assert told["ignored"] == 50
    assert told["began"] == 0
    assert told["unchanged"]
    assert told["people"] == 1
    assert told["edges"] == []


def test_the_unit_opens_the_devices_it_needs_and_no_others(seen):
    told = take(seen, "devices")
    for path, found in told["within"].items():
        allowed = path in ("/dev/gpiochip0", "/dev/video0", "/dev/null")
        assert found == ("opened" if allowed else "Operation not permitted"), path
        assert told["outside"][path] != "Operation not permitted", path


def test_a_reload_changes_the_rules_and_not_the_process(seen):
    told = take(seen, "reload")
    assert told["status"] == 0
    assert told["same"]
    (length_s,) = pulse_lengths_s(told["edges"])
    assert length_s < 0.6  # by the new rules, not the old ones; how exact, the pulses above tell


def test_whatever_ends_the_unit_within_a_pulse_the_strike_is_held(seen):
    lives = take(seen, "endings")["lives"]
    assert len(lives) == ENDINGS * WIRINGS
    for life in lives:
        held, released = False, True
        hold = [held, LET_GO]  # ExecStopPost, before the next start
        kill = [held, released, LET_GO, *hold]
        # Whoever is out of memory is killed, and systemd stops the rest of the unit cleanly.
        memory = [held, released, held, LET_GO, *hold]
        wanted = wanted_levels(
            life["active_low"], life["pull"], *kill, *memory, held, released, held
        )
        assert levels(life["edges"]) == wanted, life


def test_systemd_starts_the_unit_again_once_for_every_death(seen):
    deaths = [death for life in take(seen, "endings")["lives"] for death in life["deaths"]]
    print("back after s:", [(d["death"], round(d["back_after_s"], 1)) for d in deaths])
    assert [d["restarts"] for d in deaths] == [1] * (2 * ENDINGS * WIRINGS)


def test_the_unit_is_restarted_when_it_takes_more_memory_than_it_may(seen):
    for life in take(seen, "endings")["lives"]:
        (death,) = [d for d in life["deaths"] if d["death"] == "exhaust_memory"]
        assert death["limits"]["high"] == "max"  # below the limit nothing slows it down
        assert int(death["limits"]["max"]) == pytest.approx(0.65 * death["memory"], rel=0.01)
        assert death["status"] == -9
        assert death["killed"] == 1


def test_the_unit_looks_through_a_v4l2_camera(seen):
    for life in take(seen, "endings")["lives"]:
        assert life["camera"] == "v4l2 /dev/video0"
        assert life["detected_fps"] > 0
