"""Hard negatives: show the detector again what it takes for a face."""

from __future__ import annotations

import numpy as np
import torch

from facegate.training.data import Scene
from facegate.training.loop import evaluating, network_input
from facegate.training.torch_twin import TorchTwin
from facegate.types import F32
from facegate.vision.decoding import STRIDES
from facegate.vision.preprocess import letterbox

FLOOR = 0.05
"""How much a picture without any alarm still counts, beside one with a certain one (1)."""

MINE_EVERY_VIEWS = 50_000
BATCH = 16


def hardness(network: TorchTwin, faceless: list[Scene], height_px: int, width_px: int) -> F32:
    """Weigh pictures without a face by the most certain alarm in them.

    Args:
        network: the detector so far.
        faceless: the pictures.
        height_px, width_px: its input.

    Returns:
        float32 (K,), `FLOOR` to 1.

    Source: Shrivastava et al. 2016, "Training Region-based Object Detectors with Online Hard
    Example Mining", here over pictures and between spells of training.
    """
    device = next(network.parameters()).device
    found = []
    with evaluating(network):
        for at in range(0, len(faceless), BATCH):
            views = [letterbox(s.pixels, width_px, height_px)[0] for s in faceless[at : at + BATCH]]
            maps = network(network_input(torch.from_numpy(np.stack(views)), device))
            best = torch.stack([maps[f"score_{s}"].flatten(1).amax(1) for s in STRIDES]).amax(0)
            found.append(torch.sigmoid(best.float()).cpu().numpy())
    weights: F32 = np.maximum(np.concatenate(found), FLOOR).astype(np.float32)
    return weights
