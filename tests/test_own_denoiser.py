"""A function makes a codec: files that decode, theory that it is measured against, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from diffcodec import BitstreamError, OptionError, codec_of
from diffcodec.bitstream.types import Float32
from diffcodec.theory.denoiser import GaussianDenoiser
from tests.synthetic import synthetic_image

IMAGES = [synthetic_image(24 + i, 20, 3, i) for i in range(4)]


def mean_of_neighbours(y: Float32, v: float) -> Float32:
    """Something that helps a little: the mean of 3 x 3 pixels, mixed with y."""
    padded = np.pad(y, ((0, 0), (1, 1), (1, 1)), mode="edge")
    rows, columns = y.shape[1:]
    parts = [padded[:, i : i + rows, j : j + columns] for i in range(3) for j in range(3)]
    share = v / (v + 0.05)
    return np.asarray((1 - share) * y + share * np.mean(parts, axis=0, dtype=np.float32))


def test_files_of_a_function_are_exact_and_progressive() -> None:
    codec = codec_of(mean_of_neighbours, IMAGES)
    data = codec.encode(IMAGES[1], switch=1.0, residual="gaussian")
    decoded = codec.decode(data)
    assert decoded.lossless and decoded.steps > 0
    assert np.array_equal(decoded.pixels, IMAGES[1])
    shown = codec.decode(data, max_bytes=len(data) // 3)
    assert not shown.lossless and shown.pixels.shape == IMAGES[1].shape


def test_the_error_is_the_one_that_theory_knows() -> None:
    """Of a Gaussian source of variance s its best denoiser is off by s v / (s + v)."""
    source, rng = GaussianDenoiser(0.0, 0.05), np.random.default_rng(0)
    drawn = source.sample(6, (3, 32, 32), rng).transpose(0, 2, 3, 1)
    images = list(np.rint((drawn.clip(-1, 1) + 1) * 127.5).astype(np.uint8))
    tables = codec_of(source, images).tables
    near = (tables.v > 0.001) & (tables.v < 1)
    assert near.sum() > 5
    known = [source.mse(v) for v in tables.v[near]]
    np.testing.assert_allclose(tables.mse[near], known, rtol=0.04)


def test_another_function_has_other_files() -> None:
    data = codec_of(mean_of_neighbours, IMAGES).encode(IMAGES[0])
    codec_of(mean_of_neighbours, IMAGES).decode(data)
    with pytest.raises(BitstreamError, match="was made with network"):
        codec_of(lambda y, v: y / (1 + v), IMAGES).decode(data)


def test_functions_that_are_no_denoisers_are_refused() -> None:
    with pytest.raises(OptionError, match="of shape"):
        codec_of(lambda y, v: y[:1], IMAGES)
    with pytest.raises(OptionError, match="no numbers"):
        codec_of(lambda y, v: y * np.nan, IMAGES)


@pytest.mark.parametrize(
    "images",
    [[], [IMAGES[0], IMAGES[1][:, :, :1]], [IMAGES[0].astype(np.uint16)], [IMAGES[0][..., :2]]],
    ids=["none", "grey and RGB", "16 bits", "two channels"],
)
def test_images_that_nothing_can_be_measured_on_are_refused(images: list) -> None:  # type: ignore[type-arg]
    with pytest.raises(OptionError, match="measure"):
        codec_of(mean_of_neighbours, images)
