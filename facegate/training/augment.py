"""Augmentation of aligned crops, a whole batch at a time in torch, on whatever device the batch is.

`strength` runs from 0 (flip and a shift of a few pixels) to 1 (everything a door camera does to a
face). Every effect is drawn for each picture by itself.
"""

from __future__ import annotations

import math

import torch
from torch.nn import functional as F


def augment(
    images: torch.Tensor, side: int, strength: float, generator: torch.Generator
) -> torch.Tensor:
    """Draw a random view of each crop.

    Args:
        images: uint8 (N, H, W, 3), RGB crops.
        side: side of the views in pixels.
        strength: 0 easy to 1 hard.
        generator: source of all randomness, on the batch's device.

    Returns:
        float32 (N, 3, side, side), channels-last in memory, `(pixel - 127.5) / 128`.
    """
    n, device = images.shape[0], images.device

    def rand(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator, device=device)

    def spread(limit: float) -> torch.Tensor:
        return (rand(n) * 2 - 1) * limit

    x = images.permute(0, 3, 1, 2).float()
    angle = spread(math.radians(4 + 14 * strength))
    zoom = 1.0 + spread(0.04 + 0.08 * strength)
    flip = torch.where(rand(n) < 0.5, -1.0, 1.0)
    theta = torch.zeros(n, 2, 3, device=device)
    theta[:, 0, 0] = angle.cos() * zoom * flip
    theta[:, 0, 1] = -angle.sin() * zoom
    theta[:, 1, 0] = angle.sin() * zoom * flip
    theta[:, 1, 1] = angle.cos() * zoom
    theta[:, 0, 2] = spread(0.05 + 0.05 * strength)
    theta[:, 1, 2] = spread(0.05 + 0.05 * strength)
    grid = F.affine_grid(theta, [n, 3, side, side], align_corners=False)
    x = F.grid_sample(x, grid, padding_mode="border", align_corners=False)

    gain = 1.0 + spread(0.15 + 0.25 * strength)
    offset = spread(10 + 20 * strength)
    x = (x - 127.5) * gain[:, None, None, None] + 127.5 + offset[:, None, None, None]
    if strength > 0:
        x = _hard(x, strength, rand, generator)
    x = (x.clamp_(0, 255) - 127.5) / 128
    return x.contiguous(memory_format=torch.channels_last)


def _hard(x: torch.Tensor, strength: float, rand, generator: torch.Generator) -> torch.Tensor:  # type: ignore[no-untyped-def]
    """Low light, colour cast, grey, low resolution, noise, occlusion; each on some of the batch."""
    n, _, side, _ = x.shape

    def some(share: float) -> torch.Tensor:
        return torch.nonzero(rand(n) < share * strength).flatten()

    rows = some(0.3)  # gamma and low light
    if len(rows):
        exponent = torch.exp((rand(len(rows)) * 2 - 1) * 0.6)[:, None, None, None]
        light = (1 - 0.6 * rand(len(rows)))[:, None, None, None]
        x[rows] = 255 * light * (x[rows].clamp(0, 255) / 255) ** exponent
    rows = some(0.4)  # colour cast
    if len(rows):
        x[rows] = x[rows] * (1 + (rand(len(rows), 3) - 0.5) * 0.4)[:, :, None, None]
    rows = some(0.15)  # night camera
    if len(rows):
        x[rows] = x[rows].mean(1, keepdim=True).expand(-1, 3, -1, -1)
    for share, factor in ((0.15, 2), (0.12, 3), (0.06, 4)):  # far away or out of focus
        rows = some(share)
        if len(rows):
            small = F.interpolate(x[rows], size=max(side // factor, 20), mode="area")
            x[rows] = F.interpolate(small, size=side, mode="bilinear", align_corners=False)
    rows = some(0.35)  # sensor noise
    if len(rows):
        sigma = (18 * rand(len(rows)))[:, None, None, None]
        x[rows] += sigma * torch.randn(
            x[rows].shape, generator=generator, device=x.device, dtype=x.dtype
        )
    rows = some(0.15)  # mask: the lower face in one colour
    if len(rows):
        top = (side * (0.52 + 0.1 * rand(len(rows)))).long()
        below = torch.arange(side, device=x.device)[None, :] >= top[:, None]
        colour = (255 * rand(len(rows), 3))[:, :, None, None]
        x[rows] = torch.where(below[:, None, :, None], colour, x[rows])
    for row in some(0.15).tolist():  # glasses, hand, hat: a rectangle
        h, w = (int(side * (0.1 + 0.25 * float(rand(1)))) for _ in range(2))
        y, left = int((side - h) * float(rand(1))), int((side - w) * float(rand(1)))
        x[row, :, y : y + h, left : left + w] = 255 * rand(3)[:, None, None]
    return x
