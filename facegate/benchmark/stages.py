"""What each step of a frame costs one core, from the camera's buffers to the decision."""

from __future__ import annotations

import time
from dataclasses import dataclass

import cv2
import numpy as np

from facegate import parts
from facegate.access.policy import Look, Policy
from facegate.access.store import Store
from facegate.config import Config
from facegate.roster import Roster
from facegate.types import U8
from facegate.vision.tflite import TFLiteModel
from facegate.vision.tracker import Tracker

NETWORKS = ("detector network", "refiner network", "embedder network")
FINDING = ("colours of the small picture", "shrink, decode, cut out", "track")
"""What every frame costs beside the detector, whether there is a face in it or not."""

PERCENTILES = (50, 95, 99)
WARM_UP_FRAMES = 5


@dataclass(frozen=True)
class StageCost:
    """What a step costs, CPU milliseconds at the percentiles of `PERCENTILES`, and on average."""

    stage: str
    percentiles: tuple[float, ...]
    mean: float


class _Clock:
    """Collects CPU seconds by step, from one mark to the next."""

    def __init__(self) -> None:
        self.spent: dict[str, list[float]] = {}
        self._networks: dict[str, tuple[TFLiteModel, float]] = {}
        self._began_s = 0.0

    def start(self, **networks: TFLiteModel) -> None:
        """Begin a step; what networks spend in it is kept apart, as steps by their names."""
        self._networks = {name: (network, network.cpu_s) for name, network in networks.items()}
        self._began_s = time.thread_time()

    def stop(self, stage: str) -> None:
        """End the step that was begun."""
        took_s = time.thread_time() - self._began_s
        for name, (network, before_s) in self._networks.items():
            inside_s = network.cpu_s - before_s
            self.spent.setdefault(f"{name} network", []).append(inside_s)
            took_s -= inside_s
        self.spent.setdefault(stage, []).append(took_s)


def stages(
    config: Config, vision: parts.Vision, store: Store, pictures: list[U8], repeat: int
) -> list[StageCost]:
    """Work off pictures one after the other as the gate does, on one thread.

    The frames are those of the Pi's camera: a full picture that is read where it lies, in the
    camera's buffer, and a low-resolution one whose colours have to be turned. Every face is
    embedded and compared, which the gate does only until its mind is made up.

    Args:
        config: settings; the sizes of both pictures.
        vision: networks, with one thread each.
        store: enrolled people.
        pictures: uint8 (H, W, 3), RGB, one face in each.
        repeat: how often they are all worked off.
    """
    camera, clock = config.camera, _Clock()
    tracker = Tracker()
    members = Roster(config, vision.calibration, store).now
    policy = Policy(members.limits, vision.calibration.probability, members.names.get)
    buffers = [_buffers(p, camera.width_px, camera.height_px, camera.small_width_px,
                        camera.small_height_px) for p in pictures]  # fmt: skip
    numbers = [n for _ in range(repeat) for n in range(len(buffers))]
    for seq, number in enumerate([*range(WARM_UP_FRAMES), *numbers]):
        if seq == WARM_UP_FRAMES:
            clock.spent.clear()
        pixels, planes = buffers[number % len(buffers)]
        detector, refiner = vision.detector.model, vision.refiner.model
        clock.start()
        small = cv2.cvtColor(planes, cv2.COLOR_YUV2RGB_I420).astype(np.uint8, copy=False)
        clock.stop("colours of the small picture")
        clock.start(detector=detector, refiner=refiner)
        found = vision.reader.find(pixels, small)
        clock.stop(FINDING[1])
        now_s = time.monotonic()
        clock.start()
        tracks = tracker.update(found, now_s)
        clock.stop("track")
        for track in tracks:
            clock.start()
            face = vision.reader.look(pixels, track.detection)
            clock.stop("align and judge")
            clock.start(embedder=vision.embedder.model)
            vector = vision.reader.embed(face).vector
            clock.stop("numbers in and out")
            clock.start()
            policy.decide(Look(track.track_id, members.matcher.match(vector), now_s, seq))
            clock.stop("match and decide")
    return [_cost(name, spent, len(numbers)) for name, spent in clock.spent.items()]


def outside_networks(costs: list[StageCost]) -> float:
    """Give the share of a frame's CPU time that is spent outside the networks."""
    whole = sum(c.mean for c in costs)
    return 1 - sum(c.mean for c in costs if c.stage in NETWORKS) / whole


def _cost(stage: str, spent: list[float], frames: int) -> StageCost:
    milliseconds = np.array(spent) * 1e3
    marks = tuple(round(float(p), 3) for p in np.percentile(milliseconds, PERCENTILES))
    return StageCost(stage, marks, round(float(milliseconds.sum()) / frames, 4))


def _buffers(picture: U8, width: int, height: int, small_width: int, small_height: int
             ) -> tuple[U8, U8]:  # fmt: skip
    """Give what lies in a Pi camera's two buffers: RGB, and planar YUV420."""
    full = cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR)
    small = cv2.resize(picture, (small_width, small_height), interpolation=cv2.INTER_AREA)
    planes = cv2.cvtColor(small, cv2.COLOR_RGB2YUV_I420)
    return full.astype(np.uint8, copy=False), planes.astype(np.uint8, copy=False)
