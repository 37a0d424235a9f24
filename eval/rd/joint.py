"""Many small images in one file: what they cost when they share header, steps and trellis.

Images of one size are stacked, one below the other, and the stack is coded as an image by a
denoiser that looks at each of them by itself. So every step of the chain serves all of them: it
carries many bits, and the header, the checksums and what a step says about itself hardly count.
Bytes are those of the real file. It is for measuring: the file does not say that it is a stack,
and has a network's fingerprint of its own, so that nothing else takes it for an image.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from diffcodec.bitstream.types import Float32
from diffcodec.codec import Codec
from diffcodec.conditions import conditioned
from diffcodec.eval.common.images import NamedImage
from diffcodec.eval.likelihood.denoising import batches
from diffcodec.theory.denoiser import BatchDenoiser

BATCH = 1 << 16  # pixels in a call of the network


class JointError(ValueError):
    """Images that cannot be coded together."""


@dataclass(frozen=True)
class Stacked:
    """A denoiser of stacks of images of this height, which sees each image alone."""

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


def as_one(codec: Codec, height: int, label: int | None = None) -> Codec:
    """The codec of stacks of images of this height, all of one class, if any."""
    own = hashlib.sha256(codec.fingerprint + b"stack" + height.to_bytes(4, "little")).digest()
    return Codec(
        Stacked(cast(BatchDenoiser, conditioned(codec.denoiser, label)), height),
        codec.tables,
        name=codec.name,
        fingerprint=own[:8],
        workers=codec.workers,
        promised=codec.promised,
    )


def stacks(images: Sequence[NamedImage], size: int) -> list[NamedImage]:
    """Stacks of so many images each, the last one perhaps of fewer; raises JointError."""
    shapes = {image.pixels.shape for image in images}
    if len(shapes) > 1:
        raise JointError(f"images coded together must have one size, not {len(shapes)}")
    found: list[NamedImage] = []
    for part in batches(len(images), size):
        alike = images[part]
        pixels = np.concatenate([image.pixels for image in alike])
        found.append(NamedImage(f"stack-{len(found):03}", pixels, len(alike)))
    return found
