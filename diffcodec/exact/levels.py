"""The noise embedding as a table: what each layer adds to its bias at so many noise levels."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from diffcodec.bitstream.types import Float64
from diffcodec.network.config import NetworkConfig
from diffcodec.network.noise import SIGMA_RANGE, NoiseEmbedding

BETWEEN = 16  # values of the noise embedding, from one level to the next, that are averaged


def noise_levels(per_octave: int, config: NetworkConfig | None = None) -> Float64:
    """Noise variances at which biases are kept, so many to an octave of sigma, increasing.

    config: of a network that may distinguish others than SIGMA_RANGE.
    """
    low, high = SIGMA_RANGE
    if config is not None and config.condition != "sigma":
        low, high = (math.sqrt(v) for v in NoiseEmbedding(config).range)
    count = math.ceil(math.log2(high / low) * per_octave) + 1
    return np.geomspace(low, high, count) ** 2


def level_rows(level: Callable[[Float64], Float64], levels: Float64) -> Float64:
    """What a layer adds to its bias at every noise level (L,): (L, c_out).

    The fast sinusoids of the embedding turn by several radians from one level to the next, and a
    trained network hardly listens to them. Means, weighted as interpolation does, are without.
    """
    step = math.log(levels[-1] / levels[0]) / (len(levels) - 1)
    shares = [(i, (BETWEEN - abs(i)) / BETWEEN**2) for i in range(1 - BETWEEN, BETWEEN)]
    return np.asarray(sum(s * level(levels * math.exp(step * i / BETWEEN)) for i, s in shares))
