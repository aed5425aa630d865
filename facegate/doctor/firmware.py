"""Check of what the firmware does with the relay's line before facegate holds it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from facegate.config import Config
from facegate.doctor.finding import Finding, bad, ok, warning
from facegate.doctor.machine import COMMAND_LINE, MODEL, ROOT, text_of

CONFIG = Path("boot/firmware/config.txt")
STRICT = "dtparam=strict_gpiod"
HEADER_LINES = 28
"""GPIO0 to GPIO27 are on the Pi's header."""

Drive = str | None
"""What a line is driven to: `dh`, `dl`, or None when it is an input."""


def relay_at_boot(settings: Config, root: Path = ROOT) -> Finding:
    """Check that the firmware drives the relay's line to the side that holds the strike.

    Source: Raspberry Pi documentation, "GPIO control" and "Conditional filters" of config.txt.
    """
    relay = settings.door.relay
    number = _header_line(settings.gpio.chip, relay.line)
    text = text_of(root / CONFIG)
    if settings.gpio.driver == "fake" or number is None or not text:
        return ok("boot", "nothing known: no line of a Pi's header, or no Pi's firmware")
    held = "dh" if relay.active_low else "dl"
    wanted = f"gpio={number}=op,{held}"
    lines = list(_applying(text, text_of(root / MODEL)))
    drive = _drive(lines, number, held)
    to_write = f"write {wanted} below [all] at the end of /{CONFIG}, and reboot"
    if drive == held:
        if not _strict(lines, text_of(root / COMMAND_LINE)):
            return warning(
                "boot",
                f"{wanted}, but a line stays as it was driven when facegate is killed",
                f"write {STRICT} below [all] at the end of /{CONFIG}, and reboot",
            )
        return ok("boot", f"{wanted}: the strike is held while the Pi boots")
    if drive is not None:
        level, active_low = "high" if drive == "dh" else "low", str(relay.active_low).lower()
        return bad(
            "boot",
            f"the firmware drives GPIO{number} {level}, which releases the strike at every boot "
            f"(door.relay.active_low: {active_low})",
            f"in its place {to_write}",
        )
    return warning(
        "boot", f"nothing but a resistor holds GPIO{number} until facegate starts", to_write
    )


def _header_line(chip: str, line: str | int) -> int | None:
    """Give the number of a line of the header; None where it is another chip's, or may be."""
    if isinstance(line, int) and chip != "header" and not chip.startswith("pinctrl-"):
        return None
    match = re.fullmatch(r"(?:GPIO)?(\d+)", str(line))
    return int(match[1]) if match and int(match[1]) < HEADER_LINES else None


def _applying(text: str, model: str) -> Iterator[tuple[str, bool]]:
    """Give each line that may apply to this board, and whether it surely does.

    A filter that is not of the model (a serial number, a display, a level) may apply or not.
    """
    board = re.search(r"Raspberry Pi (?:Compute Module )?(\d|Zero)", model)
    digit = board[1].replace("Zero", "0") if board else None
    may, model_sure, others = True, True, False
    for line in (raw.strip() for raw in text.splitlines()):
        if (section := re.fullmatch(r"\[(.*)\]", line)) is None:
            if may and line and not line.startswith("#"):
                yield line, model_sure and not others
        elif section[1] == "all":
            may, model_sure, others = True, True, False
        elif of_model := re.fullmatch(r"(?:pi|cm)(\d)\w*\+?", section[1]):
            may = digit in (None, of_model[1])
            model_sure = section[1] == f"pi{digit}"
        else:
            may, others = may and section[1] != "none", True


def _drive(lines: list[tuple[str, bool]], number: int, held: str) -> Drive:
    """Say what a line is driven to in the end; what may apply counts if it releases the strike."""
    output, level = False, ""
    for line, sure in lines:
        match = re.fullmatch(r"gpio=([\d,-]+)=([a-z0-9,]+)", line.replace(" ", ""))
        if match is None or number not in _numbers(match[1]):
            continue
        words = match[2].split(",")
        modes = [word for word in words if re.fullmatch(r"ip|op|a\d", word)]
        output_then = modes[-1] == "op" if modes else output
        level_then = next((word for word in reversed(words) if word in ("dh", "dl")), level)
        if sure or (output_then and level_then not in ("", held)):
            output, level = output_then, level_then
    return level if output and level else None


def _numbers(text: str) -> set[int]:
    found: set[int] = set()
    for first, last in re.findall(r"(\d+)(?:-(\d+))?", text):
        found |= set(range(int(first), int(last or first) + 1))
    return found


def _strict(lines: list[tuple[str, bool]], command_line: str) -> bool:
    """Whether a line that is let go becomes an input.

    Source: raspberrypi/linux pull request 6117.
    """
    if "persist_gpio_outputs=n" in command_line:
        return True
    return any(
        re.match(r"dtparam=(.*,)?strict_gpiod(=on)?(,|$)", line) for line, sure in lines if sure
    )
