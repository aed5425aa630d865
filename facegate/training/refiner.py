"""Train the refiner on what a detector takes for faces."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from facegate.errors import DataError
from facegate.training import architectures
from facegate.training.candidates import Candidates, candidates_in
from facegate.training.data import Scene, read_scenes, train_scenes, without_faces
from facegate.training.detection import SURE_SCORE
from facegate.training.loop import (
    Checkpoint,
    Learner,
    Log,
    beginnings,
    draw,
    evaluating,
    made_ahead,
    mixed_precision,
    network_input,
    pick_device,
    seed_everything,
)
from facegate.training.progress import Progress, quietly
from facegate.training.squares import Square, square
from facegate.training.torch_twin import TorchTwin
from facegate.training.weights import load_weights, settle
from facegate.types import F32, U8
from facegate.vision.detector import FaceDetector
from facegate.vision.refiner import AROUND, shown

SIDE_PX = 64
FACE_SHARE = 0.45
FOUND_SHARE = 0.5  # of the faces are cut out as the detector found them, the others near by
ANYTHING_SHARE = 0.08  # of the squares are any part of a faceless picture
JITTER = 0.08  # deviation of a box that no detector found, in its sides
SCORE_WEIGHT, BOX_WEIGHT, LANDMARK_WEIGHT = 4.0, 4.0, 12.0

MINE_EVERY_VIEWS = 100_000
MINED = 40_000
"""So many candidates without a face are asked anew each time; the others keep their weight."""

UNKNOWN, FLOOR = 0.1, 0.03
"""Weight of a candidate that was not asked yet, and the least of one that was."""

SETTLING_VIEWS = 2048
LONGEST_GRADIENT = 5.0


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that decides how a refiner training goes; the command has the usual numbers."""

    views: int
    batch: int
    peak_rate: float
    weight_decay: float = 0.05
    seed: int = 0


@dataclass(frozen=True)
class Batch:
    """Squares, and what the refiner should say of them.

    Attributes:
        pixels: uint8 (N, side, side, 3).
        face: bool (N,).
        boxes, landmarks: float32 (N, 4) and (N, 10); meaningful where there is a face.
    """

    pixels: torch.Tensor
    face: torch.Tensor
    boxes: torch.Tensor
    landmarks: torch.Tensor


