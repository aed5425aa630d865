"""Make the parts the configuration asks for, for the daemon and for commands without it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import time
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from facegate.access.audit import AuditTrail, Limits
from facegate.access.audit_age import DAY_S
from facegate.access.custody import Places, settled_key
from facegate.access.door_events import DoorSettings
from facegate.access.enrolment import EnrolmentSettings
from facegate.access.likeness import Likeness, likenesses
from facegate.access.names import same_name_key
from facegate.access.policy import PolicySettings
from facegate.access.rolling import RollingBackups
from facegate.access.schedule import DAYS, Group, Schedule, Window
from facegate.access.store import Store, create_key
from facegate.closing import Closing
from facegate.config import Config, is_bare
from facegate.errors import ModelError, StoreError
from facegate.hardware.camera import Camera, open_camera
from facegate.hardware.fake import FakeInput, FakeOutput
from facegate.hardware.lines import GpiodInput, GpiodOutput, InputLine, OutputLine
from facegate.hardware.panel import LAMPS, Lamp
from facegate.settings import WindowConfig
from facegate.types import F32, U8
from facegate.vision.card import Calibration, ModelCard, read_card
from facegate.vision.detector import FaceDetector, TFLiteFaceDetector
from facegate.vision.embedder import TFLiteFaceEmbedder
from facegate.vision.faces import FaceReader
from facegate.vision.finder import FaceFinder
from facegate.vision.quality import GateSettings, QualityLimits
from facegate.vision.refiner import FaceRefiner, TFLiteFaceRefiner
from facegate.vision.tflite import TFLiteModel, model_folder

DETECTOR, REFINER, EMBEDDER = "yunet_like", "onet_like", "inception_resnet_v1"
"""The networks that ship and are used where the settings name no other."""


@dataclass(frozen=True)
class Vision:
    """The networks, ready to use, and what the embedder's card says about distances."""

    reader: FaceReader
    detector: TFLiteFaceDetector
    refiner: TFLiteFaceRefiner
    embedder: TFLiteFaceEmbedder
    calibration: Calibration

    @property
    def model_id(self) -> str:
        """The embedder's id, which the store is bound to."""
        return self.embedder.model_id

    @property
    def canaries(self) -> dict[str, tuple[Callable[[U8], F32], tuple[int, int, int]]]:
        """What asks each network for all it says of a picture, and the picture's shape."""
        models = {
            "detector": self.detector.model,
            "refiner": self.refiner.model,
            "embedder": self.embedder.model,
        }
        return {
            name: (partial(_all_outputs, model), model.input_shape)
            for name, model in models.items()
        }


def _all_outputs(model: TFLiteModel, picture: U8) -> F32:
    return np.concatenate([values.ravel() for values in model.run(picture).values()])


def network_file(name: str) -> Path:
    """Give a network's file, from its path or from the bare name of one that ships."""
    return model_folder() / f"{name}.tflite" if is_bare(name) else Path(name)


def detector_path(config: Config) -> Path:
    """Give the detector file: configured or shipped."""
    return network_file(config.models.detector or DETECTOR)


def refiner_path(config: Config) -> Path:
    """Give the refiner file: configured or shipped."""
    return network_file(config.models.refiner or REFINER)


def embedder_path(config: Config) -> Path:
    """Give the embedder file: configured or shipped."""
    return network_file(config.models.embedder or EMBEDDER)


def load_detector(config: Config) -> TFLiteFaceDetector:
    """Load the detector, which gives candidates."""
    return TFLiteFaceDetector(detector_path(config), threads=config.models.detector_threads)


def load_refiner(config: Config) -> TFLiteFaceRefiner:
    """Load the refiner."""
    return TFLiteFaceRefiner(refiner_path(config), config.models.detector_threads)


def load_finder(config: Config) -> FaceFinder:
    """Load the two networks that find faces."""
    return finder_of(config, load_detector(config), load_refiner(config))


def finder_of(config: Config, detector: FaceDetector, refiner: FaceRefiner) -> FaceFinder:
    """Join the networks that find faces."""
    return FaceFinder(detector, refiner, config.detection.min_score, config.detection.tiles)


