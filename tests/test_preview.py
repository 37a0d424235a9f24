"""Previews: smaller images from the first steps of a file."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from diffcodec.bitstream.types import Float32
from diffcodec.codec import Codec
from diffcodec.errors import OptionError
from diffcodec.progressive.preview import shrink
from diffcodec.theory.units import GREY, to_unit
from tests.gaussian import gaussian_codec, gaussian_image

CODEC = gaussian_codec()
IMAGE = gaussian_image()


def rms(a: NDArray[np.generic], b: NDArray[np.generic]) -> float:
    return float(np.sqrt(np.mean((a.astype(np.float64) - b) ** 2)))


def test_pixels_are_means_of_squares() -> None:
    x = np.random.default_rng(0).standard_normal((3, 9, 6)).astype(np.float32)
    small = shrink(x, 4)
    assert small.shape == (3, 3, 2) and small.dtype == np.float32
    np.testing.assert_allclose(small[:, 1, 0], x[:, 4:8, :4].mean(axis=(1, 2)), atol=1e-6)
    np.testing.assert_allclose(small[:, 2, 1], x[:, 5:9, 2:6].mean(axis=(1, 2)), atol=1e-6)
    np.testing.assert_allclose(shrink(x[:, :1, :3], 8)[:, 0, 0], x[:, 0, :3].mean(1), atol=1e-6)


def test_a_preview_takes_steps_as_far_as_they_show() -> None:
    scale = 8  # the chain of this source ends at 3.4 grey levels
    asked: list[float] = []

    def counting(y: Float32, v: float) -> Float32:
        asked.append(GREY * v**0.5)
        return CODEC.denoiser(y, v)

    codec = Codec(counting, CODEC.tables, fingerprint=CODEC.fingerprint)
    data = codec.encode(IMAGE)
    asked.clear()
    decoded = codec.decode(data, scale=scale)
    assert decoded.steps == len(asked) and not decoded.lossless
    assert asked[-1] <= scale < asked[-2]
    assert decoded.steps < CODEC.decode(data).steps


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_a_preview_is_the_image_made_smaller(scale: int) -> None:
    data = CODEC.encode(IMAGE)
    small = (shrink(to_unit(IMAGE), scale) + 1) * 127.5
    assert rms(CODEC.decode(data, scale=scale).pixels, small.transpose(1, 2, 0)) < 2


def test_cuts_have_previews_too() -> None:
    data = CODEC.encode(IMAGE)
    for length in (22, 25, len(data) // 3):
        assert CODEC.decode(data[:length], scale=8).pixels.shape[:2] == tuple(
            -(-side // 8) for side in IMAGE.shape[:2]
        )


def test_stored_pixels_are_made_smaller() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (16, 24, 3), np.uint8)
    small = CODEC.decode(CODEC.encode(noise), scale=8).pixels
    means = noise.reshape(2, 8, 3, 8, 3).mean(axis=(1, 3))
    assert np.abs(small - means).max() <= 0.51


def test_other_scales_are_refused() -> None:
    with pytest.raises(OptionError, match="1/3"):
        CODEC.decode(CODEC.encode(IMAGE[:4, :4]), scale=3)
