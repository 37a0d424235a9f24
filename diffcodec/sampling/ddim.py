"""DDIM (Song, Meng and Ermon 2021), eta = 0: the probability flow from a received state."""

from __future__ import annotations

import math

import numpy as np

from diffcodec.bitstream.types import Float32
from diffcodec.progressive.shared import Shared, State, estimate
from diffcodec.sampling import Options
from diffcodec.sampling.ancestral import next_state


def ddim(shared: Shared, state: State, x0_hat: Float32, options: Options) -> Float32:
    """x0_hat, (C, H, W) float32 in x0 units, of the state at the last node of the file's chain.

    options.steps: of equal ratio in noise, down to that node. options.seed: of the first state
    where not even one was received, and there only, since no other noise enters.
    """
    if math.isinf(state.v):
        state = next_state(shared, state, x0_hat, 0, np.random.default_rng(options.seed))
        x0_hat = estimate(shared, state)
    start, end = state.v, shared.chain.v[-1]
    if end >= start:
        return x0_hat
    for k in range(1, options.steps + 1):
        state = flow(state, x0_hat, start * (end / start) ** (k / options.steps))
        x0_hat = estimate(shared, state)
        options.report(k, options.steps)
    return x0_hat


def flow(state: State, x0_hat: Float32, v_s: float) -> State:
    """y_s = x0_hat + sqrt(v_s / v_t) (y_t - x0_hat): the noise that x0_hat implies, scaled down."""
    y = x0_hat + np.float32(math.sqrt(v_s / state.v)) * (state.y - x0_hat)
    return State(y.astype(np.float32), v_s, state.node)
