"""Inside User-Mode Linux: enrol and remove people on a disk whose power is cut, again and again.

Run as a program by the init script of the machine: MODULES CUTS SEED REPORT. A cut stops the
program, lets the disk drop every write from then on, and mounts what is left. What was synced
before the program stopped must be there.
"""

import ctypes
import json
import os
import random
import signal
import subprocess
import sys
import traceback
from pathlib import Path

from kill_storm import World, kill, live_a_while

DISK, MAPPED, AT = "/dev/ubdb", "/dev/dm-0", Path("/mnt")
POWER_OFF = 0x4321FEDC
"""Source: reboot(2), LINUX_REBOOT_CMD_POWER_OFF."""


def call(*words):
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{words}: {done.stdout}{done.stderr}")
    return done.stdout


def prepare(modules):
    for module in ("fs/mbcache", "fs/jbd2/jbd2", "lib/crc16", "crypto/crc32c_generic",
                   "lib/libcrc32c", "fs/ext4/ext4", "drivers/md/dm-mod",
                   "drivers/md/dm-flakey"):  # fmt: skip
        path = Path(modules, "kernel", f"{module}.ko")
        if path.exists():
            call("insmod", path)
    sectors = int(call("blockdev", "--getsz", DISK))
    call("dmsetup", "create", "fl", "--noudevsync", "--table", table(sectors))
    call("mkfs.ext4", "-q", MAPPED)
    return sectors


def table(sectors, dropping=False):
    if dropping:
        return f"0 {sectors} flakey {DISK} 0 0 3600 1 drop_writes"
    return f"0 {sectors} flakey {DISK} 0 3600 0"


def switch(sectors, dropping):
    call("dmsetup", "suspend", "--nolockfs", "--noudevsync", "fl")
    call("dmsetup", "reload", "fl", "--table", table(sectors, dropping))
    call("dmsetup", "resume", "--noudevsync", "fl")


def live_and_cut(sectors, world, chance):
    """Let a program live for a while, then cut its power; what it told until then."""

    def stop_and_cut(child):
        os.kill(child, signal.SIGSTOP)
        os.waitpid(child, os.WUNTRACED)
        switch(sectors, dropping=True)
        kill(child)

    lines, _ = live_a_while(AT / "state", world.next, chance, 25, 0.03, stop_and_cut)
    return lines


def main(modules, cuts, seed):
    chance, world, wrong, done = random.Random(seed), World(), [], 0
    sectors = prepare(modules)
    call("mount", MAPPED, AT)
    (AT / "state").mkdir()
    call("sync")
    while done < cuts and not wrong:
        heard = live_and_cut(sectors, world, chance)
        call("umount", AT)
        switch(sectors, dropping=False)
        call("mount", MAPPED, AT)
        done += 1
        world.hear(heard)
        wrong += world.compare(AT / "state")
    return {"cuts": done, "added": world.added, "removed": world.removed,
            "recorded": world.recorded, "wrong": wrong}  # fmt: skip


if __name__ == "__main__":
    modules, cuts, seed, report = sys.argv[1:]
    try:
        found = main(modules, int(cuts), int(seed))
    except BaseException:
        found = {"broken": traceback.format_exc()}
    Path(report).write_text(json.dumps(found))
    os.sync()
    ctypes.CDLL(None).reboot(POWER_OFF)
