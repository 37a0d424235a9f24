"""c_skip, c_out, c_in around an integer network, the same doubles on every machine.

As diffcodec.network.prediction, which trains with them, in IEEE double precision: + - * / sqrt, one
operation at a time and in this order, as FORMAT-network.md states.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Protocol

import numpy as np

from diffcodec.bitstream.types import Float64
from diffcodec.network.config import Betas, Predicts
from diffcodec.theory.schedule import Schedule

Coefficients = tuple[Float64, Float64, Float64]


class Predicting(Protocol):
    """What says how x0_hat follows from the output: a recipe's [network], or an integer network."""

    @property
    def predicts(self) -> Predicts:
        """What the output means."""
        ...

    @property
    def betas(self) -> Betas:
        """Of mu's chain."""
        ...

    @property
    def sigma_data(self) -> float:
        """Of the preconditioning."""
        ...


def coefficients(network: Predicting, v: Float64) -> Coefficients:
    """c_skip, c_out, c_in at noise variances above 0: (N,) -> (N, 1, 1, 1) each.

    x0_hat = c_skip y + c_out F(c_in y).
    """
    v = v[:, None, None, None]
    if network.predicts == "preconditioned":
        s2 = network.sigma_data * network.sigma_data
        total = v + s2
        return s2 / total, np.sqrt(v * s2 / total), 1 / np.sqrt(total)
    total = 1 + v
    c_in = 1 / np.sqrt(total)  # of x_t = sqrt(alpha_bar_t) y
    if network.predicts == "eps":
        return np.ones_like(v), -np.sqrt(v), c_in
    if network.predicts == "x0":
        return np.zeros_like(v), np.ones_like(v), c_in
    if network.predicts == "v":
        return 1 / total, -np.sqrt(v / total), c_in
    before = previous(v, network.betas)
    r = before / v
    rest = 1 - r
    return -r / rest, np.sqrt(1 + before) / rest, c_in


def previous(v: Float64, betas: Betas) -> Float64:
    """v_{t-1} at v = v_t, of any shape: linear between the levels of the chain, 0 up to the first.

    Above the last one their ratio stays what it is there.
    """
    levels = chain(betas)
    before = np.append(0.0, levels[:-1])
    top = np.clip(np.searchsorted(levels, v), 1, len(levels) - 1)  # the first level from v on
    share = (v - levels[top - 1]) / (levels[top] - levels[top - 1])
    inside = before[top - 1] + share * (before[top] - before[top - 1])
    beyond = v * (before[-1] / levels[-1])
    return np.where(v > levels[-1], beyond, np.where(v <= levels[0], 0.0, inside))


@lru_cache(maxsize=2)
def chain(betas: Betas) -> Float64:
    """v_1, v_2, ... of the 1000 timesteps."""
    return Schedule.named(betas, 1000).v
