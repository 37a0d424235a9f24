"""A smaller image from a file: 1/2, 1/4 or 1/8 of the size, from its first steps alone.

Pixels of the preview are means of s x s pixels, in which noise is s times smaller. So the steps
below a noise of s grey levels, and the exact pixels, are left out: most of a file. The steps before
are followed at full size. At the preview's size the network would answer something else, the
sender's mu would not fit it, and the difference would stay in the state: 28 dB were all it gave.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from diffcodec.bitstream.payload import Payload
from diffcodec.bitstream.types import Float32, Progress
from diffcodec.progressive.receiver import Received, receive, walk_along
from diffcodec.progressive.steps import Walk
from diffcodec.theory.units import from_unit, to_unit

SCALES = (2, 4, 8)


def preview(
    payload: Payload,
    walk: Walk,
    scale: int,
    progress: Progress | None = None,
    opacity: Float32 | None = None,
) -> Received:
    """The image of a payload, made `scale` times smaller: (ceil(H / scale), ..., C) pixels.

    walk: at the beginning. steps: those that it took. Plain pixels are all read. opacity: alpha
    (1, H, W), 0 .. 1, by which pixels count in the mean.
    """
    format = walk.shared.format
    if payload.plain:
        whole = receive(payload, walk, progress)
        x = to_unit(whole.pixels, format)
        return Received(from_unit(shrink(x, scale, opacity), format), whole.steps, False)
    chain = walk.shared.chain
    noisy = [
        s
        for s in payload.steps
        if chain.noise(s.start) > (scale * format.grey_level / format.half) ** 2
    ]
    at = walk_along(replace(payload, steps=noisy, sigma_index=None, coding=None), walk, progress)
    shared = at.shared
    shown = at.shown() if at.begun else np.broadcast_to(shared.prior_mean, shared.shape)
    return Received(from_unit(shrink(shown, scale, opacity), format), at.steps, False)


def shrink(x: Float32, scale: int, opacity: Float32 | None = None) -> Float32:
    """Means of squares of `scale` x `scale` pixels: (C, H, W) to (C, ceil(H / scale), ...).

    opacity: (1, H, W), 0 .. 1, as the pixels' weights; where all are 0 the mean is a plain one. The
    last square of a row or column that is not a multiple lies inside the image and overlaps
    the one before it. An image that is smaller than a square has its mean.
    """
    if opacity is not None:
        weight = shrink(opacity, scale)
        hidden = weight < 1e-6
        means = shrink(x * opacity, scale) / np.where(hidden, np.float32(1), weight)
        return np.where(hidden, shrink(x, scale), means)
    for axis in (2, 1):
        x = _means(np.moveaxis(x, axis, 0), min(scale, x.shape[axis]))
        x = np.moveaxis(x, 0, axis)
    return np.ascontiguousarray(x)


def _means(x: Float32, n: int) -> Float32:
    """Of n rows each, the last ones perhaps overlapping."""
    whole = len(x) // n * n
    means = sum((x[i:whole:n] for i in range(1, n)), start=x[0:whole:n])
    if whole < len(x):
        means = np.concatenate([means, x[-n:].sum(axis=0, keepdims=True)])
    return np.asarray(means * np.float32(1 / n))