def load_vision(config: Config) -> Vision:
    """Load all networks, and keep OpenCV to the thread that calls it.

    Its own threads would take the cores from camera and networks for pictures too small to share.

    Raises:
        ModelError: a model cannot be used, or the embedder's card has no calibration.
    """
    cv2.setNumThreads(1)
    detector, refiner = load_detector(config), load_refiner(config)
    embedder = TFLiteFaceEmbedder(embedder_path(config), config.models.embedder_threads)
    calibration = calibration_of(embedder.model.card)
    limits = quality_limits(config, embedder.model.card)
    reader = FaceReader(finder_of(config, detector, refiner), embedder, limits)
    return Vision(reader, detector, refiner, embedder, calibration)


def reader_for(config: Config, embedder: TFLiteFaceEmbedder) -> FaceReader:
    """Join the configured finder with an embedder, which may lack a calibration."""
    return FaceReader(load_finder(config), embedder, quality_limits(config, embedder.model.card))


def gate_settings(config: Config) -> GateSettings:
    """Give the quality gate's settings, to which the embedder's own limits come."""
    c = config.quality
    limits = QualityLimits(
        min_size_px=c.min_size_px,
        min_sharpness=c.min_sharpness,
        min_brightness=c.min_brightness,
        max_brightness=c.max_brightness,
        max_yaw=c.max_yaw,
        max_roll_deg=c.max_roll_deg,
    )
    return GateSettings(limits, c.shortest_refused, c.covered_refused)


def quality_limits(config: Config, card: ModelCard) -> QualityLimits:
    """Give all limits of the quality gate; those of the embedding come from the model's card."""
    return gate_settings(config).limits_for(card.lengths, card.coverage)


def calibration_of(card: ModelCard) -> Calibration:
    """Give the card's calibration.

    Raises:
        ModelError: it has none, so no distance of this model means anything.
    """
    if card.calibration is None:
        raise ModelError(f"{card.path}: no usable calibration; make one with `facegate calibrate`")
    return card.calibration


def threshold_for(config: Config, calibration: Calibration, people: int) -> float:
    """Give the greatest distance that counts as a match among `people` enrolled."""
    if config.access.threshold is not None:
        return config.access.threshold
    return calibration.threshold(config.access.target_fmr, people)


def policy_settings(config: Config, calibration: Calibration, people: int) -> PolicySettings:
    """Give the policy's limits for `people` enrolled."""
    return PolicySettings(
        threshold=threshold_for(config, calibration, people),
        min_margin=config.access.min_margin,
        votes_needed=config.access.votes_needed,
        votes_of=config.access.votes_of,
        turn_within_s=config.access.liveness_s if config.access.liveness else None,
    )


def enrolment_settings(config: Config) -> EnrolmentSettings:
    """Give the enrolment's settings."""
    c = config.enrolment
    return EnrolmentSettings(c.captures, c.interval_s, c.timeout_s)


def open_store(config: Config, model_id: str, *, take_on: bool = False) -> Store:
    """Open the enrolment store; the first time, make its folder and key.

    Args:
        config: settings.
        model_id: the embedder's.
        take_on: drop the templates of another model.

    Raises:
        StoreError: the folder cannot be made, or the store or its key cannot be used.
    """
    folder, key = config.state_folder, config.key_path
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StoreError(
            f"{folder}: cannot be made: {error.strerror}; run as its owner or set state.folder"
        ) from error
    if not key.exists() and not config.store_path.exists():
        create_key(key)
    return Store.open(config.store_path, settled_key(places(config)), model_id, take_on=take_on)


def likenesses_in(config: Config, store: Store) -> list[Likeness]:
    """Compare everybody enrolled with everybody else, without loading a network.

    Raises:
        ModelError: the embedder's card has no calibration.
    """
    calibration = calibration_of(read_card(embedder_path(config), "embedder"))
    gallery = store.gallery()
    return likenesses(gallery, threshold_for(config, calibration, len(gallery.names)))


def places(config: Config) -> Places:
    """Say where the store and what belongs to it lie."""
    return Places(
        config.store_path, config.key_path, config.audit_path, config.backup_folder, config.pin_path
    )


def rolling_backups(config: Config) -> RollingBackups:
    """Give the copies of the store that are made by themselves.

    Raises:
        StoreError: the key cannot be used.
    """
    key = settled_key(places(config))
    return RollingBackups(config.backup_folder, key, config.backup.keep)


def open_audit(config: Config) -> AuditTrail:
    """Open the audit trail beside the store, whose key must be there already.

    Raises:
        StoreError: the trail or the key cannot be used.
    """
    c = config.audit
    keep_s = None if c.keep_days is None else c.keep_days * DAY_S
    limits = Limits(int(c.max_mb * (1 << 20)), keep_s)
    return AuditTrail.open(config.audit_path, settled_key(places(config)), limits)


