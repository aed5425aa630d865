"""What the training loops share: batches made ahead, checkpoints that survive a kill, the log."""

from __future__ import annotations

import csv
import hashlib
import math
import os
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch.optim.swa_utils import AveragedModel

from facegate.errors import DataError
from facegate.types import F32, U8
from facegate.vision.card import sha256_of
from facegate.vision.preprocess import PIXEL_MEAN, PIXEL_SCALE

CHECKPOINT_EVERY_S = 120.0
LOG_EVERY_S = 10.0
BATCHES_AHEAD = 2
"""For each processor core."""

T = TypeVar("T")


def seed_everything(seed: int) -> None:
    """Seed torch, and what Keras draws first weights with.

    Keras' own `set_random_seed` would also import TensorFlow: seconds for nothing.
    """
    random.seed(seed)
    torch.manual_seed(seed)


def pick_device() -> torch.device:
    """Use the GPU when torch sees one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def mixed_precision(device: torch.device) -> torch.autocast:
    """Compute in bfloat16 where the hardware does, in float32 elsewhere.

    A processor without bfloat16 instructions (AVX-512 BF16 or AMX) emulates them, five to seven
    times slower than float32.
    """
    native = device.type != "cpu" or torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return torch.autocast(device.type, torch.bfloat16, enabled=native)


def graphed(module: torch.nn.Module, batch: int, side: int, device: torch.device) -> None:
    """Record a network's passes on a GPU, which then repeats them without waiting for Python.

    A network of hundreds of small layers otherwise leaves a large GPU idle for most of a step. Made
    anew for each size of input; elsewhere than on a GPU nothing happens.

    Args:
        module: the network, in training mode, already copied where it is averaged.
        batch, side: of its input, (batch, 3, side, side).
        device: where it is.
    """
    if device.type != "cuda":
        return
    vars(module).pop("forward", None)  # what was recorded for another size
    kept = [buffer.clone() for buffer in module.buffers()]
    torch.backends.cudnn.benchmark = True
    sample = torch.randn(batch, 3, side, side, device=device)
    sample = sample.contiguous(memory_format=torch.channels_last)
    with torch.autocast(device.type, torch.bfloat16, cache_enabled=False):
        torch.cuda.make_graphed_callables(module, (sample,))
    for buffer, before in zip(module.buffers(), kept, strict=True):
        buffer.copy_(before)  # recording runs on noise, which belongs in no statistics


def network_input(pixels: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Give float32 (N, 3, H, W) of uint8 (N, H, W, 3), normalised as `vision.preprocess` does."""
    x = pixels.to(device).permute(0, 3, 1, 2).float()
    return ((x - PIXEL_MEAN) / PIXEL_SCALE).contiguous(memory_format=torch.channels_last)


@contextmanager
def evaluating(network: torch.nn.Module) -> Iterator[None]:
    """Ask a network without teaching it; it comes back in the mode it was in."""
    was_training = network.training
    network.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        network.train(was_training)


def raw_embeddings(trunk: torch.nn.Module, batches: Iterable[U8], device: torch.device) -> F32:
    """Embed crops as they are: float32 (N, D), before normalising.

    Args:
        trunk: of an embedder.
        batches: uint8 (n, side, side, 3).
        device: where the trunk is.
    """
    found = []
    with evaluating(trunk), mixed_precision(device):
        for pixels in batches:
            x = network_input(torch.from_numpy(pixels), device)
            found.append(trunk(x).float().cpu().numpy())
    return np.concatenate(found)


def made_ahead(make: Callable[[int], T], first: int, last: int) -> Iterator[T]:
    """Make what the steps from `first` up to `last` need, in background threads and in order."""
    cores = len(os.sched_getaffinity(0))
    with ThreadPoolExecutor(cores) as pool:
        ahead: list[Future[T]] = []
        for step in range(first, last):
            ahead.append(pool.submit(make, step))
            if len(ahead) > BATCHES_AHEAD * cores:
                yield ahead.pop(0).result()
        for future in ahead:
            yield future.result()


