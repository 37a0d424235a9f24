"""Previews: the chain followed at a fraction of the picture's size."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from diffcodec.chain import OptionError
from diffcodec.codec import Codec
from diffcodec.denoiser import Float32
from diffcodec.image import to_unit
from diffcodec.preview import shrink
from tests.gaussian import gaussian_codec, picture

CODEC = gaussian_codec()
PICTURE = picture()


def rms(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    return float(np.sqrt(np.mean((a.astype(np.float64) - b) ** 2)))


def test_pixels_are_means_of_squares() -> None:
    x = np.random.default_rng(0).standard_normal((3, 9, 6)).astype(np.float32)
    small = shrink(x, 4)
    assert small.shape == (3, 3, 2) and small.dtype == np.float32
    np.testing.assert_allclose(small[:, 1, 0], x[:, 4:8, :4].mean(axis=(1, 2)), atol=1e-6)
    np.testing.assert_allclose(small[:, 2, 1], x[:, 5:9, 2:6].mean(axis=(1, 2)), atol=1e-6)
    np.testing.assert_allclose(shrink(x[:, :1, :3], 8)[:, 0, 0], x[:, 0, :3].mean(1), atol=1e-6)


class Counting:
    """What a network is asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[tuple[int, ...], float]] = []

    def __call__(self, y: Float32, v: float) -> Float32:
        self.asked.append((y.shape, v))
        return CODEC.denoiser(y, v)


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_the_network_sees_small_pictures_with_little_noise(scale: int) -> None:
    pixels = np.ascontiguousarray(PICTURE[:21, :30])
    denoiser = Counting()
    codec = Codec(denoiser, CODEC.tables, fingerprint=CODEC.fingerprint)
    data = codec.encode(pixels, chain="6")
    denoiser.asked.clear()
    whole = codec.decode(data).steps
    asked, denoiser.asked = denoiser.asked, []
    decoded = codec.decode(data, scale=scale)
    assert decoded.steps == whole and not decoded.lossless
    rows, columns = -(-21 // scale), -(-30 // scale)
    assert decoded.pixels.shape == (rows, columns, 3)
    assert denoiser.asked == [((3, rows, columns), v / scale**2) for _, v in asked]


def test_the_preview_is_close_to_the_picture_made_smaller() -> None:
    x0 = to_unit(PICTURE)

    class Knowing:
        """The network that knows the picture, at any size."""

        def __call__(self, y: Float32, v: float) -> Float32:
            return shrink(x0, x0.shape[1] // y.shape[1])

    codec = Codec(Knowing(), CODEC.tables, fingerprint=CODEC.fingerprint)
    data = codec.encode(PICTURE, chain="12")
    small = codec.decode(data, scale=2).pixels
    expected = np.rint((shrink(x0, 2) + 1) * 127.5).astype(np.uint8).transpose(1, 2, 0)
    assert rms(small, expected) < 0.6


def test_cuts_have_previews_too() -> None:
    data = CODEC.encode(PICTURE)
    assert (CODEC.decode(data[:30], scale=4).pixels.std(axis=(0, 1)) < 60).all()
    for length in (22, 25, len(data) // 3):
        assert CODEC.decode(data[:length], scale=8).pixels.shape[:2] == tuple(
            -(-side // 8) for side in PICTURE.shape[:2]
        )


def test_stored_pixels_are_made_smaller() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (16, 24, 3), np.uint8)
    small = CODEC.decode(CODEC.encode(noise), scale=8).pixels
    means = noise.reshape(2, 8, 3, 8, 3).mean(axis=(1, 3))
    assert np.abs(small - means).max() <= 0.51


def test_other_scales_are_refused() -> None:
    with pytest.raises(OptionError, match="1/3"):
        CODEC.decode(CODEC.encode(PICTURE[:4, :4]), scale=3)
