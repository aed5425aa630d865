"""Hold the strike after facegate died: `python -m facegate.hold SETTINGS`.

Raspberry Pi OS's kernel leaves an output as it was driven when its program is gone, so one that is
killed during a pulse would leave the strike released. systemd runs this after every such end; it
loads next to nothing, so it is done long before facegate itself has started again. Even reading the
settings would take it five times as long: facegate leaves a note of which line it drives.

Source: raspberrypi/linux pull request 6117 (`dtparam=strict_gpiod` makes lines inputs again).
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from facegate.errors import FacegateError
from facegate.hardware.lines import GpiodOutput

if TYPE_CHECKING:
    from facegate.config import Config

Relay = tuple[str, str | int, bool]
"""What `GpiodOutput` wants: chip, line, active low."""


def leave_note(config: Config) -> None:
    """Note which line is the relay's, before it is claimed; only a service has a place for it."""
    relay = _wired(config)
    if (path := _note()) and relay:
        with suppress(OSError):  # then the settings will tell
            path.write_text(json.dumps(relay), encoding="utf-8")


def hold(settings: Path | None) -> None:
    """Drive the relay's line inactive once, and let it go.

    Args:
        settings: where it is told which line that is, if there is no note.

    Raises:
        ConfigError: the settings do not say which line it is.
        LineError: it cannot be driven.
    """
    relay = _read_note()
    if relay is None:
        from facegate.config import load_config

        relay = _wired(load_config(settings))
    if relay is not None:
        GpiodOutput(*relay).close()


def _wired(config: Config) -> Relay | None:
    """Give the relay's line; none without hardware."""
    relay = config.door.relay
    if config.gpio.driver == "fake":
        return None
    return config.gpio.chip, relay.line, relay.active_low


def _note() -> Path | None:
    """Give the note's path; systemd removes the folder with every end of the service."""
    folder = os.environ.get("RUNTIME_DIRECTORY")
    return Path(folder) / "relay.json" if folder else None


def _read_note() -> Relay | None:
    if (path := _note()) is None:
        return None
    try:
        chip, line, active_low = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return chip, line, active_low


if __name__ == "__main__":
    try:
        hold(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
    except FacegateError as error:
        print(f"facegate: the strike may be released: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
