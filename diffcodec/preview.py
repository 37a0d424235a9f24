"""A smaller picture from the steps of a file: its chain followed at 1/2, 1/4 or 1/8 of the size.

The mean of s x s pixels of a state y = x0 + n is a state of the picture made s times smaller, with
noise v / s^2. So the network has 1/s^2 of the pixels to look at; the code's part of the work stays.
The sender's mu, though, was about the estimate at full size. What the estimate of the small picture
lacks against it stays in the state until later steps, which are about finer detail, wear it off.
So this is a preview, not the decoded picture made smaller.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from diffcodec.bitstream.layers import Payload
from diffcodec.bitstream.pixels import STORED
from diffcodec.channel import Channel, Float32, State, advance, beginning, codeword, estimate, known
from diffcodec.image import from_unit, to_unit
from diffcodec.progressive import Progress, Received, Walk, receive

SCALES = (2, 4, 8)


def preview(
    channel: Channel, payload: Payload, scale: int, progress: Progress | None = None
) -> Received:
    """The picture of a payload's steps, made `scale` times smaller: ceil(H / scale) rows, ...

    The exact pixels at the end of a file are not used, unless they are stored.
    """
    if payload.sigma_index == STORED:
        whole = receive(channel, payload, Walk(), progress)
        return Received(from_unit(shrink(to_unit(whole.pixels), scale)), whole.steps, False)
    _, height, width = channel.shape
    pixels = min(scale, height) * min(scale, width)  # that become one
    shape = channel.shape[0], -(-height // scale), -(-width // scale)
    small, steps = replace(channel, shape=shape), 0
    state = beginning(small)
    x0_hat = estimate(small, state)
    for step in payload.steps:
        if not known(channel, step):
            break
        z, share = codeword(channel, step)
        z = shrink(z, scale)
        state = advance(small, state, x0_hat, z, step, share)
        x0_hat = estimate(small, State(state.y, state.v / pixels, state.node))
        steps += step.complete
        if progress:
            progress(step.end + 1, len(channel.chain.v))
    return Received(from_unit(x0_hat), steps, False)


def shrink(x: Float32, scale: int) -> Float32:
    """Means of squares of `scale` x `scale` pixels: (C, H, W) to (C, ceil(H / scale), ...).

    The last square of a row or column that is not a multiple lies inside the picture and overlaps
    the one before it. A picture that is smaller than a square has its mean.
    """
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
