"""The configuration: where it is found, how it is read, and what is said of mistakes in it.

Unknown keys are errors, and all errors are reported at once.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from facegate.errors import ConfigError, HardwareError
from facegate.mistakes import contradictions, explained
from facegate.settings import (
    AccessConfig,
    AuditConfig,
    BackupConfig,
    CameraConfig,
    DetectionConfig,
    DoorConfig,
    EnrolmentConfig,
    GpioConfig,
    JournalConfig,
    MetricsConfig,
    ModelsConfig,
    PanelConfig,
    QualityConfig,
    ScheduleConfig,
    Section,
    StateConfig,
)

SYSTEM_CONFIG = Path("/etc/facegate/config.yaml")
SYSTEM_STATE, SYSTEM_RUNTIME = Path("/var/lib/facegate"), Path("/run/facegate")
"""Where an installed gate keeps things; for root and its own user."""

CONFIG_VARIABLE = "FACEGATE_CONFIG"


class Config(Section):
    """All settings."""

    camera: CameraConfig = CameraConfig()
    models: ModelsConfig = ModelsConfig()
    detection: DetectionConfig = DetectionConfig()
    quality: QualityConfig = QualityConfig()
    access: AccessConfig = AccessConfig()
    enrolment: EnrolmentConfig = EnrolmentConfig()
    gpio: GpioConfig = GpioConfig()
    door: DoorConfig = DoorConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    panel: PanelConfig = PanelConfig()
    journal: JournalConfig = JournalConfig()
    audit: AuditConfig = AuditConfig()
    backup: BackupConfig = BackupConfig()
    metrics: MetricsConfig = MetricsConfig()
    state: StateConfig = StateConfig()

    @property
    def state_folder(self) -> Path:
        """The folder of the store: configured, systemd's, the system's, or the user's own.

        Raises:
            ConfigError: the user has no home directory.
        """
        if self.state.folder:
            return Path(self.state.folder).expanduser()
        if given := os.environ.get("STATE_DIRECTORY"):
            return Path(given.split(":")[0])
        if SYSTEM_STATE.exists():  # never another store beside it for whoever may not open it
            return SYSTEM_STATE
        base = os.environ.get("XDG_STATE_HOME", "")
        if not base.startswith(("/", "~")):  # XDG Base Directory Specification: to be ignored
            base = "~/.local/state"
        try:
            return Path(base).expanduser() / "facegate"
        except RuntimeError as error:
            why = f"{base}: no home directory; set state.folder, XDG_STATE_HOME or HOME"
            raise ConfigError(why) from error

    @property
    def store_path(self) -> Path:
        """The enrolment store."""
        return self.state_folder / "people.db"

    @property
    def audit_path(self) -> Path:
        """The audit trail."""
        return self.state_folder / "audit.jsonl"

    @property
    def pin_path(self) -> Path:
        """The hash of the door's PIN."""
        return self.state_folder / "pin"

    @property
    def lockdown_path(self) -> Path:
        """What is there while a lockdown is on."""
        return self.state_folder / "lockdown"

    @property
    def backup_folder(self) -> Path:
        """Where the store's backups are kept."""
        return self.state_folder / "backups"

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
        # An installed gate's folder for it is there only while the gate runs. Whoever has a state
        # folder of their own, and may not enter that one, has a gate of their own.
        installed = self.state_folder == SYSTEM_STATE
        if installed or (SYSTEM_RUNTIME.is_dir() and os.access(SYSTEM_RUNTIME, os.X_OK)):
            return SYSTEM_RUNTIME / "control.sock"
        return self.state_folder / "control.sock"


def find_config() -> Path | None:
    """Find the file used when none is named: `$FACEGATE_CONFIG`, then /etc, then none."""
    if named := os.environ.get(CONFIG_VARIABLE):
        return Path(named)
    return SYSTEM_CONFIG if SYSTEM_CONFIG.is_file() else None


