"""Which crops a step sees; the same seed gives the same order, and a run can go on anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from facegate.errors import DataError
from facegate.types import I64


def shuffled(count: int, batch: int, seed: int, skip: int = 0) -> Iterator[I64]:
    """Yield batches of row numbers for ever: every row once an epoch.

    Args:
        skip: batches to pass over, to resume where a run stopped.
    """
    batch = min(batch, count)
    per_epoch = count // batch
    step = skip
    while True:
        epoch, within = divmod(step, per_epoch)
        order = np.random.default_rng((seed, epoch)).permutation(count)
        for start in range(within, per_epoch):
            yield order[start * batch : (start + 1) * batch]
            step += 1


def labels_of(identity: Sequence[str]) -> I64:
    """Number the people: int64 (N,), one number a name."""
    return np.unique(np.array(identity, dtype=object).astype(str), return_inverse=True)[1]


class Balanced:
    """Batches of P people with K pictures each.

    Args:
        label: int64 (N,), who is in each row.
        people, pictures: P and K. Who has fewer than K pictures (but two at least) is shown some
            of them twice: the view is another one each time.

    Raises:
        DataError: fewer than two people have two pictures.
    """

    def __init__(self, label: I64, people: int, pictures: int) -> None:
        order = np.argsort(label, kind="stable")
        groups = np.split(order, np.flatnonzero(np.diff(label[order])) + 1)
        self.groups = [g for g in groups if len(g) > 1]
        if len(self.groups) < 2:
            raise DataError("triplets need at least two people with two pictures each")
        self.people, self.pictures = min(people, len(self.groups)), pictures

    def batches(self, seed: int, skip: int = 0) -> Iterator[I64]:
        """Yield rows, int64 (P*K,), for ever; `skip` batches are passed over."""
        step = skip
        while True:
            rng = np.random.default_rng((seed, step))
            chosen = rng.choice(len(self.groups), self.people, replace=False)
            yield np.concatenate([self._pictures_of(self.groups[g], rng) for g in chosen])
            step += 1

    def _pictures_of(self, rows: I64, rng: np.random.Generator) -> I64:
        mixed = rng.permutation(rows)
        return np.resize(mixed, self.pictures)
