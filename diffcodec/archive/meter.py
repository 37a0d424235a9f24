"""What every step of bits-back coding cost a stack, beside what theory asks for."""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np

from diffcodec.accounting.trace import Balance
from diffcodec.archive.model import Model
from diffcodec.bitstream.ans import Stack
from diffcodec.bitstream.types import Float64, Int64
from diffcodec.theory.gaussian import posterior_variance, step_ratio

AnyFloat = TypeVar("AnyFloat", float, Float64)


class Meter:
    """Reports to a Balance what the stack gained in every step, and what theory asks for.

    The stack gains -log2 p(y_t | y_{t+1}) where y_t is pushed and loses -log2 q(y_{t+1} | y_t)
    where y_{t+1} is popped. Adding the change of -log2 q(y_t | x0) makes that the cost of step t,

        log2 q(y_t | y_{t+1}, x0) - log2 p(y_t | y_{t+1}),

    of which L_t is the expectation; the additions cancel in the sum over all steps.
    """

    def __init__(self, model: Model, stack: Stack, x0: Float64, balance: Balance | None) -> None:
        self.model, self.stack, self.x0, self.balance = model, stack, x0, balance
        self.before, self.marginal = stack.bits, 0.0
        if balance is not None:
            balance.begin(model.levels, len(x0), x0.size)

    def pixels(self, k: Int64, ideal: float) -> None:
        """After y_1 and x_0 | y_1."""
        if self.balance is not None:
            self._spent(0, self._marginal(1, k), ideal, ideal)

    def step(self, t: int, below: Int64, above: Int64, x0_hat: Float64) -> None:
        """After y_{t+1} and y_t | y_{t+1}."""
        if self.balance is None:
            return
        s, u = self.model.v[t - 1], self.model.v[t]
        square = (1 - step_ratio(s, u)) ** 2 * float(np.sum((self.x0 - x0_hat) ** 2))
        true = posterior_variance(s, u)
        ideal = kl_bits(self.x0.size, true, self.model.grids[t - 1].p_variance, square)
        self._spent(
            t, self._marginal(t + 1, above), ideal, kl_bits(self.x0.size, true, true, square)
        )

    def prior(self, k: Int64) -> None:
        """After y_K."""
        if self.balance is not None:
            square = float(np.sum((self.x0 - self.model.prior_mean) ** 2))
            v = self.model.v[-1]
            ideal = kl_bits(self.x0.size, v, self.model.grids[-1].p_variance, square)
            self._spent(self.model.levels, 0.0, ideal, kl_bits(self.x0.size, v, v, square))

    def _spent(self, t: int, marginal: float, ideal: float, kl: float) -> None:
        assert self.balance is not None
        gained = self.stack.bits - self.before
        self.balance.add(t, gained + marginal - self.marginal, ideal, kl)
        self.before, self.marginal = self.stack.bits, marginal

    def _marginal(self, t: int, k: Int64) -> float:
        """-log2 of the mass of the bins k under q(y_t | x0)."""
        v, width = self.model.v[t - 1], self.model.grids[t - 1].width
        square = float(np.sum((k * width - self.x0) ** 2)) / v
        nats = k.size * (0.5 * math.log(2 * math.pi * v) - math.log(width)) + 0.5 * square
        return nats / math.log(2)


def kl_bits(n: int, true: float, model: float, square: AnyFloat) -> AnyFloat:
    """KL of n Gaussians of variance `true` to ones of variance `model`; square: |means apart|^2."""
    ratio = true / model
    return (n * (ratio - 1 - math.log(ratio)) + square / model) / (2 * math.log(2))
