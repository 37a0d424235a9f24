"""From a received state to an image that looks real: the rest of the chain, without its bits.

x0_hat is the mean of all images that fit what was received: no other choice has a smaller squared
error, and none looks as smooth. Both choices here show one image that fits, as far as the network
knows images, at up to twice the squared error. They are for cuts only; the exact pixels of a
whole file are not theirs to change.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from diffcodec.bitstream.types import Float32, Progress
from diffcodec.progressive.progressive import Reconstruct
from diffcodec.progressive.shared import Channel, State, estimate
from diffcodec.theory.diffusion import posterior_mean, posterior_variance, step_ratio

DDIM_STEPS = 20


@dataclass(frozen=True)
class Ancestral:
    """Draws the states that were not received from p_theta, node by node of the file's chain.

    seed: of the noise; progress: hears of every node.
    """

    seed: int = 0
    progress: Progress | None = None

    def __call__(self, channel: Channel, state: State, x0_hat: Float32) -> Float32:
        """x0_hat, (C, H, W) float32 in x0 units, of the state at the last node."""
        rng = np.random.default_rng(self.seed)
        for node, v_s in enumerate(channel.chain.v):
            if v_s < state.v:
                state = draw(channel, state, x0_hat, node, rng)
                x0_hat = estimate(channel, state)
            if self.progress is not None:
                self.progress(node + 1, len(channel.chain.v))
        return x0_hat


@dataclass(frozen=True)
class Ddim:
    """The probability flow from the received state: no noise enters (DDIM, eta = 0).

    steps: of equal ratio in noise, down to the chain's last node. seed: of the first state where
    not even one was received, and there only.
    """

    steps: int = DDIM_STEPS
    seed: int = 0

    def __call__(self, channel: Channel, state: State, x0_hat: Float32) -> Float32:
        """x0_hat, (C, H, W) float32 in x0 units, of the state at the last node."""
        if math.isinf(state.v):
            state = draw(channel, state, x0_hat, 0, np.random.default_rng(self.seed))
            x0_hat = estimate(channel, state)
        start, end = state.v, channel.chain.v[-1]
        if end >= start:
            return x0_hat
        for k in range(1, self.steps + 1):
            state = flow(state, x0_hat, start * (end / start) ** (k / self.steps))
            x0_hat = estimate(channel, state)
        return x0_hat


def draw(
    channel: Channel, state: State, x0_hat: Float32, node: int, rng: np.random.Generator
) -> State:
    """y_s ~ p_theta(y_s | y_t) at a node of the chain.

    p_theta is as wide as the steps' bits take it to be: q's variance v_s (1 - r) and, since x0_hat
    is off, (1 - r)^2 D(v_t). With q's alone a chain of few steps ends too smooth.
    """
    v_s = channel.chain.v[node]
    error = channel.chain.tables.error(state.v)
    variance = posterior_variance(v_s, state.v) + (1 - step_ratio(v_s, state.v)) ** 2 * error
    noise = rng.standard_normal(channel.shape) * math.sqrt(variance)
    y = posterior_mean(state.y, x0_hat, v_s, state.v) + noise
    return State(y.astype(np.float32), v_s, node)


def flow(state: State, x0_hat: Float32, v_s: float) -> State:
    """y_s = x0_hat + sqrt(v_s / v_t) (y_t - x0_hat): the noise that x0_hat implies, scaled down."""
    y = x0_hat + np.float32(math.sqrt(v_s / state.v)) * (state.y - x0_hat)
    return State(y.astype(np.float32), v_s, state.node)


def reconstruction(
    name: str, *, seed: int = 0, steps: int = DDIM_STEPS, progress: Progress | None = None
) -> Reconstruct | None:
    """What `Codec.decode` takes for "mean" (None), "sample" or "ddim"."""
    if name == "mean":
        return None
    return Ancestral(seed, progress) if name == "sample" else Ddim(steps, seed)
