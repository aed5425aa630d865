"""gpio-sim as this machine's GPIO chips, and every level that its lines take.

Runs in the virtual machine, with the system's Python alone.
"""

import os
import re
from contextlib import contextmanager
from pathlib import Path

CONFIG = Path("/sys/kernel/config/gpio-sim")
PLATFORM = Path("/sys/devices/platform")
TRACING = Path("/sys/kernel/tracing")
LINES = 28
"""A Pi's header shows GPIO0 to GPIO27."""

PULLS = ("pull-down", "pull-up")
LABEL = "label=+0(+0($arg1)):string"  # struct gpio_chip begins with its label
PROBES = (
    f"p:sim/set gpio_sim_set {LABEL} line=$arg2:u32 level=$arg3:s32",
    f"p:sim/out gpio_sim_direction_output {LABEL} line=$arg2:u32 level=$arg3:s32",
    f"p:sim/many gpio_sim_set_multiple {LABEL} mask=+0($arg2):x64 bits=+0($arg3):x64",
    f"p:sim/free gpio_sim_free {LABEL} line=$arg2:u32",
)
ENTRY = re.compile(r"\s(\d+\.\d+): (set|out|many|free): .*?label=\"([^\"]+)\" (.*)")


class Chip:
    """One simulated chip with the lines GPIO0 to GPIO27."""

    def __init__(self, label):
        self.label = label
        device = CONFIG / label
        (device / "bank").mkdir(parents=True)
        (device / "bank/num_lines").write_text(str(LINES))
        (device / "bank/label").write_text(label)
        for number in range(LINES):
            (device / f"bank/line{number}").mkdir()
            (device / f"bank/line{number}/name").write_text(f"GPIO{number}")
        (device / "live").write_text("1")
        name = (device / "bank/chip_name").read_text().strip()
        self.folder = PLATFORM / (device / "dev_name").read_text().strip() / name
        self.node = Path("/dev") / name

    def pull(self, line, level):
        """Pull a line from outside: a button, a resistor."""
        (self.folder / f"sim_gpio{line}/pull").write_text(PULLS[level])

    @contextmanager
    def hand_on(self, line):
        """Give a function that pulls a line to a level as fast as can be."""
        file = os.open(self.folder / f"sim_gpio{line}/pull", os.O_WRONLY)
        try:
            yield lambda level: os.pwrite(file, PULLS[level].encode(), 0)
        finally:
            os.close(file)

    def level(self, line):
        """What a voltmeter would show."""
        return int((self.folder / f"sim_gpio{line}/value").read_text())


def watch():
    """Have the kernel note, with its own time stamps, whatever drives or lets go a line."""
    (TRACING / "trace_clock").write_text("mono")
    for probe in PROBES:
        # Not Python's own append mode: it looks for the end, which this file has not.
        file = os.open(TRACING / "kprobe_events", os.O_WRONLY | os.O_APPEND)
        os.write(file, probe.encode() + b"\n")
        os.close(file)
    (TRACING / "buffer_size_kb").write_text("8192")
    (TRACING / "events/sim/enable").write_text("1")


class Noted:
    """What was noted so far."""

    def __init__(self):
        self.entries = []
        for text in (TRACING / "trace").read_text().splitlines():
            if found := ENTRY.search(text):
                at_s, kind, label, rest = found.groups()
                facts = dict(word.split("=") for word in rest.split())
                self.entries.append((float(at_s), kind, label, facts))
        self.lost = any(
            int(cpu.read_text().split("overrun: ")[1].split()[0])
            for cpu in TRACING.glob("per_cpu/cpu*/stats")
        )

    def edges(self, label, line, before, pull, begin_s=0.0, end_s=float("inf")):
        """Changes of one line's level as (monotonic seconds, level).

        Args:
            label, line: the chip's, and the number on it.
            before: its level at `begin_s`.
            pull: the level that it takes when nobody drives it.
        """
        level, found = before, []
        for at_s, kind, chip, facts in self.entries:
            if chip != label or not begin_s <= at_s <= end_s:
                continue
            if kind == "many":
                if not int(facts["mask"], 16) >> line & 1:
                    continue
                new = int(facts["bits"], 16) >> line & 1
            elif int(facts["line"]) != line:
                continue
            else:
                new = pull if kind == "free" else int(facts["level"] != "0")
            if new != level:
                found.append((at_s, new))
                level = new
        return found


def open_to_group(chip, group_id):
    """Give the chip to a group, as Raspberry Pi OS's udev rules do."""
    os.chown(chip.node, 0, group_id)
    chip.node.chmod(0o660)
