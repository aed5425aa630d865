"""The whole unit ended and started by systemd, each time while the strike is released.

Runs in the virtual machine with the system's Python. The daemon is as it is shipped, and sees
through the V4L2 camera; one start of it takes the emulated processor more than ten seconds.
"""

import itertools
import json
import os
import subprocess
import sys
import time

from simulator import Noted
from unit import CGROUP, CONFIG, ask, enter_cgroup, sh, show, unlock, until

FIRST_LINE = 4  # the lines before are of lives.py
WIRINGS = ((False, 0), (True, 1), (False, 1), (True, 0))
"""Active low, pull. The first two are pulled to inactive, as the README asks."""

PULSE_S = 30.0  # the longest there is: every end falls into it
LOOK_S = 0.5  # systemctl costs the emulated processor half of that

EAT = "from mmap import *; mmap(-1, {size}, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE)"


def running(but_not):
    """Whether the unit runs in another process than this one."""
    if "failed" in (state := show("ActiveState")):
        raise RuntimeError(f"facegate is {state}")
    pid = show("MainPID")
    return pid not in ("0", but_not) and state == "active"


def settle_on(line, active_low):
    """Write settings of one wiring; they count from the next start."""
    CONFIG.write_text(
        json.dumps(
            {
                "camera": {
                    "source": "v4l2:/dev/video0", "width_px": 320, "height_px": 180, "fps": 1.0,
                },
                "gpio": {"chip": "pinctrl-rp1"},
                "door": {
                    "relay": {"line": f"GPIO{line}", "active_low": active_low},
                    "pulse_s": PULSE_S,
                },
            }
        )
    )  # fmt: skip


def kill():
    """Have systemd kill the daemon."""
    sh("systemctl", "kill", "-s", "KILL", "--kill-whom=main", "facegate", check=True)
    return {}


def exhaust_memory():
    """Let a process of the unit take all the memory there is for it."""
    limits = {name: (CGROUP / f"memory.{name}").read_text().strip() for name in ("high", "max")}
    eat = EAT.format(size=limits["max"])
    with open(CGROUP / "memory.events") as events:  # of this cgroup, even if it is made anew
        done = subprocess.run((sys.executable, "-c", eat), preexec_fn=enter_cgroup)
        counts = dict(line.split() for line in events)
    return {
        "limits": limits, "status": done.returncode, "killed": int(counts["oom_kill"]),
        "memory": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
    }  # fmt: skip


def die_and_come_back(death):
    """Release the strike, die of something, be started again by systemd."""
    first, restarts = show("MainPID"), int(show("NRestarts"))
    unlock()
    died_s = time.monotonic()
    told = death()
    until(lambda: running(first), every_s=LOOK_S)
    return told | {
        "death": death.__name__,
        "back_after_s": time.monotonic() - died_s,
        "restarts": int(show("NRestarts")) - restarts,
    }


def life(line, active_low, pull):
    """Start, die of everything there is, and release the strike: what comes next ends that pulse.

    Whatever ran before is ended by this start.
    """
    settle_on(line, active_low)
    began_s = time.monotonic()
    # More starts than the unit allows itself in five minutes, all of them wanted.
    sh("systemctl", "reset-failed", "facegate", check=True)
    sh("systemctl", "restart", "facegate", check=True)
    deaths = [die_and_come_back(death) for death in (kill, exhaust_memory)]
    status = until(lambda: (s := ask("GET", "/v1/status"))["queues"]["faces"]["got"] > 2 and s)
    unlock()
    return {
        "line": line, "active_low": active_low, "pull": pull, "began_s": began_s,
        "deaths": deaths, "camera": status["camera"], "detected_fps": status["detected_fps"],
    }  # fmt: skip


def run(chip, repeats, wirings):
    """Live so many times with each of the first wirings."""
    lives = []
    for _, number in itertools.product(range(repeats), range(wirings)):
        active_low, pull = WIRINGS[number]
        chip.pull(FIRST_LINE + number, pull)
        lives.append(life(FIRST_LINE + number, active_low, pull))
    stopping_s = time.monotonic()
    sh("systemctl", "stop", "facegate", check=True)
    stopped_s = time.monotonic()
    noted = Noted()
    for number, one in enumerate(lives):
        # The next life begins, and ends it, on another line.
        until_s = lives[number + wirings]["began_s"] if number + wirings < len(lives) else stopped_s
        span = (one["began_s"], until_s)
        one["edges"] = noted.edges(chip.label, one["line"], one["pull"], one["pull"], *span)
    return {"lives": lives, "stop_s": stopped_s - stopping_s}
