"""Train a face embedder: distillation from a teacher, in stages of growing pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from facegate.errors import DataError, InputError
from facegate.training import architectures, losses
from facegate.training.augment import augment
from facegate.training.data import FaceCrops, Pairs, read_crops, read_pairs
from facegate.training.loop import Checkpoint, Log, averaged, learning_rate, pick_device, shuffled
from facegate.training.metrics import fold_accuracy
from facegate.training.torch_twin import TorchTwin
from facegate.types import F32

BANK_SIZE = 4096


@dataclass(frozen=True)
class Stage:
    """Part of a run: view side in pixels (a multiple of 32), augmentation strength, crops shown."""

    side: int
    strength: float
    views: int


DEFAULT_STAGES = (Stage(64, 0.0, 800_000), Stage(96, 0.3, 300_000), Stage(160, 0.4, 100_000))


@dataclass(frozen=True)
class Settings:
    """Everything that decides how an embedder training goes."""

    architecture: str = "inception_resnet_lite"
    width: float = 1.0
    stages: tuple[Stage, ...] = DEFAULT_STAGES
    batch: int = 128
    peak_rate: float = 4e-3
    weight_decay: float = 0.05
    seed: int = 0


def parse_stage(text: str) -> Stage:
    """Read `SIDE:STRENGTH:VIEWS`, for example `64:0.2:500000`."""
    try:
        side, strength, views = text.split(":")
        stage = Stage(int(side), float(strength), int(views))
    except ValueError:
        raise InputError(
            f"stage {text!r}: expected SIDE:STRENGTH:VIEWS, as in 64:0.2:500000"
        ) from None
    if stage.side % 32 or stage.side <= 0 or not 0 <= stage.strength <= 1 or stage.views <= 0:
        raise InputError(f"stage {text!r}: side a multiple of 32, strength 0 to 1, views positive")
    return stage


def train(
    data: Path,
    out: Path,
    settings: Settings,
    start_from: Path | None = None,
    say: Callable[[str], None] = print,
) -> Path:
    """Train an embedder and write `embedder.weights.h5` into `out`.

    Args:
        data: folder with `faces-train-*.parquet`, and `faces-val.parquet` with `val-pairs.csv` for
            the accuracy that is printed between stages.
        out: the run's folder; an interrupted run there goes on where it stopped.
        start_from: weights of an earlier run to begin with.

    Raises:
        DataError: the data cannot be read, has no teacher targets, or `out` holds another run.
    """
    torch.manual_seed(settings.seed)
    device = pick_device()
    model = architectures.EMBEDDERS[settings.architecture](width=settings.width)
    if start_from is not None:
        model.load_weights(start_from)
    network = torch.nn.ModuleDict(
        {
            "trunk": TorchTwin(model),
            "head": torch.nn.Linear(architectures.EMBEDDING_SIZE, 512, bias=False),
        }
    ).to(device, memory_format=torch.channels_last)
    average = averaged(network)
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=settings.peak_rate, weight_decay=settings.weight_decay
    )
    random = torch.Generator(device).manual_seed(settings.seed)
    checkpoint = Checkpoint(out, asdict(settings))
    log = Log(out)
    stage_at, step_at = 0, 0
    if state := checkpoint.load(device):
        stage_at, step_at = state["stage"], state["step"]
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        random.set_state(state["random"].cpu())
        say(f"going on at stage {stage_at + 1}, step {step_at}")

    cost = [s.views * s.side**2 for s in settings.stages]
    for number in range(stage_at, len(settings.stages)):
        stage = settings.stages[number]
        say(f"stage {number + 1} of {len(settings.stages)}: {stage}")
        crops = read_crops(sorted(data.glob("faces-train-*.parquet")), _stored_side(stage))
        if not crops.target.shape[1]:
            raise DataError(
                f"{data}: no column 'target': distillation needs a teacher's embeddings"
            )
        pixels = torch.from_numpy(crops.pixels)
        target = torch.from_numpy(crops.target).to(device)
        steps = stage.views // settings.batch
        rows_of = shuffled(len(pixels), settings.batch, settings.seed + number, skip=step_at)
        for step in range(step_at, steps):
            progress = (sum(cost[:number]) + cost[number] * (step + 1) / steps) / sum(cost)
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(progress, settings.peak_rate)
            rows = torch.from_numpy(next(rows_of))
            others = torch.randint(len(target), (BANK_SIZE,), generator=random, device=device)
            views = augment(pixels[rows].to(device), stage.side, stage.strength, random)
            with torch.autocast(device.type, torch.bfloat16):
                raw = network["trunk"](views)
            unit = F.normalize(raw.float(), dim=1)
            projected = F.normalize(network["head"](unit), dim=1)
            wanted = target[rows.to(device)]
            loss = losses.distillation(unit, projected, wanted, target[others])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            average.update_parameters(network)
            log.step(
                progress,
                len(rows),
                loss=float(loss.detach()),
                cosine=float((projected.detach() * wanted).sum(1).mean()),
            )

            def state_now(stage_now: int = number, step_now: int = step + 1) -> dict[str, Any]:
                return {
                    "stage": stage_now,
                    "step": step_now,
                    "network": network.state_dict(),
                    "average": average.state_dict(),
                    "optimiser": optimiser.state_dict(),
                    "random": random.get_state(),
                }

            checkpoint.save(state_now)
        step_at = 0
        checkpoint.save(lambda: {**state_now(), "stage": number + 1, "step": 0}, now=True)  # noqa: B023
        if (data / "val-pairs.csv").is_file():
            held_out = read_crops([data / "faces-val.parquet"], stage.side)
            pairs = read_pairs(data / "val-pairs.csv")
            accuracy = _accuracy(average.module["trunk"], held_out, pairs, device)
            say(f"held-out verification accuracy at {stage.side} px: {accuracy:.4f}")
    twin = average.module["trunk"]
    path = out / "embedder.weights.h5"
    twin.keras_model = [model]
    twin.store().save_weights(path)
    return path


def _stored_side(stage: Stage) -> int:
    """Keep a little more detail than the views need, never more than the crops have."""
    return min(160, round(stage.side * 1.2))


def _accuracy(
    trunk: torch.nn.Module, crops: FaceCrops, pairs: Pairs, device: torch.device
) -> float:
    was_training = trunk.training
    trunk.eval()
    found: list[F32] = []
    with torch.no_grad(), torch.autocast(device.type, torch.bfloat16):
        for start in range(0, len(crops.pixels), 256):
            batch = torch.from_numpy(crops.pixels[start : start + 256]).to(device)
            x = ((batch.permute(0, 3, 1, 2).float() - 127.5) / 128).contiguous(
                memory_format=torch.channels_last
            )
            found.append(F.normalize(trunk(x).float(), dim=1).cpu().numpy())
    trunk.train(was_training)
    vectors = np.concatenate(found)
    similarity = (vectors[pairs.a] * vectors[pairs.b]).sum(1)
    return float(fold_accuracy(similarity, pairs.same, pairs.fold).mean())
