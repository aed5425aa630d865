"""Every setting with its default, unit and range, one class a section of `config.yaml`.

`config.yaml` beside the package says the same with comments; a test holds the two equal.
"""

from __future__ import annotations

import os
import re
from datetime import UTC, date, tzinfo
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from facegate.types import MAX_PULSE_S

LOCAL_TIME = Path("/etc/localtime")
MAX_PATH_BYTES, MAX_FILE_NAME_BYTES = 4096, 255
"""Source: PATH_MAX of Linux, which counts the zero byte at the end, and NAME_MAX."""

CAMERA = re.compile(r"picamera2(:\d+)?|v4l2(:.+)?|file:.+|[/.~].*|[^:]+", re.DOTALL)
"""The names that `hardware.camera.open_camera` knows; the last two are paths."""

Clock = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$", description="HH:MM")]


def _possible_path(text: str) -> str:
    path = os.fsencode(text)
    longest = max(len(part) for part in path.split(b"/"))
    if b"\0" in path or len(path) >= MAX_PATH_BYTES or longest > MAX_FILE_NAME_BYTES:
        raise PydanticCustomError("path", "no file can be called so")
    try:
        Path(text).expanduser()
    except RuntimeError:
        raise PydanticCustomError("path", "there is no such user here") from None
    return text


def _fixed_path(text: str) -> str:
    """Refuse what would be elsewhere for everybody who stands elsewhere: another store each."""
    if not text.startswith(("/", "~")):
        raise PydanticCustomError("path", "must begin with / or ~")
    return text


def _possible_camera(source: str) -> str:
    if not CAMERA.fullmatch(source):
        raise PydanticCustomError(
            "camera", "use picamera2, picamera2:1, v4l2:/dev/video0 or file:PATH"
        )
    return source


def _possible_line(line: str | int) -> str | int:
    if line == "" or (isinstance(line, int) and line < 0):
        raise PydanticCustomError("line", "must be a line's name, as GPIO17, or its number")
    return line


FilePath = Annotated[str, AfterValidator(_possible_path)]
FixedPath = Annotated[FilePath, AfterValidator(_fixed_path)]
CameraSource = Annotated[str, AfterValidator(_possible_camera)]
Line = Annotated[str | int, AfterValidator(_possible_line)]


