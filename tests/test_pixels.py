"""The last step's coder: exact, close to its ideal, and right at every cut."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffcodec.bitstream.pixels import (
    GRID,
    SIGMAS,
    best_sigma,
    decode_block,
    encode_block,
    ideal_bits,
    sigma_of,
)
from diffcodec.diffusion import discretized_gaussian_log_likelihood


def draw(n: int, sigma: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    means = rng.integers(-40 * GRID, 296 * GRID, n).astype(np.int32)
    pixels = np.clip(np.rint(means / GRID + sigma * rng.standard_normal(n)), 0, 255)
    return pixels.astype(np.uint8), means


@pytest.mark.parametrize("sigma", [0.05, 1.3, 20.0])
def test_size_is_the_ideal_to_two_bytes(sigma: float) -> None:
    pixels, means = draw(3072, sigma)
    index = best_sigma(pixels, means)
    data = encode_block(pixels, means, index)
    assert len(data) <= ideal_bits(pixels, means, index) / 8 + 2
    assert np.array_equal(decode_block(data, True, means, index), pixels)


def test_every_prefix_gives_right_pixels_only() -> None:
    pixels, means = draw(2000, 2.0)
    data = encode_block(pixels, means, 48)
    counts = []
    for length in range(len(data) + 1):
        part = decode_block(data[:length], False, means, 48)
        assert np.array_equal(part, pixels[: len(part)])
        counts.append(len(part))
    assert counts == sorted(counts) and counts[-1] >= 1024


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 255), st.integers(-9000, 18000)), min_size=1, max_size=40),
    st.integers(0, SIGMAS - 1),
)
def test_anything_round_trips(pairs: list[tuple[int, int]], index: int) -> None:
    pixels = np.array([p for p, _ in pairs], np.uint8)
    means = np.array([m for _, m in pairs], np.int32)
    data = encode_block(pixels, means, index)
    assert np.array_equal(decode_block(data, True, means, index), pixels)


def test_probabilities_are_those_of_equation_13() -> None:
    pixels, means = draw(500, 3.0)
    x0, mean = pixels / 127.5 - 1, means / GRID / 127.5 - 1
    sigma = np.full(500, sigma_of(53) / 127.5)
    nats = discretized_gaussian_log_likelihood(x0, mean, sigma)
    assert ideal_bits(pixels, means, 53) == pytest.approx(-nats.sum() / np.log(2), rel=1e-6)


def test_best_sigma_finds_the_truth() -> None:
    for sigma in (0.5, 1.3, 5.0):
        pixels, means = draw(20000, sigma)
        inside = (means > 0) & (means < 255 * GRID)
        index = best_sigma(pixels[inside], means[inside])
        expected = np.hypot(sigma, 0.02)
        assert sigma_of(index) == pytest.approx(expected, rel=0.15)
