"""Bits-back coding of a batch of images with a diffusion model, in Bit-Swap order.

The latents are y_1, ..., y_K, y_t = x0 + n with noise of variance v_1 < ... < v_K, a Markov chain:
q(y_t | y_{t-1}) adds noise of variance v_t - v_{t-1}. A sender who *pops* y_t from a stack of bits
with q's probabilities gets a sample of it, and the receiver, who ends with the same y_t, pushes it
back: the bits are returned. So what an image adds to the stack is, on average, its negative bound

    E[log2 q(y_1..K | x_0) - log2 p(x_0, y_1..K)]        (Ho et al. 2020, eq. 5)

That holds if what is popped is random. What was pushed just before is only as random as the network
is good, so the stack is stirred with shared randomness before each pop (`Grid.take_q`); without it
a real network's files were 1 % larger at 8 bins a deviation.

Popping and pushing in turn (Kingma, Abbeel and Ho 2019, "Bit-Swap") keeps what must be on the stack
beforehand to about two latents, however long the chain is. `push` and `pop` mirror each other line
by line; what both know is in `Model`. Means and bins follow from x0_hat by single IEEE operations
in double precision, so they are the same wherever x0_hat is.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from diffcodec.accounting.trace import Balance, Clock
from diffcodec.bitstream.ans import Stack
from diffcodec.bitstream.decimals import rounded_log2
from diffcodec.bitstream.gaussian import PHASES, SIGMA_UNIT, Table, table
from diffcodec.bitstream.latents import BELL, Grid
from diffcodec.bitstream.pixels import GRID, SIGMAS, best_sigma, sigma_of
from diffcodec.bitstream.types import Float64, Int64, Pixels
from diffcodec.theory.chain import Chain
from diffcodec.theory.denoiser import BatchDenoiser
from diffcodec.theory.gaussian import posterior_variance, step_ratio
from diffcodec.theory.units import GREY, to_x0

AnyFloat = TypeVar("AnyFloat", float, NDArray[np.float64])

BINS = 4  # bins in a standard deviation: finer costs initial bits, coarser costs net bits
FINE = PHASES // GRID  # the pixel coder's means as the tables count them
INDEX_SPREAD = 4  # of sigma indices around the usual one


class Model:
    """What sender and receiver share: the chain's Gaussians on their grids, and the denoiser.

    shape: (C, H, W) of every image of a batch. Level t = 1 .. K is entry t - 1 of the lists.
    bins and phases: the precision, in bins a standard deviation and means a bin.
    """

    def __init__(
        self,
        denoiser: BatchDenoiser,
        chain: Chain,
        shape: tuple[int, int, int],
        clock: Clock | None = None,
        bins: int = BINS,
        phases: int = PHASES,
    ) -> None:
        self.denoiser, self.shape, self.clock = denoiser, shape, clock or Clock()
        self.v = chain.v[::-1]
        self.levels = len(self.v)
        self.prior_mean = np.array(chain.tables.mean(shape[0]))[:, None, None]
        q = [self.v[0], *(b - a for a, b in pairwise(self.v))]  # variances
        p = [_widened(s, t, chain.tables.error(t)) for s, t in pairwise(self.v)]
        p.append(self.v[-1] + chain.tables.prior_variance)
        self.grids = [Grid(*pair, bins, phases) for pair in zip(q, p, strict=True)]
        grey = GREY * math.sqrt(chain.tables.error(self.v[0]))
        self.usual_index = min(max(rounded_log2(grey, 8) + 40, 0), SIGMAS - 1)
        self.index_table = table(INDEX_SPREAD * SIGMA_UNIT, SIGMAS)

    @property
    def initial_bits(self) -> int:
        """What must be on the stack for each image: about y_1 and y_2, less the pixels.

        An estimate; where it is too low, popping raises StackEmpty.
        """
        pixels = math.log2(max(1.0, BELL * sigma_of(self.usual_index)))
        level = most = self.grids[0].q.bits
        level -= pixels
        for here, above in pairwise(self.grids):
            level += above.q.bits
            most = max(most, level)
            level -= here.p.bits
        return math.ceil(math.prod(self.shape) * (1.03 * most + 0.1))

    def forward(self, t: int, below: Float64 | Int64) -> Int64:
        """Means of q(y_t | y_{t-1}), from bins of y_{t-1}, or from x0 for t = 1."""
        width = self.grids[t - 2].width if t > 1 else 1.0
        return self.grids[t - 1].mean(np.asarray(below * width, np.float64))

    def backward(self, t: int, above: Int64, x0_hat: Float64) -> Int64:
        """Means of p(y_t | y_{t+1}), r y_{t+1} + (1 - r) x0_hat, from bins of y_{t+1}."""
        r = step_ratio(self.v[t - 1], self.v[t])
        return self.grids[t - 1].mean(r * (above * self.grids[t].width) + (1 - r) * x0_hat)

    def prior(self, n: int) -> Int64:
        """Means of p(y_K), before anything is known."""
        means = self.grids[-1].mean(np.broadcast_to(self.prior_mean, self.shape))
        return np.repeat(means[None], n, axis=0)

    def estimate(self, t: int, k: Int64) -> Float64:
        """x0_hat of bins of y_t, in [-1, 1]."""
        y = (k * self.grids[t - 1].width).astype(np.float32)
        with self.clock.measure("network"):
            x0_hat = self.denoiser.batch(y, self.v[t - 1])
        return np.clip(x0_hat, -1, 1).astype(np.float64)


def _widened(v_s: float, v_t: float, error: float) -> float:
    """Variance of p(y_s | y_t): wider than q's posterior by the error of x0_hat."""
    new = 1 - step_ratio(v_s, v_t)
    return posterior_variance(v_s, v_t) + new * new * error  # `**` would be the libm's pow


