"""Grey images for networks that know RGB only, and RGB for those that know grey ones only.

A grey state with noise v becomes an RGB state with independent noise 3v in every channel whose
mean is the grey state: nothing is lost, and the network sees the noise it was trained on.
"""

from __future__ import annotations

import numpy as np

from diffcodec.bitstream.randomness import gaussian
from diffcodec.bitstream.types import Float32, Float64
from diffcodec.theory.units import GREY

GREY_SEED = 0x67726579  # of the noise that turns one grey channel into three


def rgb_state(y: Float32, v: Float64, rows: slice, columns: slice) -> Float64:
    """Part of the state (N, C, H, W) with noise variances (N,), as the network takes it: RGB.

    Of a grey one three channels with independent noise 3v each whose mean is y.
    """
    height, width = y.shape[2:]
    state = y[:, :, rows, columns].astype(np.float64)
    if y.shape[1] == 3:
        return state
    red, green, blue = (
        _drawn(c * height * width, width, rows, columns).astype(np.float64) for c in range(3)
    )
    extra = np.stack([red, green, blue]) - (red + green + blue) / 3
    return np.asarray(state + np.sqrt(3 * v)[:, None, None, None] * extra)


def as_known(channels: tuple[int, ...], x0: Float32) -> Float32:
    """Images (N, C, H, W) in [-1, 1] for what takes so many channels: RGB become grey, if need be.

    Grey is the mean of the channels, in whole grey levels.
    """
    if x0.shape[1] in channels:
        return x0
    levels = np.rint((x0.mean(axis=1, keepdims=True, dtype=np.float64) + 1) * GREY)
    return np.asarray(levels / GREY - 1, np.float32)


def _drawn(start: int, width: int, rows: slice, columns: slice) -> Float32:
    """Part of a plane of Gaussian noise, of which number `start` is the first."""
    if columns == slice(0, width):
        n = (rows.stop - rows.start) * width
        return gaussian(GREY_SEED, 0, n, start + rows.start * width).reshape(-1, width)
    n = columns.stop - columns.start
    first = start + columns.start
    return np.stack(
        [gaussian(GREY_SEED, 0, n, first + i * width) for i in range(rows.start, rows.stop)]
    )
