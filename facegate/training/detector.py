"""Train the face detector on annotated pictures."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from facegate.training import architectures
from facegate.training.data import Scene, read_scenes, train_scenes, without_faces
from facegate.training.loop import (
    Checkpoint,
    Learner,
    Log,
    beginnings,
    draw,
    made_ahead,
    mixed_precision,
    network_input,
    pick_device,
    seed_everything,
)
from facegate.training.negatives import MINE_EVERY_VIEWS, hardness
from facegate.training.scenes import assign, compose
from facegate.training.torch_twin import TorchTwin
from facegate.training.weights import load_weights, settle
from facegate.vision.decoding import LEAST_LOG, MOST_LOG, STRIDES, cell_centres

MOSAIC_SHARE = 0.45
FACELESS_SHARE = 0.3
LANDMARK_WEIGHT = 8.0

LONGEST_GRADIENT = 10.0
SETTLING_VIEWS = 256
"""Pictures that give the BatchNorms of a `.tflite` their statistics."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that decides how a detector training goes; the command has the usual numbers."""

    height_px: int = 256
    width_px: int = 320
    views: int
    batch: int
    peak_rate: float
    weight_decay: float = 0.02
    seed: int = 0


@dataclass(frozen=True)
class Batch:
    """Pictures and, for every cell of the three maps, what it should predict.

    Attributes:
        pixels: uint8 (N, H, W, 3).
        kind: int64 (N, M): 1 face, 0 background, -2 ignore.
        boxes, landmarks: float32 (N, M, 4) and (N, M, 10), pixels; meaningful where kind is 1.
    """

    pixels: torch.Tensor
    kind: torch.Tensor
    boxes: torch.Tensor
    landmarks: torch.Tensor


