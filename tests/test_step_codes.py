"""What every code of a step's message promises, whichever a file names."""

from __future__ import annotations

import numpy as np
import pytest

from diffcodec.bitstream.step_codes import STEP_CODES, STEP_CODES_OF_VERSION_1, StepCode

DIMS, SEED, STEP = 3000, 7, 3
ENERGY = -40  # sigma^2 = 2^-2.5: about 0.12 bits a coordinate

every = pytest.mark.parametrize("code", STEP_CODES, ids=lambda code: code.name)


def mu(energy: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    return (2 ** (energy / 32) * rng.standard_normal(DIMS)).astype(np.float32)


def test_names_are_unique_and_numbers_are_for_ever() -> None:
    """A header states a code by its place; who reorders them takes old files away."""
    hashed = [f"trellis:{nu}" for nu in (8, 10, 12, 14, 16)]
    butterfly = [f"butterfly:{nu}" for nu in (8, 10, 12, 14, 16, 18)]
    assert [code.name for code in STEP_CODES][:11] == hashed + butterfly
    assert [code.name for code in STEP_CODES_OF_VERSION_1] == hashed
    assert len({code.name for code in STEP_CODES}) == len(STEP_CODES) <= 16  # four bits


@every
def test_more_energy_takes_more_bits_and_more_than_theory(code: StepCode) -> None:
    lengths = [code.bits(DIMS, energy) for energy in range(-200, 100, 20)]
    assert lengths == sorted(lengths) and lengths[0] < lengths[-1]
    ideal = DIMS / 2 * np.log2(1 + 2 ** (ENERGY / 16))
    assert ideal < code.bits(DIMS, ENERGY) < 1.25 * ideal


@every
def test_z_is_mu_and_unit_noise(code: StepCode) -> None:
    target, n = mu(ENERGY), code.bits(DIMS, ENERGY)
    bits = code.encode(target.copy(), n, SEED, STEP)
    assert bits.dtype == np.uint8 and bits.shape == (n,) and set(bits.tolist()) == {0, 1}
    assert np.array_equal(bits, code.encode(target.copy(), n, SEED, STEP, workers=3))
    z, received = code.decode(bits, n, DIMS, SEED, STEP)
    assert z.dtype == np.float32 and z.shape == (DIMS,) and received == DIMS
    z *= np.float32(code.scale(ENERGY))
    noise = z - target
    assert np.var(noise) == pytest.approx(1, abs=0.1)
    assert abs(np.mean(noise * target)) < 0.1 * np.mean(target**2)


@every
def test_every_prefix_decodes_and_tells_more_and_more(code: StepCode) -> None:
    n = code.bits(DIMS, ENERGY)
    bits = code.encode(mu(ENERGY), n, SEED, STEP)
    before = 0
    for length in range(0, n + 1, 13):
        z, received = code.decode(bits[:length], n, DIMS, SEED, STEP)
        assert received == code.known(length, n, DIMS) >= before
        assert z.shape == (DIMS,) and np.isfinite(z).all() and (received > 0) == bool(z.any())
        before = received
    assert before > 0 and code.known(n, n, DIMS) == DIMS


@every
def test_seed_and_step_matter(code: StepCode) -> None:
    n = code.bits(DIMS, ENERGY)
    bits = np.resize(np.array([1, 0, 0, 1, 1], np.uint8), n)
    first = code.decode(bits, n, DIMS, SEED, STEP)[0]
    assert not np.array_equal(first, code.decode(bits, n, DIMS, SEED + 1, STEP)[0])
    assert not np.array_equal(first, code.decode(bits, n, DIMS, SEED, STEP + 1)[0])
