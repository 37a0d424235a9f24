"""The error of x0_hat that is usual at a noise level, learned while training."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from diffcodec.network.config import Recipe
from diffcodec.theory.units import GREY

BINS_PER_OCTAVE = 2  # of noise, in which errors are averaged
PACE = 0.01  # share of a new error in their mean


class MeanErrors:
    """E[D | v] as a running mean in bins of log sigma, half an octave or less each.

    A bin's first value is what Gaussian pixels of the recipe's sigma_data would leave, or what
    `start` says.
    """

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        low, high = (math.log2(s / GREY) for s in (recipe.train.sigma_min, recipe.train.sigma_max))
        self.count = math.ceil(high - low) * BINS_PER_OCTAVE
        self.low, self.width = low, (high - low) / self.count
        centres = low + self.width * (torch.arange(self.count, dtype=torch.float64) + 0.5)
        self.centres, self.s2 = 4**centres, recipe.network.sigma_data**2
        self.means = self._gaussian(self.centres).float().to(device)

    def _gaussian(self, v: Tensor) -> Tensor:
        return v * self.s2 / (v + self.s2)

    def start(self, v: list[float], mse: list[float]) -> None:
        """Begin at errors mse that were measured at noise variances v, increasing."""
        known = torch.tensor(v, dtype=torch.float64)
        share = torch.tensor(mse, dtype=torch.float64) / self._gaussian(known)
        found = np.interp(self.centres.log(), known.log(), share.log())
        self.means.copy_(self._gaussian(self.centres) * torch.from_numpy(np.exp(found)))

    def __call__(self, v: Tensor, d: Tensor) -> Tensor:
        """The means at noise variances v (N,), after errors d (N,) have joined them."""
        bins = ((v.log2() / 2 - self.low) / self.width).long().clamp(0, self.count - 1)
        sums, counts = (torch.zeros_like(self.means) for _ in range(2))
        sums.index_add_(0, bins, d.float())
        counts.index_add_(0, bins, torch.ones_like(d, dtype=torch.float32))
        share = 1 - (1 - PACE) ** counts
        self.means += share * (sums / counts.clamp(min=1) - self.means)
        return self.means[bins]

    def state_dict(self) -> dict[str, Tensor]:
        """The tensor itself."""
        return {"means": self.means}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """From `state_dict`."""
        self.means.copy_(state["means"])
