"""An image made so small that its longest side has so many pixels: what a viewer shows."""

from __future__ import annotations

import numpy as np
from PIL import Image

from diffcodec.bitstream.sample_format import SampleFormat
from diffcodec.bitstream.types import Float32, Pixels
from diffcodec.checks import whole
from diffcodec.errors import OptionError
from diffcodec.progressive.preview import SCALES
from diffcodec.theory.units import from_unit, to_unit


def check_scale(scale: int, size: int | None, sampled: bool) -> None:
    """Raises OptionError unless there is such a preview; sampled: whether a sampler shows it."""
    if size is not None and not (whole(size) and size > 0):
        raise OptionError(f"the size is {size!r}: it must be a whole number of pixels above 0")
    if scale == 1:
        return
    if scale not in SCALES:
        raise OptionError(f"there is no preview at 1/{scale}, only at 1/2, 1/4 and 1/8")
    if size is not None:
        raise OptionError("a scale and a size each say how small the image is: give one of them")
    if sampled:
        raise OptionError("a preview shows the mean only; leave out the scale to see a sample")


def scale_for(longest: int, size: int) -> int:
    """The smallest preview, 1/scale of the longest side, that still has `size` pixels there."""
    return max((scale for scale in SCALES if -(-longest // scale) >= size), default=1)


def size_for(shape: tuple[int, ...], size: int) -> tuple[int, int]:
    """(H, W) of an image (H, W, C) whose longest side is to have at most `size` pixels."""
    height, width = shape[:2]
    longest = max(height, width, size)
    return tuple(max(1, (2 * side * size + longest) // (2 * longest)) for side in (height, width))  # type: ignore[return-value]


def fit(pixels: Pixels, format: SampleFormat, to: tuple[int, int]) -> Pixels:
    """An image (H, W, C) of the format made smaller, (*to, C): means over areas.

    What hardly shows counts as little in the mean of colours.
    """
    if pixels.shape[:2] == to:
        return pixels
    x = to_unit(pixels, format)
    if not format.alpha:
        return from_unit(np.stack([_resized(plane, to) for plane in x]), format)
    opacity = (x[-1] + 1) / 2
    weight = _resized(opacity, to)
    means = [_weighted(plane, opacity, weight) for plane in x[:-1]]
    return from_unit(np.stack([*means, 2 * weight - 1]), format)


def _weighted(plane: Float32, opacity: Float32, weight: Float32) -> Float32:
    """The mean of a plane by opacity, whose own mean is `weight`; the plain one where that is 0."""
    to = weight.shape[0], weight.shape[1]
    sums, plain = _resized(plane * opacity, to), _resized(plane, to)
    return np.where(weight > 0, sums / np.where(weight > 0, weight, 1), plain)


def _resized(plane: Float32, to: tuple[int, int]) -> Float32:
    """Of (H, W) float32."""
    image = Image.fromarray(np.ascontiguousarray(plane, np.float32))
    return np.asarray(image.resize((to[1], to[0]), Image.Resampling.BOX), np.float32)
