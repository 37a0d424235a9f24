"""Images that need no file: alike enough to photographs that coders have something to find."""

from __future__ import annotations

import numpy as np

from diffcodec.bitstream.types import Pixels


def synthetic_image(height: int, width: int, channels: int, seed: int) -> Pixels:
    """(H, W, C) uint8: smooth waves with an edge and a little noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / 16.0
    phase = rng.uniform(0, 6.28, (channels, 3))
    planes = [np.sin(2 * x + a) + np.cos(3 * y + b) + (x + y > 1 + c / 6) for a, b, c in phase]
    levels = 110 + 40 * np.stack(planes, axis=-1) + rng.normal(0, 4, (height, width, channels))
    return np.asarray(np.rint(levels.clip(0, 255)), np.uint8)