# --- sending and receiving ----------------------------------------------------------------------


def push(model: Model, stack: Stack, pixels: Pixels, balance: Balance | None = None) -> None:
    """Code images, (N, H, W, C) uint8, onto the stack; its lanes are open.

    balance: is told what every step cost, beside theory. Raises StackEmpty.
    """
    x0 = to_x0(pixels)
    meter = _Meter(model, stack, x0, balance)
    k = model.grids[0].take_q(stack, model.forward(1, x0))
    x0_hat = model.estimate(1, k)
    ideal = _push_pixels(model, stack, pixels, x0_hat)
    meter.pixels(k, ideal)
    for t in range(1, model.levels):
        above = model.grids[t].take_q(stack, model.forward(t + 1, k))
        x0_hat = model.estimate(t + 1, above)
        model.grids[t - 1].put_p(stack, model.backward(t, above, x0_hat), k)
        meter.step(t, k, above, x0_hat)
        k = above
    model.grids[-1].put_p(stack, model.prior(len(k)), k)
    meter.prior(k)


def pop(model: Model, stack: Stack, n: int) -> Pixels:
    """The n images that `push` coded, (n, H, W, C) uint8; the stack is then as it was before."""
    k = model.grids[-1].take_p(stack, model.prior(n))
    for t in range(model.levels - 1, 0, -1):
        x0_hat = model.estimate(t + 1, k)
        below = model.grids[t - 1].take_p(stack, model.backward(t, k, x0_hat))
        model.grids[t].put_q(stack, model.forward(t + 1, below), k)
        k = below
    pixels = _pop_pixels(model, stack, model.estimate(1, k))
    x0 = to_x0(pixels)
    model.grids[0].put_q(stack, model.forward(1, x0), k)
    return pixels


# --- x_0 given y_1: the discretized decoder of DDPM's eq. 13, one sigma an image -----------------


def _push_pixels(model: Model, stack: Stack, pixels: Pixels, x0_hat: Float64) -> float:
    usual = np.array([PHASES * model.usual_index])
    for image, guess in zip(pixels, x0_hat, strict=True):
        values, means, index, code = _pixel_code(image, guess)
        stack.push(code, means * FINE, values)
        stack.push(model.index_table, usual, np.array([index]))
    return float(pixel_bits(pixels, x0_hat).sum())


def pixel_bits(pixels: Pixels, x0_hat: Float64) -> Float64:
    """-log2 p(x_0 | y_1) of every image, (N,), given x0_hat(y_1)."""
    bits = []
    for image, guess in zip(pixels, x0_hat, strict=True):
        values, means, _, code = _pixel_code(image, guess)
        bits.append(float(code.bits(means * FINE, values.astype(np.int32)).sum()))
    return np.array(bits)


def _pixel_code(image: Pixels, x0_hat: Float64) -> tuple[Pixels, NDArray[np.int32], int, Table]:
    """Values and means of an image's sub-pixels, its sigma index and the table of that sigma."""
    values, means = image.reshape(-1), _grey(x0_hat)
    index = best_sigma(values, means)
    return values, means, index, table(round(sigma_of(index) * SIGMA_UNIT), 256)


def _pop_pixels(model: Model, stack: Stack, x0_hat: Float64) -> Pixels:
    channels, height, width = model.shape
    images = np.empty((len(x0_hat), height, width, channels), np.uint8)
    usual = np.array([PHASES * model.usual_index])
    for i in reversed(range(len(x0_hat))):
        index = int(stack.pop(model.index_table, usual)[0])
        code = table(round(sigma_of(index) * SIGMA_UNIT), 256)
        images[i] = stack.pop(code, FINE * _grey(x0_hat[i])).reshape(height, width, channels)
    return images


def _grey(x0_hat: Float64) -> NDArray[np.int32]:
    """Means of the pixels in 1/GRID grey level, channels interleaved."""
    grey = (x0_hat.transpose(1, 2, 0) + 1) * (GREY * GRID)
    return np.rint(grey).astype(np.int32).reshape(-1)


# --- what it cost -------------------------------------------------------------------------------


class _Meter:
    """Tells a Balance what the stack gained in every step, and what theory asks for.

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
