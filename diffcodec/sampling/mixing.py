"""Between two images: states mixed on a line (DDPM, section 4.4) or on a sphere (DDIM, 5.3)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from diffcodec.bitstream.types import Float64

Mix = Callable[[Float64, Float64, float], Float64]


def linear(a: Float64, b: Float64, share: float) -> Float64:
    """(1 - lambda) x_t + lambda x'_t: keeps the noise that both share, Figure 8 of DDPM."""
    return np.asarray((1 - share) * a + share * b)


def spherical(a: Float64, b: Float64, share: float) -> Float64:
    """Slerp (DDIM, eq. 67): keeps the length of latents, which is nearly the same for all."""
    cosine = np.vdot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b))
    angle = np.arccos(np.clip(cosine, -1, 1))
    if np.sin(angle) < 1e-6:  # the same direction: there is no arc
        return linear(a, b, share)
    weights = np.sin((1 - share) * angle), np.sin(share * angle)
    return np.asarray((weights[0] * a + weights[1] * b) / np.sin(angle))


def shares(points: int) -> list[float]:
    """lambda from 0 to 1, so many in between."""
    return [i / (points + 1) for i in range(points + 2)]