def draw(odds: np.ndarray, rng: np.random.Generator) -> int:
    """Draw a row by its weight, given the sums of the weights up to each."""
    at = int(np.searchsorted(odds, rng.random() * odds[-1], side="right"))
    return min(at, len(odds) - 1)


def learning_rate(progress: float, peak: float, warm_up: float = 0.03) -> float:
    """Linear warm-up, then half a cosine down to one hundredth of the peak."""
    if progress < warm_up:
        return peak * (progress + 1e-4) / warm_up
    done = (progress - warm_up) / (1 - warm_up)
    return peak * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))


def averaged(module: torch.nn.Module, decay: float = 0.998) -> AveragedModel:
    """Make the running average of a module's weights, which is what is evaluated and shipped.

    The average forgets faster in the first steps, so that a short run's is not its random start.
    """

    def update(mean: Sequence[torch.Tensor], new: Sequence[torch.Tensor], count: Any) -> None:
        if not mean[0].is_floating_point():
            torch._foreach_copy_(mean, new)
            return
        # No number is read back: a GPU would wait for it at every step.
        taken = 1 - torch.clamp((1 + count) / (10 + count), max=decay).to(mean[0].dtype)
        change = torch._foreach_sub(new, mean)
        torch._foreach_mul_(change, taken)
        torch._foreach_add_(mean, change)

    return AveragedModel(module, multi_avg_fn=update, use_buffers=True)


