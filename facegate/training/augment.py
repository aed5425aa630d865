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
    """Light, colour, resolution, noise, occlusion, compression; each on some of the batch."""
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
    rows = some(0.2)  # glasses: a dark or bright band at the eyes, partly seen through
    if len(rows):
        top = side * (0.36 + 0.06 * rand(len(rows)))
        band = _between(side, top, top + side * (0.08 + 0.08 * rand(len(rows))), x.device)
        across = _between(side, side * 0.18, side * 0.82, x.device)
        colour, depth = 255 * rand(len(rows), 3), 0.4 + 0.6 * rand(len(rows))
        x[rows] = _paint(x[rows], band[:, :, None] & across[:, None, :], colour, depth)
    rows = some(0.15)  # hand, hat, phone: a rectangle
    if len(rows):
        sides = side * (0.1 + 0.25 * rand(2, len(rows)))
        top, left = (side - sides) * rand(2, len(rows))
        down = _between(side, top, top + sides[0], x.device)
        across = _between(side, left, left + sides[1], x.device)
        colour, depth = 255 * rand(len(rows), 3), torch.ones(len(rows), device=x.device)
        x[rows] = _paint(x[rows], down[:, :, None] & across[:, None, :], colour, depth)
    rows = some(0.3)  # what a camera's or a phone's compression leaves
    if len(rows):
        x[rows] = jpeg(x[rows], 10 + 60 * rand(len(rows)))
    return x


def _between(
    side: int, start: torch.Tensor | float, end: torch.Tensor | float, device: torch.device
) -> torch.Tensor:
    """Mark positions from `start` to `end`: bool (N, side)."""
    at = torch.arange(side, device=device)[None]
    low, high = (torch.as_tensor(v, device=device).reshape(-1, 1) for v in (start, end))
    return (at >= low) & (at < high)


def _paint(
    x: torch.Tensor, where: torch.Tensor, colour: torch.Tensor, depth: torch.Tensor
) -> torch.Tensor:
    """Lay a colour (N, 3) over masked pixels (N, H, W); `depth` (N,) is how opaque it is."""
    cover = where[:, None] * depth[:, None, None, None]
    return x * (1 - cover) + colour[:, :, None, None] * cover


# Quantisation of luminance at quality 50. Source: ITU-T T.81, table K.1.
LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)


def jpeg(x: torch.Tensor, quality: torch.Tensor) -> torch.Tensor:
    """Give what JPEG makes of a batch: every 8×8 block rounded in the frequency domain.

    The three channels are rounded alike, without chroma subsampling: coarser than a real encoder
    in colour, finer in nothing.

    Args:
        x: float32 (N, 3, H, W), 0 to 255; H and W multiples of 8.
        quality: (N,), 1 to 99 as in libjpeg.
    """
    n, channels, height, width = x.shape
    k = torch.arange(8, device=x.device, dtype=x.dtype)
    dct = torch.cos((2 * k[None] + 1) * k[:, None] * math.pi / 16) / 2
    dct[0] /= math.sqrt(2)
    scale = torch.where(quality < 50, 50 / quality, 2 - quality / 50)
    table = torch.tensor(LUMINANCE, device=x.device, dtype=x.dtype)
    steps = (table * scale[:, None, None]).clamp(min=1)[:, None, None, None]
    blocks = (x - 128).reshape(n, channels, height // 8, 8, width // 8, 8).transpose(3, 4)
    rounded = torch.round(dct @ blocks @ dct.T / steps) * steps
    back = (dct.T @ rounded @ dct).transpose(3, 4).reshape(n, channels, height, width)
    return (back + 128).clamp(0, 255)
