"""One image that fits a cut: the states that were not received, by a walk without their bits.

"sample" goes as Algorithm 2 of DDPM does, "ddim" as DDIM with eta = 0; one image at a time, from a
received state. Images from nothing: ddpm.py, ddim.py.
"""

from __future__ import annotations

import math

import numpy as np

from diffcodec.bitstream.types import Float32
from diffcodec.progressive.shared import Shared, State, estimate
from diffcodec.sampling import Options
from diffcodec.theory.gaussian import posterior_mean, posterior_variance, step_ratio


def ancestral(shared: Shared, state: State, x0_hat: Float32, options: Options) -> Float32:
    """x0_hat, (C, H, W) float32 in x0 units, of the state at the last node of the file's chain.

    Node by node, as Algorithm 2 of Ho et al. 2020. options.seed: of the noise.
    """
    rng, levels = np.random.default_rng(options.seed), shared.chain.v
    for node, v_s in enumerate(levels):
        if v_s < state.v:
            state = next_state(shared, state, x0_hat, node, rng)
            x0_hat = estimate(shared, state)
        options.report(node + 1, len(levels))
    return x0_hat


def next_state(
    shared: Shared, state: State, x0_hat: Float32, node: int, rng: np.random.Generator
) -> State:
    """y_s ~ p_theta(y_s | y_t) at a node of the chain.

    p_theta is as wide as the steps' bits take it to be: q's variance v_s (1 - r) and, since x0_hat
    is off, (1 - r)^2 D(v_t). With q's alone a chain of few steps ends too smooth.
    """
    v_s = shared.chain.v[node]
    error = shared.chain.tables.error(state.v)
    variance = posterior_variance(v_s, state.v) + (1 - step_ratio(v_s, state.v)) ** 2 * error
    noise = rng.standard_normal(shared.shape) * math.sqrt(variance)
    y = posterior_mean(state.y, x0_hat, v_s, state.v) + noise
    return State(y.astype(np.float32), v_s, node)


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
