"""What the U-Net's output F means: five ways from it to x0_hat, all of them linear.

    x0_hat = c_skip y + c_out F(c_in y),  y = x_t / sqrt(alpha_bar_t) = x0 + n,  n ~ N(0, v)

- preconditioned: Karras et al. 2022, table 1; F has unit scale at every noise level;
- eps: F is DDPM's eps_theta(x_t, t), x0_hat = y - sqrt(v) F (eq. 15);
- x0: F is x0_hat itself;
- v: F is the velocity sqrt(alpha_bar_t) eps - sqrt(1 - alpha_bar_t) x0 (Salimans and Ho 2022), so
  that x0_hat = y / (1 + v) - sqrt(v / (1 + v)) F;
- mu: F is DDPM's mu_theta(x_t, t), the mean of p_theta(x_{t-1} | x_t). With r = v_{t-1} / v_t that
  of q is sqrt(alpha_bar_{t-1}) (r y + (1 - r) x0) (eq. 7), solved for x0.

All but the first see x_t, as in the papers. The noise levels of mu's chain are those of its 1000
timesteps; between them v_{t-1} is interpolated, and below the first one it is 0, where mu is x0.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from diffcodec.network.config import NetworkConfig
from diffcodec.theory.schedule import Schedule

Coefficients = tuple[Tensor, Tensor, Tensor]


class Prediction(nn.Module):
    """c_skip, c_out, c_in of a network, each (N, 1, 1, 1), for variances (N,), in their type."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.predicts, self.sigma_data = config.predicts, config.sigma_data
        chain = torch.zeros(0)
        if config.predicts == "mu":
            chain = torch.from_numpy(Schedule.named(config.betas, 1000).v.copy())
        self.register_buffer("chain", chain, persistent=False)  # v_1, v_2, ...; float64

    def forward(self, v: Tensor) -> Coefficients:
        wide = v[:, None, None, None]
        if self.predicts == "preconditioned":
            s2 = self.sigma_data**2
            return s2 / (wide + s2), (wide * s2 / (wide + s2)).sqrt(), (wide + s2).rsqrt()
        if self.predicts == "eps":
            return torch.ones_like(wide), -wide.sqrt(), (1 + wide).rsqrt()
        if self.predicts == "x0":
            return torch.zeros_like(wide), torch.ones_like(wide), (1 + wide).rsqrt()
        if self.predicts == "v":
            return 1 / (1 + wide), -(wide / (1 + wide)).sqrt(), (1 + wide).rsqrt()
        v_s = previous(v.double(), cast(Tensor, self.chain))[:, None, None, None]
        r = v_s / wide.double()
        c_out = (1 + v_s).sqrt() / (1 - r)  # sqrt(alpha_bar_{t-1}) is 1 / sqrt(1 + v_{t-1})
        return (-r / (1 - r)).to(v.dtype), c_out.to(v.dtype), (1 + wide).rsqrt()


def previous(v: Tensor, chain: Tensor) -> Tensor:
    """v_{t-1} at v = v_t, both (N,); linear between the levels of the chain (T,), 0 below it."""
    before = torch.cat([torch.zeros_like(chain[:1]), chain[:-1]])
    top = torch.searchsorted(chain, v).clamp(1, len(chain) - 1)
    share = (v - chain[top - 1]) / (chain[top] - chain[top - 1])
    inside = before[top - 1] + share.clamp(0, 1) * (before[top] - before[top - 1])
    beyond = v * (before[-1] / chain[-1])
    return torch.where(v > chain[-1], beyond, torch.where(v <= chain[0], before[0], inside))


def fourier_features(x_t: Tensor, exponents: tuple[int, ...]) -> Tensor:
    """sin and cos(2^n pi x_t) for every n (Kingma et al. 2021, VDM, appendix C).

    (N, C, H, W) -> (N, 2 C len(exponents), H, W). Grey levels lie 2/255 apart, so n = 7 turns once
    in two of them, and n = 8 once in each.
    """
    angles = [2**n * torch.pi * x_t for n in exponents]
    return torch.cat([f(angle) for angle in angles for f in (torch.sin, torch.cos)], dim=1)
