"""Group normalisation in integers (Wu and He 2018), with statistics that stay inside windows.

Of the n numbers u that a group has in a window, S1 = sum u and S2 = sum u^2 are exact, and so is
n times the variance, T = S2 - S1^2 / n, but for a fraction. With s = sqrt(2^8 (T + eps)), a channel
becomes A u + B: A = scale / s, B = offset - A S1 / n, and counts 2^-gain units of the streams.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diffcodec.bitstream.types import Int64
from diffcodec.exact.integers import rounded_shift

SQUARE = 8  # bits that the square root's argument is longer by
MOST = 1 << 30  # of what comes out of a window: cut to 16 bits, larger numbers are the same


@dataclass(frozen=True)
class Norm:
    """A layer's normalisation.

    groups: of neighbouring channels; window: side in pixels of the sources; shift, limit: of what
    is read, as of activations; eps: what is added to n variances; gain: fraction of A and B.
    """

    groups: int
    window: int
    shift: int
    limit: int
    eps: int
    gain: int

    def count(self, channels: int) -> int:
        """n: numbers that a group has in a window."""
        return self.window**2 * (channels // self.groups)


def normalise(norm: Norm, x: Int64, scale: Int64, offset: Int64) -> Int64:
    """The definition: (H, W, C) -> the same, in units of the streams. scale, offset: (C,)."""
    height, width, channels = x.shape
    u = np.clip(rounded_shift(x, norm.shift), -norm.limit, norm.limit)
    side, depth = norm.window, channels // norm.groups
    u = u.reshape(height // side, side, width // side, side, norm.groups, depth)
    axes, n = (1, 3, 5), norm.count(channels)
    A, B = lines(norm, n, u.sum(axis=axes), (u * u).sum(axis=axes), scale, offset)
    wide = [
        part.reshape(height // side, 1, width // side, 1, norm.groups, depth) for part in (A, B)
    ]
    return rounded_shift(wide[0] * u + wide[1], norm.gain).reshape(x.shape)


def lines(
    norm: Norm, n: int, S1: Int64, S2: Int64, scale: Int64, offset: Int64
) -> tuple[Int64, Int64]:
    """A and B (..., C) from the sums of each group (..., groups); scale, offset: (..., C)."""
    mean = S1 // n
    rest = S1 - n * mean
    T = S2 - mean * (S1 + rest) - rest * rest // n  # sum (u - mean)^2 - rest^2 / n
    root = square_root((T + norm.eps) << SQUARE)
    depth = scale.shape[-1] // norm.groups
    mean, rest, root = (np.repeat(part, depth, axis=-1) for part in (mean, rest, root))
    A = scale // root
    return A, offset - A * mean - A * rest // n


def square_root(x: Int64) -> Int64:
    """floor(sqrt(x)) of integers below 2^62."""
    root = np.sqrt(x.astype(np.float64)).astype(np.int64)  # at most 1 off
    root -= root * root > x
    return np.asarray(root + ((root + 1) ** 2 <= x))
