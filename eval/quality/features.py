"""What a classifier sees in a set of images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from diffcodec.bitstream.types import Float64, Pixels
from diffcodec.errors import DataError
from diffcodec.eval.common.images import NamedImage
from diffcodec.theory.units import to_x0

if TYPE_CHECKING:
    from diffcodec.classifier.judge import Judge


@dataclass(frozen=True, eq=False)
class Seen:
    """features: (N, width); log_p: (N, classes) in nats, log p(c | image). Float64."""

    features: Float64
    log_p: Float64

    def __len__(self) -> int:
        return len(self.features)

    def some(self, which: Sequence[int] | slice | np.ndarray) -> Seen:
        """Of some of the images."""
        return Seen(self.features[which], self.log_p[which])


def stacked(images: Sequence[NamedImage], size: int, what: str) -> Pixels:
    """(N, size, size, 3) uint8, grey as RGB; DataError for an image of another size.

    what: the images are, in a sentence.
    """
    found = []
    for image in images:
        height, width, channels = image.pixels.shape
        if (height, width) != (size, size):
            raise DataError(
                f"{image.name} of the {what} has {width} x {height} pixels, and the classifier is "
                f"for {size} x {size}: cut mosaics up with --tile {size}, or give a classifier of "
                "that size"
            )
        found.append(image.pixels if channels == 3 else np.repeat(image.pixels, 3, axis=2))
    return np.stack(found)


def look(judge: Judge, pixels: Pixels) -> Seen:
    """A classifier's features of (N, size, size, 3) uint8 images, and what it takes them for."""
    x_0 = to_x0(pixels)
    return Seen(judge.features(x_0), judge.log_probabilities(x_0))
