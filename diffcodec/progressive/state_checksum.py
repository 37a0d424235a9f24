"""Is the receiver's last state the one that the sender coded the exact pixels given?

Where floats make x0_hat, another machine may get other ones. Steps do not mind: what is shown is
off by as little. But the coders of the exact pixels go wrong at the first difference and never find
back, so what they are given, whole numbers, is compared before any pixel is decoded.
"""

from __future__ import annotations

import zlib

import numpy as np

from diffcodec.progressive.gaussian_residual import to_grid
from diffcodec.progressive.shared import pieces
from diffcodec.progressive.steps import Walk


def state_crc(walk: Walk) -> int:
    """CRC-32 of the last state as the coders of pixels see it: x0_hat, then y, both (C, H, W) in
    1/GRID sample, int32 in little-endian order."""
    crc, half = 0, walk.shared.format.half
    for values, reach in ((walk.x0_hat, 1), (walk.state.y, 3)):
        for (part,) in pieces(values):
            crc = zlib.crc32(to_grid(np.clip(part, -reach, reach), half).astype("<i4").data, crc)
    return crc
