"""The noise level as networks see it: a number on DDPM's scale, as sinusoids, through two layers.

The number is log sigma, or the timestep t that has this noise, as in DDPM: t - 1 = 0..999, and
between two timesteps as far as log v is between theirs. So a network that was trained at whole t
may be asked at any noise level.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffcodec.network.config import NetworkConfig
from diffcodec.theory.schedule import Schedule
from diffcodec.theory.units import GREY

SIGMA_RANGE = (0.3 / GREY, 1000.0 / GREY)  # noise levels that the embedding distinguishes


def noise_level(v: Tensor) -> Tensor:
    """log sigma of variances (N,) on DDPM's scale of 0..1000, clamped to SIGMA_RANGE.

    Beyond it images are drowned anyway.
    """
    low, high = (math.log(s) for s in SIGMA_RANGE)
    return ((v.log() / 2 - low) / (high - low)).clamp(0, 1) * 1000


def timestep(v: Tensor, chain: Tensor) -> Tensor:
    """t - 1 at variances (N,), in their type; chain: log v of t = 1, 2, ..., (T,) float64.

    The first one below them, and the last one above.
    """
    level = v.double().log()
    top = torch.searchsorted(chain, level).clamp(1, len(chain) - 1)
    share = (level - chain[top - 1]) / (chain[top] - chain[top - 1])
    return (top - 1 + share.clamp(0, 1)).to(v.dtype)


def timestep_embedding(t: Tensor, width: int, freq_shift: int = 0) -> Tensor:
    """Sinusoidal embedding (Vaswani et al. 2017) of t in [0, 1000]: (N,) -> (N, width).

    freq_shift: 1 as in DDPM's code, where the last of the frequencies is 1 / 10000.
    """
    half = width // 2
    i = torch.arange(half, device=t.device, dtype=t.dtype)
    rates = torch.exp(-math.log(10000.0) * i / (half - freq_shift))
    angles = t[:, None] * rates[None, :]
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class NoiseEmbedding(nn.Sequential):
    """Noise variances (N,) to (N, 4 channels): what convolutions shift their outputs by."""

    def __init__(self, config: NetworkConfig) -> None:
        channels, wide = config.channels, 4 * config.channels
        super().__init__(nn.Linear(channels, wide), nn.SiLU(), nn.Linear(wide, wide))
        self.channels, self.freq_shift = channels, config.freq_shift
        chain = torch.zeros(0, dtype=torch.float64)
        self.range = (SIGMA_RANGE[0] ** 2, SIGMA_RANGE[1] ** 2)  # variances that it distinguishes
        if config.condition == "timestep":
            v = Schedule.named(config.betas, 1000).v
            chain, self.range = torch.from_numpy(v.copy()).log(), (float(v[0]), float(v[-1]))
        # log v of the timesteps, float64, if it is they that layers are told
        self.register_buffer("chain", chain, persistent=False)

    def forward(self, v: Tensor, shift: Tensor | None = None) -> Tensor:
        """shift: (N, 4 channels), of what else layers are told, added before the last SiLU."""
        chain = cast(Tensor, self.chain)
        level = timestep(v, chain) if len(chain) else noise_level(v)
        h = timestep_embedding(level, self.channels, self.freq_shift)
        for layer in self:
            h = layer(h)
        return F.silu(h if shift is None else h + shift)
