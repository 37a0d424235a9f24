"""Walks through noise levels: what every sampler is made of.

A sampler is a generator of the states that it visits, from the noisiest on; x0_hat at the last one
is the sample. States are those of the house: y_t = x_t / sqrt(alpha_bar_t) = x0 + n, n ~ N(0, v_t),
so that 1 / alpha_bar_t = 1 + v_t. Which levels v_t are visited is a list, decreasing (taus.py):
DDPM's timesteps, some of them, or any others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from diffcodec.bitstream.types import Float64, Progress
from diffcodec.theory.denoiser import BatchDenoiser

Noise = Callable[[], Float64]  # z ~ N(0, I), the shape of y, new at each call (noise.py)

# s grad_y log p(c | y, v) of a classifier (Dhariwal and Nichol 2021): (y, v) -> like y, float64.
# Of x_t instead of y it is sqrt(1 + v) times as large.
Guide = Callable[[Float64, float], Float64]


@dataclass(frozen=True, eq=False)
class Visited:
    """A state of N images: y and x0_hat(y, v), (N, C, H, W) float64; v: of the noise in y."""

    y: Float64
    v: float
    x0_hat: Float64


Walk = Iterator[Visited]


def visit(denoiser: BatchDenoiser, y: Float64, v: float, guide: Guide | None = None) -> Visited:
    """What a denoiser makes of a state. The algebra is in doubles, the network takes floats.

    guide: what is added to the score, so that x0_hat moves by v times as much (ADM, Algorithm 2:
    eps - sqrt(1 - alpha_bar_t) grad log p).
    """
    x0_hat = denoiser.batch(y.astype(np.float32), v).astype(np.float64)
    return Visited(y, v, x0_hat if guide is None else x0_hat + v * guide(y, v))


def prior(v_T: float, noise: Noise) -> Float64:
    """y_T of x_T ~ N(0, I), where sampling starts (DDPM, Algorithm 2, line 1)."""
    return np.asarray(np.sqrt(1 + v_T) * noise())


def q_sample(x_0: Float64, v: float, noise: Noise) -> Float64:
    """y_t of x_t ~ q(x_t | x_0) (DDPM eq. 4): an image on its way to noise."""
    return np.asarray(x_0 + np.sqrt(v) * noise())


def score(denoiser: BatchDenoiser, y: Float64, v: float) -> Float64:
    """The gradient of log q(y) at noise variance v: (x0_hat(y, v) - y) / v (Tweedie's formula).

    What NCSN trains a network for, -eps / sqrt(v) in DDPM's words (section 3.2). y: (N, C, H, W),
    like the result. Of x_t instead of y_t it is sqrt(1 + v) times as large.
    """
    return np.asarray((visit(denoiser, y, v).x0_hat - y) / v)


def last(walk: Walk) -> Float64:
    """The sample that a walk ends with: x0_hat of the last state, (N, C, H, W) float64."""
    *_, end = walk
    return end.x0_hat


def counted(
    walk: Walk, progress: Progress | None, total: int, done: int = 0, each: int = 1
) -> Walk:
    """The same walk; for every state it reports `each` more than `done` of `total`."""
    for at in walk:
        yield at
        done += each
        if progress is not None:
            progress(done, total)