def camera_from(config: Config, source: str | None = None) -> Camera:
    """Open the camera that is configured, or `source` instead."""
    c = config.camera
    return open_camera(
        source or c.source,
        width_px=c.width_px,
        height_px=c.height_px,
        small_width_px=c.small_width_px,
        small_height_px=c.small_height_px,
        fps=c.fps,
        focus_m=c.focus_m,
        rotation=c.rotation,
        pacing=c.pacing,
        loop=c.loop,
    )


def door_settings(config: Config) -> DoorSettings:
    """Give the door's behaviour."""
    c = config.door
    return DoorSettings(
        pulse_s=c.pulse_s,
        max_decision_age_s=c.max_decision_age_s,
        relock_on_close=c.relock_on_close,
        held_open_warning_s=c.held_open_warning_s,
        held_open_alarm_s=c.held_open_alarm_s,
        second_factor=c.second_factor,
        second_factor_s=c.second_factor_s,
        lockout_attempts=c.lockout_attempts,
        lockout_within_s=c.lockout_within_s,
        lockout_s=c.lockout_s,
    )


def schedule(config: Config) -> Schedule:
    """Give the hours."""
    c = config.schedule
    return Schedule(
        zone=c.zone,
        holidays=frozenset(c.holidays),
        groups=tuple(
            Group(
                None if g.people is None else frozenset(same_name_key(p) for p in g.people),
                tuple(_window(w) for w in g.windows),
                g.holidays,
                None if g.name is None else same_name_key(g.name),
            )
            for g in c.groups
        ),
        unlock=tuple(_window(w) for w in c.unlock),
        battery_clock=c.battery_clock,
    )


def _window(window: WindowConfig) -> Window:
    start, end = time.fromisoformat(window.start), time.fromisoformat(window.end)
    return Window(frozenset(DAYS.index(day) for day in window.days), start, end)


@dataclass(frozen=True)
class Lines(Closing):
    """All lines of one gate; a context manager that closes them, the relay last.

    Attributes:
        relay: the strike's.
        inputs: those wired, by the names `DoorKeeper` knows.
        lamps: those wired.
    """

    relay: OutputLine
    inputs: Mapping[str, InputLine]
    lamps: Mapping[Lamp, OutputLine]

    def close(self) -> None:
        """Let all lines go."""
        with ExitStack() as stack:
            stack.callback(self.relay.close)
            for line in self.inputs.values():
                stack.callback(line.close)
            for lamp in self.lamps.values():
                stack.callback(lamp.close)


def relay_from(config: Config) -> OutputLine:
    """Claim the relay's line, inactive."""
    return _output(config, "relay", config.door.relay.line, config.door.relay.active_low)


def lines_from(config: Config) -> Lines:
    """Claim all lines that are wired, the relay first; the fake driver has every one.

    Raises:
        LineError: one cannot be had; those claimed before are let go.
    """
    door, panel = config.door, config.panel
    wanted = {
        "exit_button": door.exit_button,
        "contact": door.contact,
        "tamper": door.tamper,
        "factor_button": door.factor_button,
        "enrol_button": panel.button,
    }
    fake = config.gpio.driver == "fake"
    with ExitStack() as stack:
        relay = stack.enter_context(relay_from(config))
        inputs: dict[str, InputLine] = {}
        for name, c in wanted.items():
            if fake:
                inputs[name] = FakeInput(name)
            elif c.line is not None:
                inputs[name] = GpiodInput(
                    config.gpio.chip, c.line, c.active_low, c.bias, c.debounce_s
                )
            else:
                continue
            stack.callback(inputs[name].close)
        lamps: dict[Lamp, OutputLine] = {}
        for lamp in LAMPS:
            output = getattr(panel, lamp)
            if fake or output.line is not None:
                lamps[lamp] = _output(config, lamp, output.line, output.active_low)
                stack.callback(lamps[lamp].close)
        stack.pop_all()
    return Lines(relay, inputs, lamps)


def _output(config: Config, name: str, line: str | int, active_low: bool) -> OutputLine:
    if config.gpio.driver == "fake":
        return FakeOutput(name, active_low)
    return GpiodOutput(config.gpio.chip, line, active_low)
