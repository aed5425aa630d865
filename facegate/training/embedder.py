"""Train a face embedder, in stages of growing pictures: distillation first, triplets after it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import numpy as np
import torch
from torch.nn import functional as F

from facegate.errors import DataError, TrainingError
from facegate.training import architectures, losses
from facegate.training.augment import augment
from facegate.training.card_file import write_whole
from facegate.training.change import Change, change
from facegate.training.data import (
    CROP_PX,
    FaceCrops,
    read_crops,
    read_pairs,
    train_faces,
    val_faces,
    val_pairs,
)
from facegate.training.loop import (
    CHECKPOINT_EVERY_S,
    Checkpoint,
    Learner,
    Log,
    beginnings,
    evaluating,
    graphed,
    mixed_precision,
    pick_device,
    raw_embeddings,
    seed_everything,
)
from facegate.training.metrics import fold_correct, tells_nobody_apart
from facegate.training.plots import verification_plots
from facegate.training.recipe import Settings, Stage, Variant, variant_behind
from facegate.training.sampling import Balanced, labels_of, shuffled
from facegate.training.torch_twin import TorchTwin
from facegate.training.verification import Verification, figures, verification
from facegate.training.weights import grow, load_weights, settle
from facegate.types import EMBEDDING_FLOATS, I64

TARGET_FLOATS = 512
BANK_SIZE = 4096
SETTLING_VIEWS, SETTLING_BATCH = 1024, 64
HEAD_VIEWS = 8192
COLLAPSED_SPREAD = 0.02
COLLAPSED_STEPS = 100
COLLAPSE_CHECKED_EVERY = 10
MEND = "use --mining semi-hard, a lower --rate or a larger batch, and a new --out"


def train(
    data: Path,
    out: Path,
    settings: Settings,
    start_from: Path | None = None,
    say: Callable[[str], None] = print,
    checkpoint_every_s: float = CHECKPOINT_EVERY_S,
) -> Path:
    """Train an embedder and write `embedder.weights.h5` into `out`.

    Args:
        data: folder with `faces-train-*.parquet`, and `faces-val.parquet` with `val-pairs.csv` for
            the accuracy that is printed between stages.
        out: the run's folder; an interrupted run there goes on where it stopped.
        settings: how the training goes.
        start_from: weights to begin with: of an earlier run, or an exported `.tflite`.
        say: takes the lines about stages and accuracy.
        checkpoint_every_s: seconds between two checkpoints: the most that a kill can cost.

    Raises:
        DataError: the data cannot be read or lacks what a stage needs, or `out` holds another run.
        TrainingError: the embedding collapsed to one point.
    """
    seed_everything(settings.seed)
    device = pick_device()
    random = torch.Generator(device).manual_seed(settings.seed)
    known = beginnings(train_faces(data), start_from)
    checkpoint = Checkpoint(out, asdict(settings) | known, checkpoint_every_s)
    state = checkpoint.load()
    model = network_of(settings.variant, start_from if state is None else None)
    network = torch.nn.ModuleDict(
        {
            "trunk": TorchTwin(model, settings.fake_quantisation),
            "head": losses.Head(EMBEDDING_FLOATS, TARGET_FLOATS),
        }
    ).to(device, memory_format=torch.channels_last)
    judged = val_pairs(data).is_file()
    if judged and state is None:
        side = settings.stages[0].side
        accuracy = held_out_accuracy(network["trunk"], data, side, device)
        say(f"held-out verification accuracy at {side} px before training: {accuracy:.4f}")
    if start_from is not None and state is None:
        _settle_in(network, data, settings, random)
    learner = Learner(network, settings.peak_rate, settings.weight_decay)
    average = learner.average.module["trunk"]
    log, alarm = Log(out), CollapseAlarm(say)
    stage_at, step_at = 0, 0
    if state is not None:
        stage_at, step_at = state["stage"], state["step"]
        learner.go_on(state)
        random.set_state(state["random"])
        say(f"going on at stage {stage_at + 1}, step {step_at}")

    def state_at(stage: int, step: int) -> Callable[[], dict[str, Any]]:
        return lambda: learner.state(stage=stage, step=step, random=random.get_state())

    cost = [s.views * s.side**2 for s in settings.stages]
    held, held_side = None, 0
    for number in range(stage_at, len(settings.stages)):
        stage = settings.stages[number]
        say(f"stage {number + 1} of {len(settings.stages)}: {stage}")
        if held is None or held_side != _stored_side(stage):
            held, held_side = None, _stored_side(stage)
            held = _Held(read_crops(train_faces(data), held_side), device)
        if not held.target.shape[1] and not stage.triplets:
            raise DataError(
                f"{data}: no column 'target': distillation needs a teacher's embeddings; "
                "without them use triplet stages alone"
            )
        batches, size = _batches(held.label, stage, settings, number, step_at)
        if settings.hold_statistics:
            _hold_statistics(network["trunk"])
        graphed(network["trunk"], size, stage.side, device)
        steps = max(1, stage.views // size)
        for step in range(step_at, steps):
            progress = (sum(cost[:number]) + cost[number] * (step + 1) / steps) / sum(cost)
            rows = torch.from_numpy(next(batches))
            views = augment(held.pixels_of(rows), stage.side, stage.strength, random)
            with mixed_precision(device):
                raw = network["trunk"](views)
            unit = F.normalize(raw.float(), dim=1)
            loss, told = _objective(network["head"], unit, rows, held, stage, settings, random)
            learner.learn(loss, progress)
            log.step(progress, len(rows), loss=loss.detach(), **told)
            if step % COLLAPSE_CHECKED_EVERY == 0:
                alarm.check(losses.spread(unit))
            checkpoint.save(state_at(number, step + 1))
        step_at = 0
        checkpoint.save(state_at(number + 1, 0), now=True)
        if judged:
            accuracy = held_out_accuracy(average, data, stage.side, device)
            say(f"held-out verification accuracy at {stage.side} px: {accuracy:.4f}")
    if judged:
        found = held_out_pairs(average, data, settings.stages[-1].side, device)
        if tells_nobody_apart(found.similarity[~found.same]):
            raise TrainingError(f"the embedding collapsed: {out} gives everyone one vector; {MEND}")
        told = leave_figures(out, found)
        low, high = told["intervals"]["accuracy"]
        say(
            f"people it never saw: accuracy {told['accuracy']:.4f} [{low:.4f}, {high:.4f}], TAR "
            f"{told['tar_at_far']['1e-2']:.4f} at FAR 1e-2; curves and figures.json in {out}"
        )
    path = out / "embedder.weights.h5"
    average.store().save_weights(path)
    return path


def network_of(variant: Variant, weights: Path | None = None) -> keras.Model:
    """Build an embedder; weights of one with fewer blocks make it begin as that.

    Raises:
        InputError: the weights do not fit.
    """
    architecture = architectures.EMBEDDERS[variant.architecture]
    model = architecture(**variant.arguments)
    if weights is None:
        return model
    blocks = variant_behind(weights).blocks
    if (blocks or architecture.shape.blocks) == (variant.blocks or architecture.shape.blocks):
        load_weights(model, weights)
        return model
    smaller = architecture(width=variant.width, blocks=blocks)
    load_weights(smaller, weights)
    grow(model, smaller)
    return model


def change_since(
    start_from: Path, weights: Path, data: Path, variant: Variant, side: int = CROP_PX
) -> Change:
    """Compare trained weights with those they began with.

    Args:
        start_from, weights: before and after.
        data: folder with `faces-val.parquet` and `val-pairs.csv`.
        variant: what `weights` are of.
        side: at which they are compared, pixels.
    """
    device = pick_device()
    trunks = (TorchTwin(network_of(variant, path)).to(device) for path in (start_from, weights))
    return change(*(held_out_pairs(trunk, data, side, device) for trunk in trunks))


def _settle_in(
    network: torch.nn.ModuleDict, data: Path, settings: Settings, random: torch.Generator
) -> None:
    """Fit to a trained trunk what its weights' file does not hold, before the first step.

    BatchNorms get the statistics of the first stage's views, unless they are held. The head that is
    thrown away after training is fitted to the trunk as it is: a random one would first pull the
    trunk out of shape.
    """
    stage = settings.stages[0]
    crops = read_crops(train_faces(data)[:1], _stored_side(stage))
    pixels = torch.from_numpy(crops.pixels[:HEAD_VIEWS]).split(SETTLING_BATCH)
    whole = [p.to(random.device) for p in pixels if len(p) == len(pixels[0])]

    def views(batches: list[torch.Tensor]) -> Iterator[torch.Tensor]:
        return (augment(b, stage.side, stage.strength, random) for b in batches)

    trunk = network["trunk"]
    if not settings.hold_statistics:
        settle(trunk, list(views(whole[: SETTLING_VIEWS // SETTLING_BATCH])))
    if not crops.target.shape[1]:
        return
    found = []
    with evaluating(trunk):
        for batch in views(whole):
            with mixed_precision(random.device):
                found.append(F.normalize(trunk(batch).float(), dim=1))
    unit = torch.cat(found)
    target = torch.from_numpy(crops.target[: len(unit)]).to(unit.device)
    losses.fit_head(network["head"], unit, target, random)


def _hold_statistics(trunk: torch.nn.Module) -> None:
    for part in trunk.modules():
        if isinstance(part, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            part.eval()


class _Held:
    """The training set where the training is: on a GPU the crops are copied there."""

    def __init__(self, crops: FaceCrops, device: torch.device) -> None:
        self._device = device
        self._pixels = torch.from_numpy(crops.pixels)
        if device.type == "cuda":
            self._pixels = self._pixels.to(device)
        self.label = labels_of(crops.identity)
        self.labels = torch.from_numpy(self.label).to(device)
        self.target = torch.from_numpy(crops.target).to(device)

    def pixels_of(self, rows: torch.Tensor) -> torch.Tensor:
        """Give uint8 (N, H, W, 3) on the training's device."""
        return self._pixels[rows.to(self._pixels.device)].to(self._device)