def fingerprint(config: Config) -> str:
    """Give 16 hexadecimal digits that change with any setting."""
    return hashlib.sha256(config.model_dump_json().encode()).hexdigest()[:16]


def differences(config: Config) -> list[str]:
    """Give the paths of settings that are not at their default; never a value, it may be a name."""

    def walk(now: Section, usual: Section, path: str) -> list[str]:
        found = []
        for name, value in now:
            default = getattr(usual, name)
            if isinstance(value, Section) and isinstance(default, Section):
                found += walk(value, default, f"{path}{name}.")
            elif value != default:
                found.append(f"{path}{name}")
        return found

    return walk(config, Config(), "")


class _Loader(yaml.SafeLoader):
    """YAML as it is defined: a key that is there twice is a mistake, not the last one's.

    What looks like a date or a number and is none (2026-02-30) is said with its line; PyYAML lets
    the bare error of Python out.
    """

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise yaml.constructor.ConstructorError(
                problem=f"{node.value!r} cannot be read ({error})", problem_mark=node.start_mark
            ) from error

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    problem=f"{key.value!r} is there twice", problem_mark=key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]\d+$"), list("-+0123456789")
)
"""YAML 1.1 wants 1.0e-3; people write 1e-3, as YAML 1.2 has it."""


def load_config(path: Path | None = None) -> Config:
    """Read the configuration.

    Args:
        path: a YAML file; None takes `find_config`'s, or all defaults.

    Raises:
        ConfigError: the file cannot be read, is not YAML, or settings in it are wrong; the message
            lists every mistake with its path.
        HardwareError: the disk fails.
    """
    path = path or find_config()
    if path is None:
        return Config()
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except OSError as error:
        if error.errno == errno.EIO:  # no mistake in the settings: it may be gone at the next try
            raise HardwareError(
                f"{path}: cannot be read: the disk fails; check it (dmesg)"
            ) from error
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        where = getattr(error, "problem_mark", None)
        line = f", line {where.line + 1}" if where else ""
        raise ConfigError(f"{path}{line}: not valid YAML: {_problem(error)}") from error
    config = parse_config({} if content is None else content, str(path))
    return _anchored(config, path.absolute().parent)


def parse_config(content: Any, where: str) -> Config:
    """Check settings and fill in the defaults.

    Raises:
        ConfigError: one line for each mistake.
    """
    if not isinstance(content, dict):
        raise ConfigError(f"{where}: expected settings by section, found {type(content).__name__}")
    # A section of which every line is commented out is there, and empty.
    empty = [n for n, part in content.items() if part is None and n in Config.model_fields]
    content = {name: part for name, part in content.items() if name not in empty}
    try:
        config = Config.model_validate(content)
    except ValidationError as error:
        lines = [explained(dict(e), Config) for e in error.errors()]
        raise ConfigError("\n  ".join([f"{where}: {len(lines)} mistake(s)", *lines])) from None
    wrong = contradictions(config)
    if wrong:
        raise ConfigError("\n  ".join([f"{where}: {len(wrong)} mistake(s)", *wrong]))
    return config


def is_bare(network: str) -> bool:
    """Tell the name of a network that ships, without folder and ending, from a path."""
    return Path(network).stem == network


def _anchored(config: Config, folder: Path) -> Config:
    """Let paths of networks and of a film that are not absolute begin at the settings' folder."""
    names = ("detector", "refiner", "embedder")
    given = {name: path for name in names if (path := getattr(config.models, name))}
    found = {
        name: str(folder / Path(path).expanduser())
        for name, path in given.items()
        if not is_bare(path)
    }
    sections: dict[str, Section] = {"models": config.models.model_copy(update=found)}
    kind, _, film = config.camera.source.partition(":")
    if kind == "file":
        source = f"file:{folder / os.path.expanduser(film)}"
        sections["camera"] = config.camera.model_copy(update={"source": source})
    return config.model_copy(update=sections)


def _problem(error: Exception) -> str:
    return str(getattr(error, "problem", None) or error).splitlines()[0]
