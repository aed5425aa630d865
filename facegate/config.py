"""The configuration: every setting with its default, unit and range, and how it is read.

`config.yaml` beside the package says the same with comments; a test holds the two equal. Unknown
keys are errors, and all errors are reported at once.
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from facegate.errors import ConfigError

SYSTEM_CONFIG = Path("/etc/facegate/config.yaml")
CONFIG_VARIABLE = "FACEGATE_CONFIG"

Share = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """Base of all sections: read-only, no unknown keys, no silent conversions."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class CameraConfig(Section):
    """Where pictures come from."""

    source: str = "picamera2"
    width_px: Annotated[int, Field(ge=160, le=4608)] = 1920
    height_px: Annotated[int, Field(ge=120, le=2592)] = 1080
    small_width_px: Annotated[int, Field(ge=160, le=1920)] = 640
    small_height_px: Annotated[int, Field(ge=120, le=1080)] = 360
    fps: Annotated[float, Field(gt=0, le=120)] = 15.0
    pacing: Literal["real-time", "fast"] = "real-time"
    loop: bool = False


class ModelsConfig(Section):
    """Which networks run, and on how many threads."""

    detector: str | None = None
    embedder: str | None = None
    detector_threads: Annotated[int, Field(ge=1, le=16)] = 1
    embedder_threads: Annotated[int, Field(ge=1, le=16)] = 2


class DetectionConfig(Section):
    """When something is a face, and the same face as before."""

    min_score: Annotated[float, Field(gt=0, lt=1)] = 0.5
    track_min_iou: Share = 0.3
    track_max_lost_frames: Annotated[int, Field(ge=0, le=100)] = 5


class QualityConfig(Section):
    """Which faces are good enough to be compared."""

    min_size_px: Annotated[float, Field(ge=12, le=1000)] = 48.0
    min_sharpness: Annotated[float, Field(ge=0)] = 6.0
    min_brightness: Annotated[float, Field(ge=0, le=255)] = 25.0
    max_brightness: Annotated[float, Field(ge=0, le=255)] = 235.0
    max_yaw: Annotated[float, Field(gt=0, le=1)] = 0.35
    max_roll_deg: Annotated[float, Field(gt=0, le=90)] = 35.0


class AccessConfig(Section):
    """When a face is a person."""

    target_fmr: Annotated[float, Field(gt=0, le=0.5)] = 0.001
    threshold: Annotated[float, Field(gt=0, le=2)] | None = None
    min_margin: Annotated[float, Field(ge=0, le=2)] = 0.04
    votes_needed: Annotated[int, Field(ge=1, le=20)] = 3
    votes_of: Annotated[int, Field(ge=1, le=50)] = 5


class EnrolmentConfig(Section):
    """How people are enrolled with the camera."""

    captures: Annotated[int, Field(ge=1, le=20)] = 5
    interval_s: Annotated[float, Field(ge=0, le=10)] = 0.4
    timeout_s: Annotated[float, Field(gt=0, le=600)] = 30.0


class RelayConfig(Section):
    """The line that opens the door."""

    driver: Literal["gpiod", "fake"] = "gpiod"
    chip: str = "pinctrl-bcm2711"
    line: str | int = "GPIO17"
    active_low: bool = False


class DoorConfig(Section):
    """How the door opens."""

    relay: RelayConfig = RelayConfig()
    pulse_s: Annotated[float, Field(gt=0, le=30)] = 4.0
    max_decision_age_s: Annotated[float, Field(gt=0, le=10)] = 2.0


class StateConfig(Section):
    """Where facegate keeps things; null means the place that fits who runs it."""

    folder: str | None = None
    key_file: str | None = None
    socket: str | None = None