class Lessons:
    """Draws training squares; which is decided by a seed and the step's number alone.

    Args:
        scenes: the pictures.
        candidates: what a detector sees in them.
        settings: batch and seed.

    Raises:
        DataError: there are no faces, or nothing that is none.
    """

    def __init__(self, scenes: list[Scene], candidates: Candidates, settings: Settings) -> None:
        self._scenes, self._candidates, self._settings = scenes, candidates, settings
        allowed = {id(s) for s in without_faces(scenes)}
        self._faceless = [k for k, s in enumerate(scenes) if id(s) in allowed]
        usable = np.array([id(s) in allowed or len(s.boxes) > 0 for s in scenes], bool)
        self.background = np.flatnonzero((candidates.face < 0) & usable[candidates.scene])
        self._faces = [
            (number, int(face))
            for number, scene in enumerate(scenes)
            for face in np.flatnonzero(scene.scores >= SURE_SCORE)
        ]
        if not self._faces or not (len(self.background) or self._faceless):
            raise DataError("the refiner learns from pictures with faces and from some without")
        self._found = np.flatnonzero(candidates.face >= 0)
        # Of a face that was found in every view each finding counts for less.
        which = np.stack([candidates.scene, candidates.face], axis=1)[self._found]
        _, same, count = np.unique(which, axis=0, return_inverse=True, return_counts=True)
        self._found_odds = np.cumsum(1 / count[same.ravel()]) if len(which) else np.zeros(0)
        self.weights = np.full(len(self.background), UNKNOWN)

    def batches(self, first: int, last: int) -> Iterator[Batch]:
        """Cut squares in background threads, in order; step `k` is always the same batch."""
        odds = np.cumsum(self.weights)
        return made_ahead(lambda step: self._batch(step, odds), first, last)

    def _batch(self, step: int, odds: np.ndarray) -> Batch:
        rng = np.random.default_rng((self._settings.seed, step))
        face = rng.random(self._settings.batch) < FACE_SHARE
        squares = [self._face(rng) if is_face else self._other(rng, odds) for is_face in face]
        return Batch(
            torch.from_numpy(np.stack([s.pixels for s in squares])),
            torch.from_numpy(face),
            torch.from_numpy(np.stack([s.box for s in squares])),
            torch.from_numpy(np.stack([s.landmarks for s in squares])),
        )

    def _face(self, rng: np.random.Generator) -> Square:
        if len(self._found) and rng.random() < FOUND_SHARE:
            row = self._found[draw(self._found_odds, rng)]
            number, face = int(self._candidates.scene[row]), int(self._candidates.face[row])
            box = self._candidates.boxes[row]
        else:
            number, face = self._faces[int(rng.integers(len(self._faces)))]
            box = self._scenes[number].boxes[face]
            sides = box[2:] - box[:2]
            moved = box + np.tile(sides * rng.normal(0, JITTER, 2), 2)
            grown = np.concatenate([-sides, sides]) * rng.normal(0, JITTER)
            box = (moved + grown).astype(np.float32)
        return square(self._scenes[number], box, face, SIDE_PX, rng)

    def _other(self, rng: np.random.Generator, odds: np.ndarray) -> Square:
        anything = rng.random() < ANYTHING_SHARE
        if self._faceless and (anything or not len(odds)):
            scene = self._scenes[self._faceless[int(rng.integers(len(self._faceless)))]]
            height, width = scene.pixels.shape[:2]
            side = float(np.exp(rng.uniform(np.log(8), np.log(max(9, min(height, width))))))
            x, y = rng.uniform(0, width), rng.uniform(0, height)
            box = np.array([x, y, x, y], np.float32) + np.array([-1, -1, 1, 1]) * side / 2
            return square(scene, box.astype(np.float32), -1, SIDE_PX, rng)
        row = self.background[draw(odds, rng)]
        scene = self._scenes[int(self._candidates.scene[row])]
        return square(scene, self._candidates.boxes[row], -1, SIDE_PX, rng)

    def mine(self, network: TorchTwin, seed: int) -> float:
        """Weigh candidates without a face by how sure the network is that they show one.

        Returns:
            The share of those asked that it takes for a face.

        Source: Shrivastava et al. 2016, "Training Region-based Object Detectors with Online Hard
        Example Mining", here over candidates and between spells of training.
        """
        asked = np.random.default_rng(seed).permutation(len(self.background))[:MINED]
        said = _said(network, self._shown(asked))
        self.weights[asked] = np.maximum(said, FLOOR)
        return float((said > 0.5).mean()) if len(said) else 0.0

    def _shown(self, rows: np.ndarray) -> Iterator[U8]:
        for row in self.background[rows].tolist():
            pixels = self._scenes[int(self._candidates.scene[row])].pixels
            yield shown(pixels, self._candidates.boxes[row], SIDE_PX)


def _said(network: TorchTwin, squares: Iterator[U8]) -> F32:
    """Give how sure a network is of every square, float32 (K,)."""
    device = next(network.parameters()).device
    found: list[np.ndarray] = []
    waiting: list[U8] = []

    def ask() -> None:
        score = network(network_input(torch.from_numpy(np.stack(waiting)), device))["score"]
        found.append(torch.sigmoid(score.float()).flatten().cpu().numpy())
        waiting.clear()

    with evaluating(network), mixed_precision(device):
        for pixels in squares:
            waiting.append(pixels)
            if len(waiting) == 512:
                ask()
        if waiting:
            ask()
    return np.concatenate(found) if found else np.zeros(0, np.float32)


