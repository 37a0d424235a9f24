"""The last step's coder: exact, close to its ideal, and right at every cut."""

from __future__ import annotations

import math
from typing import Any

import constriction
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffcodec.bitstream import range_coder
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.pixels import (
    GRID,
    SIGMAS,
    best_sigma,
    decode_block,
    encode_block,
    ideal_bits,
    sigma_of,
)
from diffcodec.theory.elbo import discretized_gaussian_log_likelihood


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


def test_words_that_are_no_code_are_refused_and_end_a_cut_block() -> None:
    means, words = np.full(2000, GRID * 100, np.int32), b"\xff" * 40
    with pytest.raises(BitstreamError, match="makes no sense"):
        decode_block(words, True, means, 40)
    assert len(decode_block(words, False, means, 40)) == 0


def test_probabilities_are_those_of_equation_13() -> None:
    pixels, means = draw(500, 3.0)
    x0, mean = pixels / 127.5 - 1, means / GRID / 127.5 - 1
    sigma = np.full(500, sigma_of(53) / 127.5)
    nats = discretized_gaussian_log_likelihood(x0, mean, sigma)
    assert ideal_bits(pixels, means, 53) == pytest.approx(-nats.sum() / np.log(2), rel=1e-6)


# --- without constriction -----------------------------------------------------------------------


@pytest.mark.parametrize("peak", [255, 15])
def test_the_range_coder_in_python_is_constriction_s(peak: int) -> None:
    built = constriction.stream
    theirs, ours = built.model.QuantizedGaussian(0, peak), range_coder.QuantizedGaussian(0, peak)
    rng = np.random.default_rng(peak)
    for index in range(0, SIGMAS, 5):
        symbols = rng.integers(0, peak + 1, 400).astype(np.int32)
        means = rng.integers(-40 * GRID, 296 * GRID, 400) / GRID
        sigmas = np.full(400, sigma_of(index))
        coder, python = built.queue.RangeEncoder(), range_coder.RangeEncoder()
        for part in np.split(np.arange(400), [0, 1, 3, 50, 51, 200]):
            for one, model in ((coder, theirs), (python, ours)):
                one.encode(symbols[part], model, means[part], sigmas[part])
            assert coder.num_words() == python.num_words()
            words = python.get_compressed()
            assert np.array_equal(coder.get_compressed(), words) and words.dtype == np.uint32
        for start in (0, 9):  # the code, and words that are none, or of other symbols
            decoders = (
                built.queue.RangeDecoder(words[start:]),
                range_coder.RangeDecoder(words[start:]),
            )
            found = [
                decoded(one, model, means, sigmas)
                for one, model in zip(decoders, (theirs, ours), strict=True)
            ]
            assert found[0] == found[1]
            assert start or found[0] == symbols.tolist()


def decoded(decoder: Any, model: object, means: np.ndarray, sigmas: np.ndarray) -> list[int | None]:
    """Symbols, and None where the words are found to be no code."""
    found: list[int | None] = []
    for at in range(len(means)):
        try:
            found += decoder.decode(model, means[at : at + 1], sigmas[at : at + 1]).tolist()
        except AssertionError:
            return [*found, None]
    return found


def test_carries_run_through_held_words() -> None:
    """Symbols whose low end comes just below a carry hold words back for long."""
    held = 0
    theirs = constriction.stream.model.QuantizedGaussian(0, 255)
    ours = range_coder.QuantizedGaussian(0, 255)
    for seed in range(60):
        rng = np.random.default_rng(seed)
        coder, python = constriction.stream.queue.RangeEncoder(), range_coder.RangeEncoder()
        for _ in range(150):  # the symbol that leaves the end of the range open
            middle = (1 << 64) - python.low if python.held else rng.integers(0, 1 << 62)
            quantile = min((1 << 24) - 1, int(middle) // (python.range >> 24))
            gaussian = np.array([100.0]), np.array([sigma_of(int(rng.integers(40, 90)))])
            symbol = ours.find(quantile, 100.0, float(gaussian[1][0]))
            for one, model in ((coder, theirs), (python, ours)):
                one.encode(np.array([symbol], np.int32), model, *gaussian)
            held = max(held, python.held)
            assert coder.num_words() == python.num_words()
        assert np.array_equal(coder.get_compressed(), python.get_compressed())
    assert held >= 2


# --- the code as FORMAT.md has it ---------------------------------------------------------------

FREE = (1 << 24) - 256


def cumulative(symbol: int, mean: int, index: int) -> int:
    """C(s) of section 5; mean in 1/GRID grey level."""
    if symbol in (0, 256):
        return symbol << 16
    z = (symbol - 0.5 - mean / GRID) / sigma_of(index)
    phi = 1.0 if z > 8.2439 else 0.5 * math.erfc(-z / math.sqrt(2))
    return symbol + math.floor(FREE * phi)


def test_frequencies_are_real_numbers_rounded_down() -> None:
    """All there are: 96 deviations and 16289 distances; here some, the least certain among them.

    None is closer to a whole number than 4e-7, other than 1/2, and those near 0 and 1, where it is
    plain what rounding down gives. So no Phi that is right to 1e-14 makes another number of them.
    """
    rng = np.random.default_rng(0)
    cases = [(76, 3741), (84, 7482)]  # the two that are closest to a whole number
    for index in range(SIGMAS):
        reach = min(8144, int(9 * GRID * sigma_of(index)))
        cases += [(index, int(d)) for d in rng.integers(-reach, reach + 1, 300)]
        cases += [(index, d) for d in (-reach, 0, reach)]
        edge = 8.2439 * GRID * sigma_of(index)
        cases += [(index, d) for d in (int(edge), int(edge) + 1) if d <= reach]
    for index, distance in cases:
        symbol = 255 if distance > 0 else 1
        mean = GRID * symbol - GRID // 2 - distance
        coder = constriction.stream.stack.AnsCoder()  # what it holds then is C(s)
        model = constriction.stream.model.QuantizedGaussian(0, 255, mean / GRID, sigma_of(index))
        coder.encode_reverse(symbol, model)
        assert coder.get_compressed()[0] == cumulative(symbol, mean, index), (index, distance)


def test_a_decoder_after_the_format() -> None:
    pixels, means = draw(300, 2.0)
    data = encode_block(pixels, means, 48)
    words = np.frombuffer(data + bytes(-len(data) % 4 + 8), ">u4").tolist()
    modulus = 1 << 64
    low, span, point = 0, modulus - 1, words.pop(0) << 32 | words.pop(0)
    for pixel, mean in zip(pixels.tolist(), means.tolist(), strict=True):
        unit = span >> 24
        slot = (point - low) % modulus // unit
        s = next(s for s in range(256) if slot < cumulative(s + 1, mean, 48))
        assert s == pixel
        low = (low + unit * cumulative(s, mean, 48)) % modulus
        span = unit * (cumulative(s + 1, mean, 48) - cumulative(s, mean, 48))
        if span < 1 << 32:
            low, span = (low << 32) % modulus, span << 32
            point = (point << 32) % modulus + (words.pop(0) if words else 0)


def test_best_sigma_finds_the_truth() -> None:
    for sigma in (0.5, 1.3, 5.0):
        pixels, means = draw(20000, sigma)
        inside = (means > 0) & (means < 255 * GRID)
        index = best_sigma(pixels[inside], means[inside])
        expected = np.hypot(sigma, 0.02)
        assert sigma_of(index) == pytest.approx(expected, rel=0.15)
