"""Shared randomness: Philox as published, the same numbers for ever, and the laws it promises."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr, ndtri

from diffcodec.bitstream.randomness import LEVELS, UNIT, Stream, gaussian, octets, signs, words

U64 = st.integers(0, 2**64 - 1)
STREAMS = st.sampled_from(list(Stream))


def philox4x64_10(counter: list[int], key: list[int]) -> list[int]:
    """Salmon et al. 2011, written out once more."""
    mask = 2**64 - 1
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        a, b = 0xD2E7470EE14C6C93 * c0, 0xCA5A826395121157 * c2
        c0, c1, c2, c3 = (b >> 64) ^ c1 ^ k0, b & mask, (a >> 64) ^ c3 ^ k1, a & mask
        k0, k1 = (k0 + 0x9E3779B97F4A7C15) & mask, (k1 + 0xBB67AE8584CAA73B) & mask
    return [c0, c1, c2, c3]


@given(U64, STREAMS, U64, st.integers(0, 20))
def test_words_are_philox(seed: int, stream: Stream, step: int, n: int) -> None:
    expected = [
        w
        for block in range(-(-n // 4))
        for w in philox4x64_10([block + 1, 0, step, 0], [seed, stream])
    ]
    assert words(seed, stream, step, n).tolist() == expected[:n]


@given(U64, STREAMS, U64, st.integers(0, 300), st.integers(0, 300))
def test_bytes_and_signs_follow_the_words(
    seed: int, stream: Stream, step: int, n: int, more: int
) -> None:
    raw = b"".join(int(w).to_bytes(8, "little") for w in words(seed, stream, step, n))
    assert octets(seed, stream, step, n).tobytes() == raw[:n]
    bits = [raw[i // 8] >> (i % 8) & 1 for i in range(n)]
    assert signs(seed, stream, step, n).tolist() == [1 - 2 * b for b in bits]
    assert np.array_equal(signs(seed, stream, step, n + more)[:n], signs(seed, stream, step, n))


def digest(x: np.ndarray) -> str:
    return hashlib.sha256(x.astype(x.dtype.newbyteorder("<")).tobytes()).hexdigest()[:16]


def test_golden() -> None:
    assert digest(words(1, Stream.LABELS, 2, 1000)) == "6dca5620eb12f14d"
    assert digest(signs(2**64 - 1, Stream.CODEWORD_SIGNS, 2**64 - 1, 1001)) == "148babb9de7c6955"
    assert digest(gaussian(3, 4, 1000)) == "0a991b86b605acb2"
    assert digest(LEVELS) == "c6b49e40e3c74bde"


def test_levels_are_gaussian_quantiles() -> None:
    exact = ndtri((np.arange(256) + 0.5) / 256)
    exact *= UNIT / np.sqrt(np.mean(exact**2))
    assert np.abs(LEVELS - exact).max() < 2.5
    assert np.array_equal(LEVELS, -LEVELS[::-1])
    assert np.mean(LEVELS.astype(np.int64) ** 2) == pytest.approx(UNIT**2, rel=1e-6)


def test_gaussian_law() -> None:
    x = gaussian(5, 6, 400_000)
    assert x.dtype == np.float32
    assert abs(x.mean()) < 0.01
    assert x.var() == pytest.approx(1, abs=0.01)
    assert np.mean(x.astype(np.float64) ** 4) == pytest.approx(2.96, abs=0.04)
    empirical = np.arange(len(x)) / len(x)
    assert np.abs(ndtr(np.sort(x)) - empirical).max() < 0.004
    assert abs(np.corrcoef(x[:-1], x[1:])[0, 1]) < 0.01


def test_triples_name_independent_words() -> None:
    triples = [(0, Stream.LABELS, 0), (1, Stream.LABELS, 0), (0, Stream.SHIFTS, 0)]
    triples += [(0, Stream.LABELS, 1)]
    x = np.stack([signs(*triple, 40_000) for triple in triples]).astype(np.float64)
    assert np.abs(x @ x.T / 40_000 - np.eye(4)).max() < 0.025


@pytest.mark.parametrize(("seed", "step"), [(-1, 0), (2**64, 0), (0, -1), (0, 2**64)])
def test_refuses_what_is_not_64_bits(seed: int, step: int) -> None:
    with pytest.raises(ValueError, match="must be in 0"):
        words(seed, Stream.LABELS, step, 1)


@pytest.mark.parametrize("start", [0, 1, 31, 32, 255, 256, 300, 511])
def test_bytes_and_signs_may_start_anywhere(start: int) -> None:
    assert np.array_equal(
        octets(1, Stream.LABELS, 2, 50, start), octets(1, Stream.LABELS, 2, 600)[start : start + 50]
    )
    assert np.array_equal(
        signs(1, Stream.LABELS, 2, 50, start), signs(1, Stream.LABELS, 2, 600)[start : start + 50]
    )
