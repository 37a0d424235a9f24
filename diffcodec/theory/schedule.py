"""Noise schedules as float64 tables.

The four families in use: linear and quadratic (Ho et al. 2020, DDPM), sigmoid (Song et al. 2021,
DDIM code) and cosine (Nichol & Dhariwal 2021, eq. 17). Timesteps are the paper's `t = 1..T`; entry
`t - 1` of a table belongs to `t`.

Two invariants. `alpha_bar` is the table that everything else is derived from, so a subset of the
timesteps has bit for bit the noise levels of the full chain. And all four, which a file or an
integer network may name instead of noise levels, are the same doubles on every machine: decimals,
and single IEEE operations in a fixed order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from itertools import accumulate, pairwise
from operator import mul

import numpy as np
from numpy.typing import NDArray

from diffcodec.bitstream.decimals import PI, cosines, in_decimals
from diffcodec.bitstream.types import Float64
from diffcodec.theory.units import GREY

NAMES = ("linear", "quadratic", "sigmoid", "cosine")
BETA_START, BETA_END = 1e-4, 0.02  # DDPM section 4, at T = 1000
BETA_MAX = 0.999  # improved DDPM: keeps the last cosine step from destroying x_t altogether


@dataclass(frozen=True, eq=False)
class Schedule:
    """A chain `x_0 -> x_1 -> ... -> x_T` of Gaussian noise.

    `alpha_bar`: (T,) float64, strictly decreasing inside (0, 1).
    `timesteps`: (T,) int64, the steps' numbers in the chain they were taken from; 1..T for a full
    chain. `name`: one of `NAMES`, or what chose the noise levels.
    """

    name: str
    alpha_bar: Float64
    timesteps: NDArray[np.int64]

    def __post_init__(self) -> None:
        abar, steps = self.alpha_bar, self.timesteps
        assert abar.ndim == 1 and abar.size > 0 and abar.dtype == np.float64
        assert abar[-1] > 0 and abar[0] < 1 and (np.diff(abar) < 0).all()
        assert steps.shape == abar.shape and steps.dtype == np.int64
        abar.flags.writeable = steps.flags.writeable = False  # frozen all the way down

    @staticmethod
    def named(name: str, T: int = 1000) -> Schedule:
        """The schedule `name` with T steps.

        For T other than 1000 DDPM's end points are multiplied by 1000/T, so that alpha_bar_T stays
        nearly the same whatever T is; betas are clipped at 0.999. The cosine schedule is defined
        by alpha_bar and needs no scaling. Raises ValueError for an unknown name or T < 1.
        """
        if T < 1:
            raise ValueError(f"a schedule needs at least one step, not {T}")
        alphas = (1 - _betas(name, T)).tolist()
        alpha_bar = np.array(list(accumulate(alphas, mul)))  # [T], from the left
        return Schedule(name, alpha_bar, np.arange(1, T + 1, dtype=np.int64))

    @staticmethod
    def of_noise(name: str, v: Sequence[float] | Float64) -> Schedule:
        """The chain of any noise variances in x0 units, strictly increasing and above 0."""
        alpha_bar = 1 / (1 + np.asarray(v, np.float64))
        return Schedule(name, alpha_bar, np.arange(1, alpha_bar.size + 1, dtype=np.int64))

    @property
    def T(self) -> int:
        """Number of steps."""
        return self.alpha_bar.size

    @property
    def alpha_bar_prev(self) -> Float64:
        """alpha_bar of the step before, alpha_bar_0 = 1: (T,) float64."""
        return np.append(1.0, self.alpha_bar[:-1])

    @property
    def alphas(self) -> Float64:
        """alpha_t = alpha_bar_t / alpha_bar_{t-1}: (T,) float64."""
        return self.alpha_bar / self.alpha_bar_prev

    @property
    def betas(self) -> Float64:
        """beta_t = 1 - alpha_t, the forward variances of this chain (DDPM eq. 2): (T,) float64."""
        return 1 - self.alphas

    @property
    def beta_tilde(self) -> Float64:
        """Variances of q(x_{t-1} | x_t, x_0) (DDPM eq. 7): (T,) float64; 0 at t = 1."""
        return (1 - self.alpha_bar_prev) / (1 - self.alpha_bar) * self.betas

    @property
    def v(self) -> Float64:
        """Noise variance in x0 units, (1 - alpha_bar) / alpha_bar = 1/SNR: (T,) float64."""
        return (1 - self.alpha_bar) / self.alpha_bar

    @property
    def sigma_grey(self) -> Float64:
        """Noise standard deviation in grey levels (0..255), sqrt(v) * 127.5: (T,) float64."""
        return np.sqrt(self.v) * GREY

    def subset(self, timesteps: Sequence[int] | NDArray[np.int64]) -> Schedule:
        """The chain that visits only these steps (1-based, strictly increasing).

        Any subset is a valid chain: alpha_bar of the steps kept, betas respaced (improved DDPM,
        eq. 19). Raises ValueError for steps that are out of range or not increasing.
        """
        kept = np.asarray(timesteps, dtype=np.int64)
        if kept.ndim != 1 or kept.size == 0 or (np.diff(kept) <= 0).any():
            raise ValueError("timesteps must be a non-empty, strictly increasing list")
        if kept[0] < 1 or kept[-1] > self.T:
            raise ValueError(f"timesteps must lie in 1..{self.T}, not {kept[0]}..{kept[-1]}")
        return Schedule(self.name, self.alpha_bar[kept - 1], self.timesteps[kept - 1])

    def respaced(self, n: int) -> Schedule:
        """n evenly spaced steps of this chain, the first and the last among them.

        Raises ValueError unless 2 <= n <= T.
        """
        if not 2 <= n <= self.T:
            raise ValueError(f"can keep 2..{self.T} of {self.T} steps, not {n}")
        # Integers throughout: rounding i * (T-1)/(n-1) in floats depends on the library.
        i = np.arange(n, dtype=np.int64)
        return self.subset(1 + (2 * i * (self.T - 1) + (n - 1)) // (2 * (n - 1)))


def parse_steps(text: str) -> list[float]:
    """Noise variances, largest first, for "ddpm:50", "cosine:100", "quadratic:50" and the like.

    NAME:N is the T = 1000 schedule NAME respaced to N steps; t = 1 and t = 1000 are always kept.
    "ddpm" stands for "linear". Raises ValueError with one sentence for anything else.
    """
    name, colon, count = text.partition(":")
    if not colon or not count.isascii() or not count.isdigit():
        raise ValueError(f"steps are written NAME:N, such as ddpm:50, not {text!r}")
    schedule = Schedule.named("linear" if name == "ddpm" else name, T=1000)
    return [float(v) for v in schedule.respaced(int(count)).v[::-1]]


def _betas(name: str, T: int) -> Float64:
    start, end = BETA_START * 1000 / T, BETA_END * 1000 / T
    if name == "linear":
        betas = _even(start, end, T)
    elif name == "quadratic":
        roots = _even(math.sqrt(start), math.sqrt(end), T)
        betas = roots * roots
    elif name == "sigmoid":
        betas = start + (end - start) * _logistic(T)
    elif name == "cosine":
        betas = _cosine_betas(T)
    else:
        raise ValueError(f"unknown schedule {name!r}: choose one of {', '.join(NAMES)}")
    betas = np.minimum(betas, BETA_MAX)
    assert betas.shape == (T,) and (betas > 0).all()
    return betas


def _even(start: float, end: float, T: int) -> Float64:
    """T numbers from start to end, by one product and one sum each; the last one is `end`."""
    step = (end - start) / (T - 1) if T > 1 else 0.0
    return np.array([*(start + t * step for t in range(T - 1)), end])


@lru_cache(maxsize=4)
@in_decimals
def _logistic(T: int) -> Float64:
    """1 / (1 + e^-x) at T numbers x, evenly from -6 to 6, each rounded to a double."""
    x = [Decimal(12 * t) / (T - 1) - 6 if T > 1 else Decimal(-6) for t in range(T)]
    return np.array([float(1 / (1 + (-number).exp())) for number in x])


@lru_cache(maxsize=4)
@in_decimals
def _cosine_betas(T: int) -> Float64:
    """1 - f(t) / f(t - 1), f(t) = cos^2((t/T + s) / (1 + s) pi/2), each rounded to a double."""
    s = Decimal("0.008")  # makes sqrt(beta_1) a little smaller than one grey level
    angle = PI / 2 / (1 + s)
    f = [x * x for x in cosines(s * angle, angle / T, T)] + [Decimal(0)]  # f(T) is 0
    return np.array([float(1 - after / before) for before, after in pairwise(f)])