def train(
    data: Path,
    out: Path,
    settings: Settings,
    start_from: Path | None = None,
    say: Callable[[str], None] = print,
) -> Path:
    """Train a detector and write `detector.weights.h5` into `out`.

    Args:
        data: folder with `scenes-train.parquet`.
        out: the run's folder; an interrupted run there goes on where it stopped.
        settings: how the training goes.
        start_from: weights to begin with: of an earlier run, or an exported `.tflite`.
        say: takes the progress lines.

    Raises:
        DataError: the data cannot be read, or `out` holds another run.
        InputError: the weights to begin with do not fit.
    """
    seed_everything(settings.seed)
    device = pick_device()
    known = beginnings([train_scenes(data)], start_from)
    checkpoint = Checkpoint(out, asdict(settings) | known)
    state = checkpoint.load()
    model = architectures.yunet_like(settings.height_px, settings.width_px)
    if start_from is not None and state is None:
        load_weights(model, start_from)
    scenes = read_scenes(train_scenes(data))
    faceless = without_faces(scenes)
    faced = [s for s in scenes if len(s.boxes)]
    network = TorchTwin(model).to(device, memory_format=torch.channels_last)
    if start_from is not None and state is None:
        evenly = torch.ones(len(faceless)) if faceless else None
        count = math.ceil(SETTLING_VIEWS / settings.batch)
        first = _batches(faced, faceless, evenly, settings, 0, count)
        settle(network, [network_input(batch.pixels, device) for batch in first])
    learner = Learner(network, settings.peak_rate, settings.weight_decay, LONGEST_GRADIENT)
    log = Log(out)
    step_at, weights = 0, None
    if state is not None:
        step_at, weights = state["step"], state["weights"]
        learner.go_on(state)
        say(f"going on at step {step_at}")
    steps = max(1, settings.views // settings.batch)
    say(f"{len(scenes)} pictures, {steps} steps of {settings.batch}")
    centres, strides = (
        torch.from_numpy(a).to(device) for a in cell_centres(settings.height_px, settings.width_px)
    )
    mine_every = max(1, MINE_EVERY_VIEWS // settings.batch)
    batches: Iterator[Batch] = iter(())
    for step in range(step_at, steps):
        if step % mine_every == 0 and faceless:
            weights = torch.from_numpy(
                hardness(learner.average.module, faceless, settings.height_px, settings.width_px)
            )
            say(f"{float((weights > 0.5).float().mean()):.1%} of the faceless pictures alarm it")
        if step % mine_every == 0 or step == step_at:
            last = min(steps, (step // mine_every + 1) * mine_every)
            batches = _batches(faced, faceless, weights, settings, step, last)
        batch = next(batches)
        progress = (step + 1) / steps
        with mixed_precision(device):
            maps = network(network_input(batch.pixels, device))
        terms = loss_terms(maps, batch, centres, strides)
        loss = terms["score"] + 2 * terms["box"] + LANDMARK_WEIGHT * terms["landmarks"]
        learner.learn(loss, progress)
        log.step(progress, settings.batch, **{k: v.detach() for k, v in terms.items()})

        checkpoint.save(
            partial(learner.state, step=step + 1, weights=weights), now=step + 1 == steps
        )
    path = out / "detector.weights.h5"
    learner.average.module.store().save_weights(path)
    return path


def loss_terms(
    maps: dict[str, torch.Tensor], batch: Batch, centres: torch.Tensor, strides: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Give the three losses of a batch: score, box, landmarks.

    The score of a face cell should say how well its box overlaps (quality focal loss, Li et al.
    2020, "Generalized Focal Loss"); boxes are judged by distance-IoU (Zheng et al. 2020);
    landmarks by smooth L1 in units of the face's size.
    """
    score, offsets, points = flatten_maps(maps)
    device = score.device
    kind, boxes = batch.kind.to(device), batch.boxes.to(device)
    face = kind == 1
    count = max(1, int(face.sum()))
    row, cell = torch.nonzero(face, as_tuple=True)
    predicted = decode_boxes(offsets[row, cell], centres[cell], strides[cell])
    wanted = boxes[row, cell]
    iou, distance_iou = box_agreement(predicted, wanted)
    quality = torch.zeros_like(score)
    quality[row, cell] = iou.detach().clamp(0.05, 1)
    weight = (torch.sigmoid(score.detach()) - quality).abs().square() * (kind != -2)
    score_loss = (
        F.binary_cross_entropy_with_logits(score, quality, reduction="none") * weight
    ).sum() / count
    size = (wanted[:, 2:] - wanted[:, :2]).prod(1).clamp(min=16).sqrt()[:, None]
    at = points[row, cell].reshape(-1, 5, 2) * strides[cell, None, None] + centres[cell, None]
    error = (at.reshape(-1, 10) - batch.landmarks.to(device)[row, cell]) / size
    landmark_loss = F.smooth_l1_loss(error, torch.zeros_like(error), beta=0.01)
    return {
        "score": score_loss,
        "box": (1 - distance_iou).mean() if len(row) else score_loss * 0,
        "landmarks": landmark_loss if len(row) else score_loss * 0,
    }


def flatten_maps(
    maps: dict[str, torch.Tensor],
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Join the nine maps to score (N, M), box offsets (N, M, 4), landmark offsets (N, M, 10)."""

    def join(kind: str) -> torch.Tensor:
        parts = [maps[f"{kind}_{s}"].float() for s in STRIDES]
        return torch.cat([p.permute(0, 2, 3, 1).flatten(1, 2) for p in parts], dim=1)

    return join("score")[..., 0], join("box"), join("landmarks")


def decode_boxes(
    offsets: torch.Tensor, centres: torch.Tensor, strides: torch.Tensor
) -> torch.Tensor:
    """Turn box offsets (K, 4) into x1 y1 x2 y2 pixels; the same rule as `vision.decoding`."""
    middle = centres + offsets[:, :2] * strides[:, None]
    half = offsets[:, 2:].clamp(LEAST_LOG, MOST_LOG).exp() * strides[:, None] / 2
    return torch.cat([middle - half, middle + half], dim=1)


def box_agreement(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Give IoU and distance-IoU of paired boxes (K, 4)."""
    overlap = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp(min=0)
    shared = overlap.prod(1)
    union = (a[:, 2:] - a[:, :2]).prod(1) + (b[:, 2:] - b[:, :2]).prod(1) - shared
    iou = shared / union.clamp(min=1e-6)
    hull = torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])
    apart = ((a[:, :2] + a[:, 2:]) - (b[:, :2] + b[:, 2:])).square().sum(1) / 4
    return iou, iou - apart / hull.square().sum(1).clamp(min=1e-6)


def _batches(
    faced: list[Scene],
    faceless: list[Scene],
    weights: torch.Tensor | None,
    settings: Settings,
    first: int,
    last: int,
) -> Iterator[Batch]:
    """Compose batches in background threads, in order; step `k` is always the same batch.

    Args:
        weights: float32, how often each faceless picture is taken; None while there is none.
    """
    centres, strides = cell_centres(settings.height_px, settings.width_px)
    odds = None if weights is None else np.cumsum(weights.numpy(), dtype=np.float64)

    def pick(rng: np.random.Generator) -> Scene:
        if odds is not None and (not faced or rng.random() < FACELESS_SHARE):
            return faceless[draw(odds, rng)]
        return faced[int(rng.integers(len(faced)))]

    def make(step: int) -> Batch:
        rng = np.random.default_rng((settings.seed, step))
        pixels, kinds, boxes, landmarks = [], [], [], []
        for _ in range(settings.batch):
            count = 4 if rng.random() < MOSAIC_SHARE else 1
            picks = [pick(rng) for _ in range(count)]
            canvas = compose(picks, settings.height_px, settings.width_px, rng)
            answer = assign(canvas, centres, strides)
            row = np.maximum(answer, 0)
            none = not len(canvas.boxes)
            pixels.append(canvas.pixels)
            kinds.append(np.where(answer >= 0, 1, np.where(answer == -1, 0, -2)))
            boxes.append(np.zeros((len(answer), 4), np.float32) if none else canvas.boxes[row])
            landmarks.append(
                np.zeros((len(answer), 10), np.float32)
                if none
                else canvas.landmarks[row].reshape(-1, 10)
            )
        stacked = (np.stack(a) for a in (pixels, kinds, boxes, landmarks))
        return Batch(*(torch.from_numpy(a) for a in stacked))

    return made_ahead(make, first, last)
