"""Hold the strike after facegate died: `python -m facegate.hold SETTINGS`.

Raspberry Pi OS's kernel leaves an output as it was driven when its program is gone, so one that is
killed during a pulse would leave the strike released. systemd runs this after every such end; it
loads next to nothing, so it is done long before facegate itself has started again.

Source: raspberrypi/linux pull request 6117 (`dtparam=strict_gpiod` makes lines inputs again).
"""

from __future__ import annotations

import sys
from pathlib import Path

from facegate.config import load_config
from facegate.errors import FacegateError
from facegate.hardware.lines import GpiodOutput


def hold(settings: Path | None) -> None:
    """Drive the relay's line inactive once, and let it go.

    Raises:
        ConfigError: the settings do not say which line it is.
        LineError: it cannot be driven.
    """
    config = load_config(settings)
    if config.gpio.driver == "gpiod":
        relay = config.door.relay
        GpiodOutput(config.gpio.chip, relay.line, relay.active_low).close()


if __name__ == "__main__":
    try:
        hold(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
    except FacegateError as error:
        print(f"facegate: the strike may be released: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
