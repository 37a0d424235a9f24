"""Many small pictures in one file: what they cost when they share header, steps and trellis.

Pictures of one size are stacked, one below the other, and the stack is coded as a picture by a
denoiser that looks at each of them by itself. So every step of the chain serves all of them: it
carries many bits, and the header, the checksums and what a step says about itself hardly count.
Bytes are those of the real file. It is for measuring: the file does not say that it is a stack,
and has a network's fingerprint of its own, so that nothing else takes it for a picture.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from diffcodec.bitstream.types import Float32
from diffcodec.codec import Codec
from diffcodec.eval.common.images import Picture
from diffcodec.eval.likelihood.denoising import batches
from diffcodec.theory.denoiser import BatchDenoiser

BATCH = 1 << 16  # pixels in a call of the network


class JointError(ValueError):
    """Pictures that cannot be coded together."""


@dataclass(frozen=True)
class Stacked:
    """A denoiser of stacks of pictures of this height, which sees each picture alone."""

    denoiser: BatchDenoiser
    height: int

    def __call__(self, y: Float32, v: float) -> Float32:
        """y: (C, n height, W); returns x0_hat like y."""
        channels, total, width = y.shape
        n = total // self.height
        apart = y.reshape(channels, n, self.height, width).transpose(1, 0, 2, 3)
        x0_hat = np.empty_like(apart)
        for part in batches(n, max(1, BATCH // (self.height * width))):
            x0_hat[part] = self.denoiser.batch(np.ascontiguousarray(apart[part]), v)
        return np.ascontiguousarray(x0_hat.transpose(1, 0, 2, 3)).reshape(y.shape)


def as_one(codec: Codec, height: int) -> Codec:
    """The codec of stacks of pictures of this height."""
    own = hashlib.sha256(codec.fingerprint + b"stack" + height.to_bytes(4, "little")).digest()
    return Codec(
        Stacked(cast(BatchDenoiser, codec.denoiser), height),
        codec.tables,
        name=codec.name,
        fingerprint=own[:8],
        workers=codec.workers,
    )


def stacks(pictures: Sequence[Picture], size: int) -> list[Picture]:
    """Stacks of so many pictures each, the last one perhaps of fewer; raises JointError."""
    shapes = {picture.pixels.shape for picture in pictures}
    if len(shapes) > 1:
        raise JointError(f"pictures coded together must have one size, not {len(shapes)}")
    found: list[Picture] = []
    for part in batches(len(pictures), size):
        alike = pictures[part]
        pixels = np.concatenate([picture.pixels for picture in alike])
        found.append(Picture(f"stack-{len(found):03}", pixels, len(alike)))
    return found
