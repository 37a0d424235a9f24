"""Ancestral sampling from a received state: the states that were not received, from p_theta."""

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
