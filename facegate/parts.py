"""Make the parts the configuration asks for, for the daemon and for commands without it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from facegate.access.enrolment import EnrolmentSettings
from facegate.access.policy import PolicySettings
from facegate.access.store import Store, create_key, load_key
from facegate.config import Config
from facegate.errors import ModelError, StoreError
from facegate.hardware.camera import Camera, open_camera
from facegate.hardware.fake import FakeOutput
from facegate.hardware.lines import GpiodOutput, OutputLine
from facegate.vision.card import Calibration, ModelCard
from facegate.vision.detector import TFLiteFaceDetector
from facegate.vision.embedder import TFLiteFaceEmbedder
from facegate.vision.faces import FaceReader
from facegate.vision.quality import QualityLimits
from facegate.vision.tflite import model_folder

DETECTOR_FILE = "yunet_like.tflite"
EMBEDDER_FILE = "inception_resnet_lite.tflite"


@dataclass(frozen=True)
class Vision:
    """The networks, ready to use, and what the embedder's card says about distances."""

    reader: FaceReader
    detector: TFLiteFaceDetector
    embedder: TFLiteFaceEmbedder
    calibration: Calibration

    @property
    def model_id(self) -> str:
        """The embedder's id, which the store is bound to."""
        return self.embedder.model_id


def detector_path(config: Config) -> Path:
    """Give the detector file: configured or shipped."""
    return Path(config.models.detector or model_folder() / DETECTOR_FILE)


def embedder_path(config: Config) -> Path:
    """Give the embedder file: configured or shipped."""
    return Path(config.models.embedder or model_folder() / EMBEDDER_FILE)


def load_detector(config: Config) -> TFLiteFaceDetector:
    """Load the detector."""
    return TFLiteFaceDetector(
        detector_path(config), config.detection.min_score, config.models.detector_threads
    )


def load_vision(config: Config) -> Vision:
    """Load both networks.

    Raises:
        ModelError: a model cannot be used, or the embedder's card has no calibration.
    """
    detector = load_detector(config)
    embedder = TFLiteFaceEmbedder(embedder_path(config), config.models.embedder_threads)
    calibration = calibration_of(embedder.model.card)
    return Vision(_reader(config, detector, embedder), detector, embedder, calibration)


def reader_for(config: Config, embedder: TFLiteFaceEmbedder) -> FaceReader:
    """Join the configured detector with an embedder, which may lack a calibration."""
    return _reader(config, load_detector(config), embedder)


def _reader(
    config: Config, detector: TFLiteFaceDetector, embedder: TFLiteFaceEmbedder
) -> FaceReader:
    return FaceReader(detector, embedder, QualityLimits(**config.quality.model_dump()))


def calibration_of(card: ModelCard) -> Calibration:
    """Give the card's calibration.

    Raises:
        ModelError: it has none, so no distance of this model means anything.
    """
    if card.calibration is None:
        raise ModelError(f"{card.path}: no calibration; export the model again with its data")
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
    )


def enrolment_settings(config: Config) -> EnrolmentSettings:
    """Give the enrolment's settings."""
    return EnrolmentSettings(**config.enrolment.model_dump())


def open_store(config: Config, model_id: str) -> Store:
    """Open the enrolment store; the first time, make its folder and key.

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
    return Store.open(config.store_path, load_key(key), model_id)


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
        pacing=c.pacing,
        loop=c.loop,
    )


def relay_from(config: Config) -> OutputLine:
    """Claim the relay's line, inactive."""
    relay = config.door.relay
    if relay.driver == "fake":
        return FakeOutput("relay", relay.active_low)
    return GpiodOutput(relay.chip, relay.line, relay.active_low)