class Learner:
    """A network that learns, its running average, and its optimiser.

    Args:
        network: on its device already.
        peak_rate, weight_decay: of AdamW; the rate follows `learning_rate`.
        longest: gradients are clipped to this length, if any is given.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        peak_rate: float,
        weight_decay: float,
        longest: float | None = None,
    ) -> None:
        self.network, self.average = network, averaged(network)
        self._peak_rate, self._longest = peak_rate, longest
        self._optimiser = torch.optim.AdamW(
            network.parameters(),
            lr=peak_rate,
            weight_decay=weight_decay,
            fused=next(network.parameters()).is_cuda,
        )

    def learn(self, loss: torch.Tensor, progress: float) -> None:
        """Take one step; `progress` is how much of the run is done after it, 0 to 1."""
        for group in self._optimiser.param_groups:
            group["lr"] = learning_rate(progress, self._peak_rate)
        self._optimiser.zero_grad()
        loss.backward()
        if self._longest is not None:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self._longest)
        self._optimiser.step()
        self.average.update_parameters(self.network)

    def state(self, **more: Any) -> dict[str, Any]:
        """Give what a checkpoint holds of it, and `more`."""
        return {
            **more,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self._optimiser.state_dict(),
        }

    def go_on(self, state: dict[str, Any]) -> None:
        """Take up what a checkpoint holds of it.

        Raises:
            DataError: it is of a network of another shape.
        """
        try:
            self.network.load_state_dict(state["network"])
        except RuntimeError as error:
            raise DataError(
                "the checkpoint is of a network of another shape: another facegate made it; begin "
                "anew, with another --out"
            ) from error
        self.average.load_state_dict(state["average"])
        self._optimiser.load_state_dict(state["optimiser"])


def beginnings(data: Iterable[Path], start_from: Path | None) -> dict[str, str]:
    """Say what a run learns from and begins with, so that it goes on with nothing else.

    Args:
        data: the files of the training sets; their names and sizes count.
        start_from: the weights' file, if any; its content counts.
    """
    files = [(p.name, p.stat().st_size) for p in sorted(data) if p.is_file()]
    return {
        "data": hashlib.sha256(repr(files).encode()).hexdigest(),
        "start_from": sha256_of(start_from) if start_from and start_from.is_file() else "",
    }


class Checkpoint:
    """One file in the run's folder, replaced atomically.

    Args:
        folder: the run's folder, created when missing.
        settings: what the run was started with, `beginnings` among it; a checkpoint of other
            settings is refused.
        every_s: seconds between two checkpoints.
    """

    def __init__(
        self, folder: Path, settings: dict[str, Any], every_s: float = CHECKPOINT_EVERY_S
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path, self.settings, self._every_s = folder / "checkpoint.pt", settings, every_s
        self._saved_at_s = time.monotonic()

    def load(self) -> dict[str, Any] | None:
        """Return what was saved, or None at the start of a run.

        Raises:
            DataError: the folder holds a run with other settings, or a damaged checkpoint.
        """
        if not self.path.is_file():
            return None
        try:
            state: dict[str, Any] = torch.load(self.path, map_location="cpu", weights_only=True)
            theirs = state.pop("settings")
        except Exception as error:  # torch lets out whatever it stumbles over
            raise DataError(
                f"{self.path}: not a checkpoint, or a damaged one; remove it to begin anew"
            ) from error
        # A setting that the checkpoint's facegate did not know yet had its default then.
        other = [
            f"{k} was {theirs[k]:g}" if isinstance(theirs[k], float) else k
            for k, v in self.settings.items()
            if theirs.get(k, v) != v
        ]
        if other:
            raise DataError(
                f"{self.path.parent} holds a run with other settings ({', '.join(other)}): choose "
                "another --out, or give the same options to resume it"
            )
        return state

    def save(self, state: Callable[[], dict[str, Any]], now: bool = False) -> None:
        """Save if it is time to, or `now`."""
        if not now and time.monotonic() - self._saved_at_s < self._every_s:
            return
        temporary = self.path.with_suffix(".tmp")
        with temporary.open("wb") as file:
            torch.save({**state(), "settings": self.settings}, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.path)
        self._saved_at_s = time.monotonic()


class Log:
    """Losses as plain lines and in `train.csv`: one row every `LOG_EVERY_S` seconds."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "train.csv"
        self._sums: dict[str, torch.Tensor] = {}
        self._steps, self._views = 0, 0
        self._began: tuple[float, float] | None = None
        self._since_s = time.monotonic()

    def step(self, progress: float, views: int, **values: torch.Tensor) -> None:
        """Add one step's values; write a line when it is time to.

        The sums stay tensors until then: reading a value would make a GPU wait at every step.
        """
        for name, value in values.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value
        self._steps += 1
        self._views += views
        if self._began is None:
            self._began = (time.monotonic(), progress)
        elapsed_s = time.monotonic() - self._since_s
        if elapsed_s >= LOG_EVERY_S or progress >= 1.0:
            means = {k: float(v) / self._steps for k, v in self._sums.items()}
            self._write({"progress": progress, "views_per_s": self._views / elapsed_s, **means})
            self._sums, self._steps, self._views = {}, 0, 0
            self._since_s = time.monotonic()

    def _write(self, row: dict[str, float]) -> None:
        fresh = not self.path.exists()
        with self.path.open("a", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            if fresh:
                writer.writerow(row)
            writer.writerow(f"{v:.5g}" for v in row.values())
        text = "  ".join(
            f"{k} {v:.4g}" for k, v in row.items() if k not in ("progress", "views_per_s")
        )
        left = self._time_left(row["progress"])
        print(f"{row['progress']:7.2%}  {row['views_per_s']:5.0f}/s  {left}  {text}", flush=True)

    def _time_left(self, progress: float) -> str:
        """Say how long it will take at the mean pace so far, in hours and minutes."""
        if self._began is None or progress <= self._began[1]:
            return "- h -- min left"
        began_s, at = self._began
        left_s = (time.monotonic() - began_s) * (1 - progress) / (progress - at)
        minutes = math.ceil(left_s / 60)
        return f"{minutes // 60} h {minutes % 60:02d} min left"