class Section(BaseModel):
    """Base of all sections: read-only, no unknown keys, no silent conversions."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class CameraConfig(Section):
    """Where pictures come from."""

    source: CameraSource = "picamera2"
    width_px: Annotated[int, Field(ge=160, le=4608)] = 1920
    height_px: Annotated[int, Field(ge=120, le=2592)] = 1080
    small_width_px: Annotated[int, Field(ge=160, le=1920)] = 320
    small_height_px: Annotated[int, Field(ge=120, le=1080)] = 180
    fps: Annotated[float, Field(ge=1, le=120)] = 15.0
    focus_m: Annotated[float, Field(ge=0.05, le=100)] | None = 0.8
    rotation: Literal[0, 90, 180, 270] = 0
    pacing: Literal["real-time", "fast"] = "real-time"
    loop: bool = False
    reopen_attempts: Annotated[int, Field(ge=0, le=100)] = 20
    reopen_wait_s: Annotated[float, Field(gt=0, le=30)] = 1.0


class ModelsConfig(Section):
    """Which networks run, and on how many threads."""

    detector: FilePath | None = None
    refiner: FilePath | None = None
    embedder: FilePath | None = None
    detector_threads: Annotated[int, Field(ge=1, le=16)] = 1
    embedder_threads: Annotated[int, Field(ge=1, le=16)] = 2


class DetectionConfig(Section):
    """When something is a face, and the same face as before."""

    min_score: Annotated[float, Field(gt=0, lt=1)] = 0.78
    tiles: Annotated[int, Field(ge=1, le=4)] = 1
    track_max_lost_frames: Annotated[int, Field(ge=0, le=100)] = 5


class QualityConfig(Section):
    """Which faces are good enough to be compared."""

    min_size_px: Annotated[float, Field(ge=12, le=1000)] = 48.0
    min_sharpness: Annotated[float, Field(ge=0)] = 6.0
    min_brightness: Annotated[float, Field(ge=0, le=255)] = 25.0
    max_brightness: Annotated[float, Field(ge=0, le=255)] = 235.0
    max_yaw: Annotated[float, Field(gt=0, le=1)] = 0.35
    max_roll_deg: Annotated[float, Field(gt=0, le=90)] = 35.0
    shortest_refused: Annotated[float, Field(ge=0, le=0.5)] = 0.02
    covered_refused: Annotated[float, Field(ge=0, le=0.5)] = 0.01


class AccessConfig(Section):
    """When a face is a person."""

    target_fmr: Annotated[float, Field(gt=0, le=0.5)] = 0.001
    threshold: Annotated[float, Field(gt=0, le=2)] | None = None
    min_margin: Annotated[float, Field(ge=0, le=2)] = 0.04
    votes_needed: Annotated[int, Field(ge=1, le=20)] = 3
    votes_of: Annotated[int, Field(ge=1, le=50)] = 5
    liveness: Literal["head_turn"] | None = None
    liveness_s: Annotated[float, Field(ge=3, le=60)] = 10.0


class EnrolmentConfig(Section):
    """How people are enrolled with the camera."""

    captures: Annotated[int, Field(ge=1, le=20)] = 5
    interval_s: Annotated[float, Field(ge=0, le=10)] = 0.4
    timeout_s: Annotated[float, Field(gt=0, le=600)] = 30.0
    countdown_s: Annotated[float, Field(ge=0, le=30)] = 3.0
    arm_s: Annotated[float, Field(gt=0, le=600)] = 30.0


class GpioConfig(Section):
    """The chip that all lines are on."""

    driver: Literal["gpiod", "fake"] = "gpiod"
    chip: str = "header"


class OutputConfig(Section):
    """A line that is driven; a line of null is not there."""

    line: Line | None = None
    active_low: bool = False


class InputConfig(Section):
    """A line that is read; a line of null is not there."""

    line: Line | None = None
    active_low: bool = True
    bias: Literal["pull-up", "pull-down", "none"] = "pull-up"
    debounce_s: Annotated[float, Field(ge=0, le=1)] = 0.02


class RelayConfig(Section):
    """The line that opens the door."""

    line: Line = "GPIO17"
    active_low: bool = False


class DoorConfig(Section):
    """How the door opens, and what is wired to it."""

    relay: RelayConfig = RelayConfig()
    exit_button: InputConfig = InputConfig()
    contact: InputConfig = InputConfig()
    tamper: InputConfig = InputConfig()
    factor_button: InputConfig = InputConfig()
    pulse_s: Annotated[float, Field(gt=0, le=MAX_PULSE_S)] = 4.0
    max_decision_age_s: Annotated[float, Field(gt=0, le=10)] = 2.0
    relock_on_close: bool = True
    held_open_warning_s: Annotated[float, Field(gt=0, le=86_400)] = 20.0
    held_open_alarm_s: Annotated[float, Field(gt=0, le=86_400)] = 30.0
    second_factor: Literal["button", "pin"] | None = None
    second_factor_s: Annotated[float, Field(gt=0, le=120)] = 10.0
    lockout_attempts: Annotated[int, Field(ge=1, le=1000)] | None = None
    lockout_within_s: Annotated[float, Field(gt=0, le=3600)] = 60.0
    lockout_s: Annotated[float, Field(gt=0, le=86_400)] = 60.0


class WindowConfig(Section):
    """Hours on some days of the week."""

    days: list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]] = Field(min_length=1)
    start: Clock
    end: Clock


class GroupConfig(Section):
    """People and the hours at which they may come in."""

    name: str | None = None
    people: list[str] | None = None
    windows: list[WindowConfig] = []
    holidays: bool = False


class ScheduleConfig(Section):
    """Who may come in when, and when the door stands unlocked."""

    time_zone: str | None = None
    battery_clock: bool = False
    holidays: list[date] = []
    groups: list[GroupConfig] = []
    unlock: list[WindowConfig] = []

    @property
    def zone(self) -> tzinfo:
        """The zone of the clock on the wall: the configured one, or the system's."""
        if self.time_zone is not None:
            return ZoneInfo.no_cache(self.time_zone)  # the rules of today, after a reload too
        try:
            with LOCAL_TIME.open("rb") as file:
                return ZoneInfo.from_file(file)
        except (OSError, ValueError):
            return UTC


class PanelConfig(Section):
    """The enrolment button, lights and buzzer."""

    button: InputConfig = InputConfig()
    green: OutputConfig = OutputConfig()
    red: OutputConfig = OutputConfig()
    blue: OutputConfig = OutputConfig()
    buzzer: OutputConfig = OutputConfig()


class JournalConfig(Section):
    """What the journal's lines hold."""

    names: bool = False


class AuditConfig(Section):
    """How much of the audit trail is kept."""

    keep_days: Annotated[float, Field(gt=0)] | None = 365.0
    max_mb: Annotated[float, Field(ge=0.01, le=64)] = 16.0


class BackupConfig(Section):
    """The copies of the store that facegate makes by itself."""

    keep: Annotated[int, Field(ge=0, le=100)] = 5
    every_h: Annotated[float, Field(gt=0, le=8760)] = 24.0


class MetricsConfig(Section):
    """Figures for Prometheus; a file of null writes none."""

    textfile: Annotated[str, Field(pattern=r"^/.*\.prom$")] | None = None
    every_s: Annotated[float, Field(ge=1, le=3600)] = 15.0


class StateConfig(Section):
    """Where facegate keeps things; null means the place that fits who runs it."""

    folder: FixedPath | None = None
    key_file: FixedPath | None = None
    socket: FixedPath | None = None
