"""The noise level as networks see it: log sigma, as sinusoids, through two linear layers."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffcodec.theory.units import GREY

SIGMA_RANGE = (0.3 / GREY, 1000.0 / GREY)  # noise levels that the embedding distinguishes


def noise_level(v: Tensor) -> Tensor:
    """log sigma of variances (N,) on DDPM's scale of 0..1000, clamped to SIGMA_RANGE.

    Beyond it images are drowned anyway.
    """
    low, high = (math.log(s) for s in SIGMA_RANGE)
    return ((v.log() / 2 - low) / (high - low)).clamp(0, 1) * 1000


def timestep_embedding(t: Tensor, width: int) -> Tensor:
    """Sinusoidal embedding (Vaswani et al. 2017) of t in [0, 1000]: (N,) -> (N, width)."""
    half = width // 2
    i = torch.arange(half, device=t.device, dtype=t.dtype)
    rates = torch.exp(-math.log(10000.0) * i / half)
    angles = t[:, None] * rates[None, :]
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class NoiseEmbedding(nn.Sequential):
    """Noise variances (N,) to (N, 4 channels): what convolutions shift their outputs by."""

    def __init__(self, channels: int) -> None:
        wide = 4 * channels
        super().__init__(nn.Linear(channels, wide), nn.SiLU(), nn.Linear(wide, wide))
        self.channels = channels

    def forward(self, v: Tensor) -> Tensor:
        h = timestep_embedding(noise_level(v), self.channels)
        for layer in self:
            h = layer(h)
        return F.silu(h)
