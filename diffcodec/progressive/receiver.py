"""Decoding an image: Algorithm 4 as far as the bytes go, then the exact pixels that are there."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from diffcodec.bitstream.byte_order import little_endian
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.payload import Payload
from diffcodec.bitstream.types import Float32, Pixels, Progress
from diffcodec.progressive.plain import decode_plain
from diffcodec.progressive.residual import decode_residual
from diffcodec.progressive.shared import Shared, State
from diffcodec.progressive.steps import Walk, follow
from diffcodec.theory.units import from_unit, to_levels

# Shows a cut otherwise than by x0_hat (diffcodec.sampling).
Reconstruct = Callable[[Shared, State, Float32], Float32]


@dataclass(frozen=True)
class Received:
    """What a payload, or a prefix of it, holds.

    pixels: (H, W, C) uint8; steps: complete ones; lossless: the pixels are exact; astray: exact
    pixels are there, but not shown: the denoiser's numbers are others than the sender's.
    """

    pixels: Pixels
    steps: int
    lossless: bool
    astray: bool = False


def receive(
    payload: Payload,
    walk: Walk,
    progress: Progress | None = None,
    reconstruct: Reconstruct | None = None,
) -> Received:
    """The best image that a payload holds; `walk` is taken along over its complete steps.

    walk: at the beginning, or where an earlier call with a prefix of this payload left it.
    reconstruct: makes what is shown of the steps instead of x0_hat, where not all pixels are exact.
    Raises BitstreamError if a whole file's pixels do not match their checksum.
    """
    whole, astray = payload.pixel_crc is not None, False
    if whole and payload.plain:
        walk.steps = len(payload.steps)  # all pixels are here
        planes = _flat(walk.shared)
    else:
        at = walk_along(payload, walk, progress)
        nothing = payload.plain and not payload.steps  # that an image could be made from
        planes = _shown(payload, at, None if whole or nothing else reconstruct)
    if payload.plain:
        decode_plain(walk.shared, payload, planes)
    elif payload.sigma_index is not None:
        astray = not decode_residual(walk, payload, planes)
        if astray and whole:
            planes = _shown(payload, walk, reconstruct)
    pixels = np.ascontiguousarray(planes.transpose(1, 2, 0))
    if astray:
        return Received(pixels, walk.steps, lossless=False, astray=True)
    if whole and zlib.crc32(little_endian(pixels).data) != payload.pixel_crc:
        raise BitstreamError(
            "the decoded pixels do not match the file's checksum, though the file is intact: this "
            "installation computes something wrong; diffcodec selftest reports what"
        )
    return Received(pixels, walk.steps, whole)


def walk_along(payload: Payload, walk: Walk, progress: Progress | None) -> Walk:
    """Where the steps of a payload lead: the walk itself, or beyond it if they are cut inside."""
    at, last = walk, len(walk.shared.chain.v)
    if payload.steps and payload.sigma_index is not None:
        last = payload.steps[-1].end + 1  # no more steps follow
    for at in follow(payload.steps, walk):
        if progress and at is walk:
            progress(at.state.node + 1, last)
    return at


def _shown(payload: Payload, at: Walk, reconstruct: Reconstruct | None) -> Pixels:
    """The image at a state, (C, H, W)."""
    if reconstruct is not None:
        return to_levels(reconstruct(at.shared, at.state, at.x0_hat), at.shared.format)
    if at.begun or (payload.sigma_index is not None and not payload.plain):
        return to_levels(at.shown(), at.shared.format)
    return _flat(at.shared)


def _flat(shared: Shared) -> Pixels:
    """The image before the first step, (C, H, W)."""
    levels = from_unit(shared.prior_mean, shared.format).transpose(2, 0, 1)
    return np.broadcast_to(levels, shared.shape).copy()
