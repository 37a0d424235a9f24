"""The shared rotation: orthonormal, undone exactly enough, mixing, and exact on codewords."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from diffcodec.bitstream import rotation
from diffcodec.bitstream.randomness import LEVELS, UNIT, Stream, octets, signs
from diffcodec.bitstream.rotation import blocks, permutation, rotate, unrotate

SIZES = st.integers(1, 5000) | st.sampled_from([2**14, 2**14 - 1, 40_000])
SEEDS = st.integers(0, 2**64 - 1)


def normal(n: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(n).astype(np.float32)


@settings(max_examples=60, deadline=None)
@given(SIZES, SEEDS, SEEDS)
def test_round_trip_and_norm(dims: int, seed: int, step: int) -> None:
    x = normal(dims)
    z = rotate(x, seed, step)
    assert z.shape == x.shape and z.dtype == np.float32
    assert np.linalg.norm(z) == pytest.approx(np.linalg.norm(x), rel=1e-5)
    assert np.abs(unrotate(z, seed, step) - x).max() < 1e-5


@pytest.mark.skipif(rotation.KERNEL is None, reason="the C kernel is not built, or switched off")
@pytest.mark.parametrize("dims", [1, 2, 7, 255, 256, 5000, 2**14, 40_001, 300_000])
def test_kernel_and_numpy_do_the_same(dims: int, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for kernel in (rotation.KERNEL, None):
        monkeypatch.setattr(rotation, "KERNEL", kernel)
        found += [rotate(normal(dims), 3, 4), unrotate(normal(dims), 3, 4)]
    assert np.array_equal(found[0], found[2]) and np.array_equal(found[1], found[3])


@settings(max_examples=60, deadline=None)
@given(SIZES, SEEDS)
def test_permutation_is_a_bijection(dims: int, seed: int) -> None:
    assert np.array_equal(np.sort(permutation(seed, dims)), np.arange(dims))


@given(st.integers(1, 2**31))
def test_blocks_cover_everything(dims: int) -> None:
    end = 0
    for start, k, number in blocks(dims):
        assert start == end and 0 <= k <= 14 and number >= 1
        end += number << k
    assert end == dims


def exact_unrotate(levels: NDArray[np.int64], seed: int, step: int) -> NDArray[np.float32]:
    """unrotate of levels / UNIT with the sums in integers, straight from the definition."""
    x = np.empty(len(levels), np.float32)
    for start, k, number in blocks(len(levels)):
        h = np.ones((1, 1), np.int64)
        for _ in range(k):
            h = np.block([[h, h], [h, -h]])
        for a in range(start, start + (number << k), 1 << k):
            sums = h @ levels[a : a + (1 << k)]
            x[a : a + (1 << k)] = (sums / UNIT).astype(np.float32) * np.float32(math.sqrt(2.0**-k))
    y = np.empty_like(x)
    y[permutation(seed, len(x))] = x * signs(seed, Stream.ROTATION_SIGNS, step, len(x))
    return y


@pytest.mark.parametrize("dims", [1, 2, 3, 100, 3072])
def test_codewords_are_rotated_exactly(dims: int) -> None:
    levels = LEVELS[octets(9, Stream.LABELS, 9, dims)].astype(np.int64)
    z = (levels / UNIT).astype(np.float32)
    assert np.array_equal(unrotate(z, 1, 2), exact_unrotate(levels, 1, 2))


def test_largest_codeword_sum_is_exact() -> None:
    levels = np.full(2**14, LEVELS.max(), np.int64)
    levels[5] = LEVELS.min() + 5  # an odd sum just below 2^14 * 743, if 24 bits hold it
    z = (levels / UNIT).astype(np.float32)
    total = unrotate(z, 0, 0)[permutation(0, 2**14)[0]] * signs(0, Stream.ROTATION_SIGNS, 0, 1)[0]
    assert total * UNIT * 2**7 == levels.sum()


def test_golden() -> None:
    def digest(x: NDArray[np.generic]) -> str:
        return hashlib.sha256(x.astype(x.dtype.newbyteorder("<")).tobytes()).hexdigest()[:16]

    orders = [permutation(7, dims).astype(np.int64) for dims in (1, 2, 3, 1000, 3072, 70_000)]
    assert digest(np.concatenate(orders)) == "fd1c81ff9abc4f5e"
    ramp = np.arange(20_000, dtype=np.float32)
    assert digest(rotate(ramp, 7, 8)) == "451fccaba7556a48"
    assert digest(unrotate(ramp, 7, 8)) == "26646d8c22b21302"


def uneven(kind: str) -> NDArray[np.float32]:
    """An image (64, 64, 3) with its energy in a few places, as a vector."""
    x = normal(64 * 64 * 3).reshape(64, 64, 3)
    keep = np.zeros_like(x)
    if kind == "corner":
        keep[:32, :32] = 1
    elif kind == "columns":
        keep[:, ::8] = 1
    else:
        keep[:, :, 0] = 1
    return (x * (keep + np.float32(0.02))).reshape(-1)


@pytest.mark.parametrize("kind", ["corner", "columns", "channel"])
def test_spreads_energy(kind: str) -> None:
    x = uneven(kind)
    groups = rotate(x, 3, 4).reshape(-1, 256)
    energy = np.square(groups).sum(axis=1) / (np.square(x).sum() * 256 / x.size)
    # chi-square of 256 degrees has standard deviation 0.09; the input's groups reach 0 and 8
    assert energy.std() < 0.13
    z = rotate(x, 3, 4) / np.sqrt(np.mean(np.square(x)))
    assert np.mean(z**4) == pytest.approx(3, abs=0.25)


def test_steps_and_seeds_rotate_differently() -> None:
    x = normal(4096)
    z = np.stack([rotate(x, 1, 1), rotate(x, 1, 2), rotate(x, 2, 1)]) / np.linalg.norm(x)
    assert np.abs(z @ z.T - np.eye(3)).max() < 0.08


def test_refuses_an_empty_vector() -> None:
    with pytest.raises(ValueError, match="cannot rotate 0 coordinates"):
        rotate(np.empty(0, np.float32), 0, 0)
