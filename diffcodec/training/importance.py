"""Importance sampling of timesteps: as often as their loss is large (improved DDPM, 3.3)."""

from __future__ import annotations

import torch
from torch import Tensor

KEPT = 10  # losses of every timestep that are remembered
UNIFORM = 0.001  # share of the draws that are made uniformly


class History:
    """The last losses of every timestep: p(t) ~ sqrt(E[L_t^2]) makes their mean least noisy
    (eq. 18)."""

    def __init__(self, T: int) -> None:
        self.losses = torch.zeros(T, KEPT, dtype=torch.float64)
        self.count = torch.zeros(T, dtype=torch.int64)

    def probabilities(self) -> Tensor:
        """(T,) float64; uniform until every timestep has KEPT losses."""
        T = len(self.count)
        if (self.count < KEPT).any():
            return torch.full((T,), 1 / T, dtype=torch.float64)
        size = self.losses.square().mean(dim=1).sqrt()
        return (1 - UNIFORM) * size / size.sum() + UNIFORM / T

    def add(self, t: Tensor, losses: Tensor) -> None:
        """t: (N,) from 0; losses: (N,)."""
        for i, loss in zip(t.tolist(), losses.tolist(), strict=True):
            self.losses[i, self.count[i] % KEPT] = loss
            self.count[i] += 1

    def state_dict(self) -> dict[str, Tensor]:
        """The tensors themselves."""
        return {"losses": self.losses, "count": self.count}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """From `state_dict`, on any device."""
        self.losses, self.count = state["losses"].cpu(), state["count"].cpu()
