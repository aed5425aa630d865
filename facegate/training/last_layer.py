"""Settle an embedder's last layer: centre it, and even out how pictures of one person differ.

Distillation and triplets leave the embedding off the origin, and pictures of one person differ more
in some directions than in others. Both can be read off the training crops, and mended in the last
layer alone, which stays in float: nothing else changes, and a door computes no more.

Source: Hatch et al. 2006, "Within-class covariance normalization for SVM-based speaker
recognition"; here with the covariance drawn to a sphere, after Ledoit and Wolf 2004, "A
well-conditioned estimator for large-dimensional covariance matrices".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import torch

from facegate.errors import DataError
from facegate.training.data import read_crops, train_faces
from facegate.training.loop import pick_device, raw_embeddings
from facegate.training.progress import Progress, quietly
from facegate.training.sampling import labels_of
from facegate.training.torch_twin import TorchTwin
from facegate.types import F32, I64

SPHERE_PEOPLE, ORIGIN_PEOPLE = 300, 20
"""A priori one person's pictures differ alike in all directions, and the origin is the centre: that
counts as so many people, so that what few show is believed less."""

FEW_PEOPLE = 50

MOST_ALONE = 10_000
"""So many crops of people of whom there is no other are looked at, at most: they tell the centre,
and soon no more."""

BATCH = 128


@dataclass(frozen=True)
class Metric:
    """What is done to the embeddings: `(x - centre) @ spread`.

    Attributes:
        centre: float64 (D,), between people.
        spread: float64 (D, D), symmetric, of mean eigenvalue 1.
        people: of whom there were two pictures or more.
    """

    centre: np.ndarray[Any, np.dtype[np.float64]]
    spread: np.ndarray[Any, np.dtype[np.float64]]
    people: int


def metric_of(raw: F32, label: I64, centre_only: bool = False) -> Metric:
    """Learn the metric from embeddings.

    Args:
        raw: float32 (N, D), before normalising.
        label: int64 (N,), whose picture each is.
        centre_only: leave what one person's pictures differ by as it is: `spread` is one.

    Raises:
        DataError: nobody has two pictures, and that was to be evened out.
    """
    _, person, count = np.unique(label, return_inverse=True, return_counts=True)
    means = np.zeros((len(count), raw.shape[1]))
    np.add.at(means, person, raw)
    means /= count[:, None]
    several = count > 1
    people = int(several.sum())
    centre = means.mean(0) * len(means) / (len(means) + ORIGIN_PEOPLE)
    if centre_only:
        return Metric(centre, np.eye(raw.shape[1]), people)
    if not people:
        raise DataError("nobody has two pictures: what one person's differ by is not to be seen")
    # Everybody counts the same, however many pictures there are of them.
    weight = several / np.maximum(count - 1, 1) / people
    off = raw - means[person]
    within = (off * weight[person][:, None]).T @ off
    belief = people / (people + SPHERE_PEOPLE)
    sphere = np.eye(len(within)) * np.trace(within) / len(within)
    values, vectors = np.linalg.eigh(belief * within + (1 - belief) * sphere)
    spread = vectors / np.sqrt(values) @ vectors.T
    return Metric(centre, spread * len(spread) / np.trace(spread), people)


def settle_last_layer(
    model: keras.Model,
    data: Path,
    say: Callable[[str], None] = print,
    progress: Progress[Any] = quietly,
    centre_only: bool = False,
) -> Metric:
    """Learn the metric of an embedder's training crops, and fold it into its last layer.

    Args:
        model: the embedder; its last layer's weights are replaced.
        data: folder with `faces-train-*.parquet`.
        say: takes a line about what was found.
        progress: around what takes long.
        centre_only: do the first of the two alone.

    Raises:
        DataError: the data cannot be read, or nobody has two pictures to even out.
    """
    crops = read_crops(train_faces(data))
    label = labels_of(crops.identity)
    rows = _rows(label)
    device = pick_device()
    trunk = TorchTwin(model).to(device, memory_format=torch.channels_last)
    starts = range(0, len(rows), BATCH)
    told = progress(starts, len(starts), "batches of crops")
    raw = raw_embeddings(trunk, (crops.pixels[rows[k : k + BATCH]] for k in told), device)
    metric = metric_of(raw, label[rows], centre_only)
    last = model.layers[-1]
    kernel, bias = (np.asarray(w, np.float64) for w in last.get_weights())
    last.set_weights([kernel @ metric.spread, (bias - metric.centre) @ metric.spread])
    least, most = np.linalg.eigvalsh(metric.spread)[[0, -1]]
    stretched = "" if centre_only else f", stretched by {least:.2f} to {most:.2f}"
    say(
        f"from {len(rows)} crops, {metric.people} people with two or more: moved by "
        f"{np.linalg.norm(metric.centre):.3f}{stretched}"
    )
    if not centre_only and metric.people < FEW_PEOPLE:
        say(f"so few people tell little: {FEW_PEOPLE} or more with two pictures say more")
    return metric


def _rows(label: I64) -> I64:
    """Choose all crops of people who have several, and some of the others, in order."""
    alone = np.flatnonzero(np.bincount(label)[label] == 1)
    left_out = np.random.default_rng(0).permutation(alone)[MOST_ALONE:]
    return np.delete(np.arange(len(label)), left_out)
