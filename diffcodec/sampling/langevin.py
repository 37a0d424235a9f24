"""NCSN (Song and Ermon 2019), Algorithm 1: annealed Langevin dynamics."""

from __future__ import annotations

import math
from collections.abc import Sequence

from diffcodec.bitstream.types import Float64
from diffcodec.errors import OptionError
from diffcodec.sampling.walk import Guide, Noise, Walk, visit
from diffcodec.theory.denoiser import BatchDenoiser

SNR, EACH = 0.3, 5


def langevin(
    denoiser: BatchDenoiser,
    y: Float64,
    levels: Sequence[float],
    noise: Noise,
    snr: float = SNR,
    each: int = EACH,
    guide: Guide | None = None,
) -> Walk:
    """At each level, `each` times: y = y + alpha / 2 score(y, v) + sqrt(alpha) z.

    y: (N, C, H, W), any start; levels: sigma_1^2 > ... > sigma_L^2. alpha = epsilon v / v_L is
    written as 4 snr^2 v: snr is the ratio of the two terms' lengths, sqrt(alpha) |score| / 2 |z|,
    as |score| is about sqrt(D / v) (section 4.3; Song et al. 2021, appendix G). Here z is
    sqrt(1 - snr^2) times as large, so that noise of variance v keeps it: steps are not infinitely
    small, and networks that are told v take more noise for texture (Jolicoeur-Martineau et al.
    2021). What the last level leaves of the noise its x0_hat takes away. Raises OptionError for an
    snr outside (0, 1), with which noise would grow, and for less than one step.
    """
    for v in levels:
        alpha = step_size(snr, each, v)
        for _ in range(each):
            at = visit(denoiser, y, v, guide)
            score = (at.x0_hat - y) / v
            y = y + alpha / 2 * score + math.sqrt(alpha * (1 - snr**2)) * noise()
        yield at
    yield visit(denoiser, y, levels[-1], guide)


def step_size(snr: float, each: int, v: float) -> float:
    """alpha at noise variance v; OptionError as in `langevin`."""
    if not 0 < snr < 1:
        raise OptionError(f"snr is {snr:g}: it must lie between 0 and 1")
    if each < 1:
        raise OptionError(f"{each} steps a level: there must be at least 1")
    return 4 * snr**2 * v