class Config(Section):
    """All settings."""

    camera: CameraConfig = CameraConfig()
    models: ModelsConfig = ModelsConfig()
    detection: DetectionConfig = DetectionConfig()
    quality: QualityConfig = QualityConfig()
    access: AccessConfig = AccessConfig()
    enrolment: EnrolmentConfig = EnrolmentConfig()
    door: DoorConfig = DoorConfig()
    state: StateConfig = StateConfig()

    @property
    def state_folder(self) -> Path:
        """The folder of the store: configured, systemd's, the system's, or the user's own."""
        if self.state.folder:
            return Path(self.state.folder).expanduser()
        if given := os.environ.get("STATE_DIRECTORY"):
            return Path(given.split(":")[0])
        system = Path("/var/lib/facegate")
        if os.access(system, os.W_OK):
            return system
        base = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
        return Path(base).expanduser() / "facegate"

    @property
    def store_path(self) -> Path:
        """The enrolment store."""
        return self.state_folder / "people.db"

    @property
    def key_path(self) -> Path:
        """The key file: configured, a systemd credential, or beside the store."""
        if self.state.key_file:
            return Path(self.state.key_file).expanduser()
        credential = Path(os.environ.get("CREDENTIALS_DIRECTORY", "/nonexistent"), "facegate-key")
        return credential if credential.is_file() else self.state_folder / "key"

    @property
    def socket_path(self) -> Path:
        """The daemon's control socket."""
        if self.state.socket:
            return Path(self.state.socket).expanduser()
        if given := os.environ.get("RUNTIME_DIRECTORY"):
            return Path(given.split(":")[0], "control.sock")
        system = Path("/run/facegate")
        if system.is_dir() and os.access(system, os.X_OK):
            return system / "control.sock"
        return self.state_folder / "control.sock"


def find_config() -> Path | None:
    """Find the file used when none is named: `$FACEGATE_CONFIG`, then /etc, then none."""
    if named := os.environ.get(CONFIG_VARIABLE):
        return Path(named)
    return SYSTEM_CONFIG if SYSTEM_CONFIG.is_file() else None


def load_config(path: Path | None = None) -> Config:
    """Read the configuration.

    Args:
        path: a YAML file; None takes `find_config`'s, or all defaults.

    Raises:
        ConfigError: the file cannot be read, is not YAML, or settings in it are wrong; the message
            lists every mistake with its path.
    """
    path = path or find_config()
    if path is None:
        return Config()
    try:
        content = yaml.safe_load(path.read_text())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = getattr(error, "problem_mark", None)
        line = f", line {where.line + 1}" if where else ""
        raise ConfigError(f"{path}{line}: not valid YAML: {_problem(error)}") from error
    return parse_config({} if content is None else content, str(path))


def parse_config(content: Any, where: str) -> Config:
    """Check settings and fill in the defaults.

    Raises:
        ConfigError: one line for each mistake.
    """
    if not isinstance(content, dict):
        raise ConfigError(f"{where}: expected settings by section, found {type(content).__name__}")
    try:
        config = Config.model_validate(content)
    except ValidationError as error:
        lines = [_explain(dict(e)) for e in error.errors()]
        raise ConfigError("\n  ".join([f"{where}: {len(lines)} mistake(s)", *lines])) from None
    wrong = _contradictions(config)
    if wrong:
        raise ConfigError("\n  ".join([f"{where}: {len(wrong)} mistake(s)", *wrong]))
    return config


def _problem(error: Exception) -> str:
    return str(getattr(error, "problem", None) or error).splitlines()[0]


def _explain(error: dict[str, Any]) -> str:
    path = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        section: Any = Config()
        for part in error["loc"][:-1]:
            section = getattr(section, str(part), section)
        known = list(type(section).model_fields)
        near = difflib.get_close_matches(str(error["loc"][-1]), known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
        return f"{path}: unknown setting; {hint}"
    message = str(error["msg"])
    return f"{path}: {error['input']!r}: {message[:1].lower()}{message[1:]}"


def _contradictions(config: Config) -> list[str]:
    wrong = []
    if config.access.votes_needed > config.access.votes_of:
        wrong.append(
            f"access.votes_needed: {config.access.votes_needed} of access.votes_of "
            f"{config.access.votes_of} can never be reached"
        )
    if config.quality.min_brightness >= config.quality.max_brightness:
        wrong.append("quality.min_brightness: must be below quality.max_brightness")
    return wrong