def train(
    data: Path,
    out: Path,
    settings: Settings,
    detector: FaceDetector,
    start_from: Path | None = None,
    say: Callable[[str], None] = print,
    progress: Progress[Scene] = quietly,
) -> Path:
    """Train a refiner and write `refiner.weights.h5` into `out`.

    Args:
        data: folder with `scenes-train.parquet`.
        out: the run's folder; an interrupted run there goes on where it stopped.
        settings: how the training goes.
        detector: finds the candidates; one that reports faces from `candidates.EAGER_SCORE` on.
        start_from: weights to begin with: of an earlier run, or an exported `.tflite`.
        say: takes the progress lines.
        progress: shows how far the search for candidates is.

    Raises:
        DataError: the data cannot be read, or `out` holds another run.
        InputError: the weights to begin with do not fit.
    """
    seed_everything(settings.seed)
    device = pick_device()
    known = beginnings([train_scenes(data)], start_from)
    checkpoint = Checkpoint(out, asdict(settings) | known)
    state = checkpoint.load()
    model = architectures.onet_like(SIDE_PX)
    if start_from is not None and state is None:
        load_weights(model, start_from)
    scenes = read_scenes(train_scenes(data))
    lessons = Lessons(scenes, candidates_in(detector, scenes, settings.seed, progress), settings)
    network = TorchTwin(model).to(device, memory_format=torch.channels_last)
    if start_from is not None and state is None:
        first = lessons.batches(0, -(-SETTLING_VIEWS // settings.batch))
        settle(network, [network_input(batch.pixels, device) for batch in first])
    learner = Learner(network, settings.peak_rate, settings.weight_decay, LONGEST_GRADIENT)
    log = Log(out)
    step_at = 0
    if state is not None:
        if len(state["weights"]) != len(lessons.background):
            raise DataError(
                f"{out}: begun with another detector, which saw {len(state['weights'])} candidates "
                f"that are no faces, not {len(lessons.background)}; use that one, or another --out"
            )
        step_at, lessons.weights = state["step"], state["weights"].numpy()
        learner.go_on(state)
        say(f"going on at step {step_at}")
    steps = max(1, settings.views // settings.batch)
    say(f"{len(lessons.background)} candidates are no faces; {steps} steps of {settings.batch}")
    mine_every = max(1, MINE_EVERY_VIEWS // settings.batch)
    batches: Iterator[Batch] = iter(())
    for step in range(step_at, steps):
        if step and step % mine_every == 0:
            wrong = lessons.mine(learner.average.module, step)
            say(f"{wrong:.1%} of the candidates that are no faces pass for one")
        if step % mine_every == 0 or step == step_at:
            batches = lessons.batches(step, min(steps, (step // mine_every + 1) * mine_every))
        batch = next(batches)
        done = (step + 1) / steps
        with mixed_precision(device):
            answers = network(network_input(batch.pixels, device))
        terms = loss_terms(answers, batch)
        loss = (
            SCORE_WEIGHT * terms["score"]
            + BOX_WEIGHT * terms["box"]
            + LANDMARK_WEIGHT * terms["landmarks"]
        )
        learner.learn(loss, done)
        log.step(done, settings.batch, **{k: v.detach() for k, v in terms.items()})

        checkpoint.save(
            partial(learner.state, step=step + 1, weights=torch.from_numpy(lessons.weights)),
            now=step + 1 == steps,
        )
    path = out / "refiner.weights.h5"
    learner.average.module.store().save_weights(path)
    return path


def loss_terms(answers: dict[str, torch.Tensor], batch: Batch) -> dict[str, torch.Tensor]:
    """Give the three losses of a batch: score, box, landmarks.

    Squares that it is sure of hardly count (after Lin et al. 2017, "Focal Loss for Dense Object
    Detection"); boxes and landmarks are judged by smooth L1 in units of the face's size.
    """
    score, box, landmarks = (answers[h].float().flatten(1) for h in ("score", "box", "landmarks"))
    score = score[:, 0]
    face = batch.face.to(score.device)
    wanted = face.float()
    weight = (torch.sigmoid(score.detach()) - wanted).abs()
    entropy = F.binary_cross_entropy_with_logits(score, wanted, reduction="none")
    if not bool(face.any()):
        nothing = score.sum() * 0
        return {"score": (entropy * weight).mean(), "box": nothing, "landmarks": nothing}

    def off(said: torch.Tensor, truth: torch.Tensor, beta: float) -> torch.Tensor:
        error = (said[face] - truth.to(said.device)[face]) * AROUND
        return F.smooth_l1_loss(error, torch.zeros_like(error), beta=beta)

    return {
        "score": (entropy * weight).mean(),
        "box": off(box, batch.boxes, 0.02),
        "landmarks": off(landmarks, batch.landmarks, 0.01),
    }
