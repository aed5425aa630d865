"""What tests of a door share: rules that differ from the usual ones in what a test says."""

from dataclasses import replace

from facegate import parts
from facegate.config import Config


def rules(**changes):
    return replace(parts.door_settings(Config()), **changes)
