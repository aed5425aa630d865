"""What INT8 will do to a network, done while it trains, so that it learns to bear it.

Values are rounded to the steps that they will have, and gradients pass as if they were not.

Source: Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", section 3.
"""

from __future__ import annotations

import torch
from torch import nn

PACE = 0.02
"""How fast a range follows the batches."""


def fake_weights(weight: torch.Tensor) -> torch.Tensor:
    """Round a kernel, out channels first, to 127 steps each way of each channel's greatest.

    A BatchNorm folded into it later only stretches whole channels, steps and all.
    """
    greatest = weight.detach().abs().flatten(1).amax(1).clamp(min=1e-8)
    zero = torch.zeros(len(greatest), device=weight.device)  # whole numbers would be read back
    return torch.fake_quantize_per_channel_affine(weight, greatest / 127, zero, 0, -127, 127)


class FakeActivations(nn.Module):
    """Round activations to 256 steps over the range that they were seen to have."""

    low: torch.Tensor
    high: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("low", torch.zeros(()))
        self.register_buffer("high", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Watch the range while training; pass everything as long as none was seen."""
        x = x.float()
        if self.training:
            self._watch(x.detach())
        elif bool(self.low == self.high):
            return x
        step = ((self.high - self.low) / 255).clamp(min=1e-8)
        zero = (-128 - self.low / step).round().clamp(-128, 127).to(torch.int32)
        return torch.fake_quantize_per_tensor_affine(x, step, zero, -128, 127)

    def _watch(self, x: torch.Tensor) -> None:
        low, high = x.aminmax()
        low, high = low.clamp(max=0), high.clamp(min=0)  # zero has a step of its own
        first = self.low == self.high
        self.low.copy_(torch.where(first, low, self.low.lerp(low, PACE)))
        self.high.copy_(torch.where(first, high, self.high.lerp(high, PACE)))
