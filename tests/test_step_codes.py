"""What every code of a step's message promises, whichever a file names."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from diffcodec.bitstream.polar import Polar
from diffcodec.bitstream.step_codes import STEP_CODES, STEP_CODES_OF_VERSION_1, StepCode

SEED, STEP = 7, 3
ENERGY = -40  # sigma^2 = 2^-2.5: about 0.12 bits a coordinate


def every(test: Callable[..., None]) -> Callable[..., None]:
    """Of all codes, with short and with long steps, for which some have other ways."""
    cases = [
        pytest.param(code, dims, id=f"{code.name}-{dims}")
        for code in STEP_CODES
        for dims in (3000, 160_000 if isinstance(code, Polar) else 40_000)
    ]
    return pytest.mark.parametrize(("code", "dims"), cases)(test)


def mu(dims: int, energy: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    return (2 ** (energy / 32) * rng.standard_normal(dims)).astype(np.float32)


def test_names_are_unique_and_numbers_are_for_ever() -> None:
    """A header states a code by its place; who reorders them takes old files away."""
    hashed = [f"trellis:{nu}" for nu in (8, 10, 12, 14, 16)]
    butterfly = [f"butterfly:{nu}" for nu in (8, 10, 12, 14, 16, 18)]
    assert [code.name for code in STEP_CODES] == [*hashed, *butterfly, "polar:32", "polar:64"]
    assert [code.name for code in STEP_CODES_OF_VERSION_1] == hashed
    assert len({code.name for code in STEP_CODES}) == len(STEP_CODES) <= 16  # four bits


@every
def test_more_energy_takes_more_bits_and_more_than_theory(code: StepCode, dims: int) -> None:
    lengths = [code.bits(dims, energy) for energy in range(-200, 100, 20)]
    assert lengths == sorted(lengths) and lengths[0] < lengths[-1]
    ideal = dims / 2 * np.log2(1 + 2 ** (ENERGY / 16))
    assert ideal < code.bits(dims, ENERGY) < 1.25 * ideal
    if isinstance(code, Polar):
        assert code.applies(code.bits(dims, ENERGY), dims) == (dims == 160_000)


@every
def test_z_is_mu_and_unit_noise(code: StepCode, dims: int) -> None:
    target, n = mu(dims, ENERGY), code.bits(dims, ENERGY)
    bits = code.encode(target.copy(), n, SEED, STEP)
    assert bits.dtype == np.uint8 and bits.shape == (n,) and set(bits.tolist()) == {0, 1}
    assert np.array_equal(bits, code.encode(target.copy(), n, SEED, STEP, workers=3))
    z, received = code.decode(bits, n, dims, SEED, STEP)
    assert z.dtype == np.float32 and z.shape == (dims,) and received == dims
    z *= np.float32(code.scale(ENERGY))
    noise = z - target
    assert np.var(noise) == pytest.approx(1, abs=0.1)
    assert abs(np.mean(noise * target)) < 0.1 * np.mean(target**2)


@every
def test_every_prefix_decodes_and_tells_more_and_more(code: StepCode, dims: int) -> None:
    n = code.bits(dims, ENERGY)
    bits = code.encode(mu(dims, ENERGY), n, SEED, STEP)
    before = 0
    for length in range(0, n + 1, max(13, n // 50 | 1)):
        z, received = code.decode(bits[:length], n, dims, SEED, STEP)
        assert received == code.known(length, n, dims) >= before
        assert z.shape == (dims,) and np.isfinite(z).all() and (received > 0) == bool(z.any())
        before = received
    assert before > 0 and code.known(n, n, dims) == dims


@every
def test_seed_and_step_matter(code: StepCode, dims: int) -> None:
    n = code.bits(dims, ENERGY)
    bits = np.resize(np.array([1, 0, 0, 1, 1], np.uint8), n)
    first = code.decode(bits, n, dims, SEED, STEP)[0]
    assert not np.array_equal(first, code.decode(bits, n, dims, SEED + 1, STEP)[0])
    assert not np.array_equal(first, code.decode(bits, n, dims, SEED, STEP + 1)[0])
