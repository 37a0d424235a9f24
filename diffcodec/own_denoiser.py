"""A denoiser of one's own: any function x0_hat(y, v) makes a codec.

The codec needs to know no more of a denoiser than its error at every noise level, which is measured
on some images. Files are exact as long as the function gives the same numbers: with floats that
holds on the machine and with the libraries that wrote them, and files say so. Elsewhere a checksum
tells, and what the steps say is shown.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from diffcodec.bitstream.types import Float32, Float64, Pixels, Progress
from diffcodec.codec import Codec
from diffcodec.errors import OptionError
from diffcodec.network.tables import measure_tables
from diffcodec.theory.chain import Tables

Function = Callable[[Float32, float], Any]
SIDE = 128  # of what the error is measured on: the middle of every image, or all of smaller ones


class OwnDenoiser:
    """x0_hat(y, v) as the codec calls it; x0_hat: see codec_of. Raises OptionError for results of
    another shape, and for what is no number."""

    def __init__(self, x0_hat: Function) -> None:
        self.x0_hat = x0_hat

    def __call__(self, y: Float32, v: float) -> Float32:
        """(C, H, W) float32 to the same."""
        found = np.array(self.x0_hat(y, v), np.float32)  # a copy: the codec clips it in place
        if found.shape != y.shape:
            raise OptionError(f"x0_hat(y, v) is of shape {found.shape}, and y of {y.shape}")
        if not np.isfinite(found).all():
            raise OptionError(f"x0_hat(y, v) has values that are no numbers at v = {v:g}")
        return found

    def batch(self, y: Float32, v: float | Float64) -> Float32:
        """(N, C, H, W) and one v, or (N,)."""
        noise = np.broadcast_to(np.asarray(v, np.float64), (len(y),))
        return np.stack([self(one, float(at)) for one, at in zip(y, noise, strict=True)])


def codec_of(
    x0_hat: Function,
    images: Sequence[Pixels],
    *,
    name: str = "own",
    progress: Progress | None = None,
) -> Codec:
    """The codec of a function.

    x0_hat(y, v): the estimate of x0 given y = x0 + n, n ~ N(0, v), x0 in [-1, 1]; y, and what it
    returns, (C, H, W) float32, C = 1 or 3, as an array or whatever numpy makes one of. images: a
    few, (H, W, C) uint8 of one C, like those to be coded; the error is measured on them. name: what
    messages call it. progress(noise levels done, of). The same function, images and name make the
    same codec, which its files are decoded with. Raises OptionError without images, or where they
    differ in channels.
    """
    denoiser = OwnDenoiser(x0_hat)
    tables = Tables.of(measure_tables(denoiser, _middles(images), progress=progress).to_dict())
    stated = json.dumps([name, tables.to_dict()], sort_keys=True)
    fingerprint = hashlib.sha256(stated.encode()).digest()[:8]
    return Codec(denoiser, tables, name=name, fingerprint=fingerprint, promised=True)


def _middles(images: Sequence[Pixels]) -> list[Pixels]:
    """The middle of every image, all of one size."""
    if not images or any(image.ndim != 3 or image.dtype != np.uint8 for image in images):
        raise OptionError("a codec of a function needs images, (H, W, C) uint8, to measure it on")
    if len({image.shape[2] for image in images} - {1, 3}) or len({i.shape[2] for i in images}) > 1:
        raise OptionError("the images that a function is measured on are all grey, or all RGB")
    height, width = (min(SIDE, *(image.shape[axis] for image in images)) for axis in (0, 1))
    corners = [((i.shape[0] - height) // 2, (i.shape[1] - width) // 2) for i in images]
    cut = zip(images, corners, strict=True)
    return [image[y : y + height, x : x + width] for image, (y, x) in cut]
