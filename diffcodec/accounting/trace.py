"""Encoder instrumentation: seconds by kind, every step's theory beside its bits.

Nothing here changes a file; measurements (eval/) pass a Trace or a Clock in and read it afterwards.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from diffcodec.bitstream.payload_writer import PixelCode


@dataclass
class Clock:
    """Seconds spent in the network, in the relative entropy coder, and in all the rest."""

    network: float = 0.0
    trellis: float = 0.0
    total: float = 0.0

    @property
    def rest(self) -> float:
        """Seconds in neither."""
        return self.total - self.network - self.trellis

    @contextmanager
    def measure(self, what: str) -> Iterator[None]:
        """Add the time of a block to `what`: "network", "trellis" or "total"."""
        began = time.perf_counter()
        try:
            yield
        finally:
            setattr(self, what, getattr(self, what) + time.perf_counter() - began)


@dataclass(frozen=True)
class StepTrace:
    """One step of one image.

    v_from, v_to: noise variances in x0 units; kl_bits: |mu|^2 / (2 ln 2), what equal variances
    would cost; mi_bits: D/2 log2(1 + sigma^2), the least that a widened p_theta costs; path_bits,
    side_bits: what the file spends; mse: of x0_hat before the step, in x0 units; bytes_so_far: file
    bytes up to the end of the step.
    """

    v_from: float
    v_to: float
    kl_bits: float
    mi_bits: float
    path_bits: int
    side_bits: int
    mse: float
    bytes_so_far: int


@dataclass
class Trace:
    """All of an encoder's work on one image."""

    clock: Clock = field(default_factory=Clock)
    steps: list[StepTrace] = field(default_factory=list)
    final_mse: float = 0.0  # of x0_hat at the last state, before the exact pixels
    # Of each block of pixels, -log2 p(x_0 | last state) of the coder in use, the same by the
    # discretized Gaussian (empty where there is no state), and the bytes that it takes
    # (pixels that are stored take no less than what they take):
    block_bits: list[float] = field(default_factory=list)
    gaussian_bits: list[float] = field(default_factory=list)
    block_bytes: list[int] = field(default_factory=list)
    alpha_bits: float = 0.0  # -log2 p of alpha, where it is not opaque

    def keep(self, code: PixelCode, mse: float) -> None:
        """The pixels were coded so; mse: of the last estimate."""
        self.final_mse, self.block_bytes = mse, [len(block) for block in code.blocks]
        self.block_bits = code.ideal_bits or [8.0 * size for size in self.block_bytes]
        self.gaussian_bits = code.gaussian_bits

    def keep_plain(self, steps: int, code: PixelCode, mse: float) -> None:
        """Only the first steps were kept, and the pixels follow plain.

        mse: of the last estimate, whatever became of it.
        """
        self.keep(code, self.steps[steps].mse if steps < len(self.steps) else mse)
        del self.steps[steps:]

    @property
    def lossless_bits(self) -> float:
        """Ideal of all blocks of pixels."""
        return sum(self.block_bits)

    @property
    def lossless_bytes(self) -> int:
        """Spent on all blocks of pixels."""
        return sum(self.block_bytes)


@dataclass
class Balance:
    """What bits-back coding spent on every step, and what it should have: bits over all images.

    Entry 0 is x_0 | y_1, entry t is y_t | y_{t+1}, the last one y_K. ideal: KL divergences of the p
    in use, and -log2 p(x_0 | y_1); kl: with q's own variance in p's place (DDPM's L_t); both for
    the latents that were drawn. images, values: how many images and sub-pixels. Chains may differ
    in where they end: y_K, where all of them begin, comes last.
    """

    spent: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    ideal: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    kl: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    images: int = 0
    values: int = 0

    def begin(self, levels: int, images: int, values: int) -> None:
        """A batch follows."""
        if more := max(0, levels + 1 - self.spent.size):
            self.spent, self.ideal, self.kl = (
                np.concatenate([part[:1], np.zeros(more), part[1:]])
                for part in (self.spent, self.ideal, self.kl)
            )
        self.images, self.values = self.images + images, self.values + values

    def add(self, t: int, spent: float, ideal: float, kl: float) -> None:
        """What entry t of a batch took."""
        self.spent[t] += spent
        self.ideal[t] += ideal
        self.kl[t] += kl

    def include(self, other: Balance) -> None:
        """Add all of another one."""
        self.begin(other.spent.size - 1, other.images, other.values)
        for mine, its in zip(
            (self.spent, self.ideal, self.kl), (other.spent, other.ideal, other.kl), strict=True
        ):
            mine[:1] += its[:1]
            mine[len(mine) - len(its) + 1 :] += its[1:]