def _batches(
    label: I64, stage: Stage, settings: Settings, number: int, skip: int
) -> tuple[Iterator[I64], int]:
    """Give the batches of a stage, and how many crops are in one."""
    seed = settings.seed + number
    if stage.triplets:
        balanced = Balanced(label, settings.people, settings.pictures)
        batches, size = balanced.batches(seed, skip), balanced.people * balanced.pictures
        if not settings.others:
            return batches, size
        others = shuffled(len(label), settings.others, seed, skip)
        both = (np.concatenate(rows) for rows in zip(batches, others, strict=True))
        return both, size + min(settings.others, len(label))
    return shuffled(len(label), settings.batch, seed, skip), min(settings.batch, len(label))


def _objective(
    head: torch.nn.Module,
    unit: torch.Tensor,
    rows: torch.Tensor,
    held: _Held,
    stage: Stage,
    settings: Settings,
    random: torch.Generator,
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Give a step's loss, and what the log tells of it."""
    loss, told = unit.sum() * 0, {}
    rows = rows.to(unit.device)
    if held.target.shape[1]:
        others = torch.randint(len(held.target), (BANK_SIZE,), generator=random, device=unit.device)
        projected = head(unit)
        wanted = held.target[rows]
        loss = loss + losses.distillation(unit, projected, wanted, held.target[others])
        told["cosine"] = (projected.detach() * wanted).sum(1).mean()
    if stage.triplets:
        triplet, active = losses.triplet(unit, held.labels[rows], settings.mining, settings.margin)
        loss = loss + triplet / settings.margin
        told |= {"triplet": triplet.detach(), "active": active}
    return loss, told


class CollapseAlarm:
    """Notice an embedding in which everybody is the same point: its loss rests at the margin."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say, self._checks = say, 0

    def check(self, spread: float) -> None:
        """Take the spread of a batch's embeddings (`losses.spread`).

        Raises:
            TrainingError: it has been next to nothing for `COLLAPSED_STEPS` steps.
        """
        if spread >= COLLAPSED_SPREAD:
            self._checks = 0
            return
        self._checks += 1
        if self._checks == 1:
            self._say(f"all embeddings are nearly one point (spread {spread:.4f})")
        if self._checks * COLLAPSE_CHECKED_EVERY >= COLLAPSED_STEPS:
            raise TrainingError(
                f"the embedding collapsed: for {COLLAPSED_STEPS} steps everybody was one point; "
                f"{MEND}"
            )


def _stored_side(stage: Stage) -> int:
    """Keep a little more detail than the views need, never more than the crops have."""
    return min(160, round(stage.side * 1.2))


def held_out_accuracy(trunk: torch.nn.Module, data: Path, side: int, device: torch.device) -> float:
    """Measure verification accuracy on `faces-val.parquet` with `val-pairs.csv`, in float."""
    found = held_out_pairs(trunk, data, side, device)
    return float(fold_correct(found.similarity, found.same, found.fold).mean())


def held_out_pairs(
    trunk: torch.nn.Module, data: Path, side: int, device: torch.device
) -> Verification:
    """Compare the pairs of `val-pairs.csv` in `faces-val.parquet` at `side` pixels, in float."""
    crops = read_crops([val_faces(data)], side)
    pairs = read_pairs(val_pairs(data), len(crops.pixels))
    batches = (crops.pixels[k : k + 256] for k in range(0, len(crops.pixels), 256))
    raw = torch.from_numpy(raw_embeddings(trunk, batches, device))
    vectors = F.normalize(raw, dim=1).numpy()
    return verification(vectors, pairs, labels_of(crops.identity))


def leave_figures(out: Path, found: Verification) -> dict[str, Any]:
    """Write what held-out people give into a run's folder: `figures.json`, and curves as PNG."""
    told = figures(found)
    verification_plots(out, found)
    write_whole(out / "figures.json", (json.dumps(told, indent=1) + "\n").encode())
    return told
