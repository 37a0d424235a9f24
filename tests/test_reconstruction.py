"""Cuts shown by a sample instead of the mean: variances in closed form, exact pixels left alone."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

from diffcodec import image
from diffcodec.accounting.trace import Clock
from diffcodec.bitstream.sample_format import RGB8
from diffcodec.bitstream.trellis import Trellis
from diffcodec.cli.main import main
from diffcodec.codec import Codec
from diffcodec.errors import OptionError
from diffcodec.progressive.shared import Shared, State, beginning, estimate
from diffcodec.sampling import SAMPLERS, Options, reconstruction
from diffcodec.sampling.cuts import ancestral, ddim
from diffcodec.theory.chain import Chain, Tables
from diffcodec.theory.denoiser import GaussianDenoiser

SPREAD = 0.2
SHAPE = (3, 64, 64)
OTHERS = [name for name in SAMPLERS if name != "mean"]
LEVELS = (0.4, 0.1, 0.02, 0.004, 0.0004)  # few and far apart: the width of p_theta matters


def white() -> Shared:
    """A white Gaussian source, and a chain of few steps with the source's D(v) in its tables."""
    v = np.geomspace(1e-5, 10, 60)
    denoiser = GaussianDenoiser(0.0, SPREAD**2)
    mse = np.array([denoiser.mse(level) for level in v])
    tables = Tables((0.0, 0.0, 0.0), SPREAD**2, v, mse, {})
    chain = Chain("own", LEVELS, tables)
    return Shared(denoiser, chain, SHAPE[1:], RGB8, Trellis(8), seed=0, clock=Clock())


def received(shared: Shared, v: float) -> tuple[NDArray[np.float64], State]:
    """x0 of the source, and a state of this noise."""
    rng = np.random.default_rng(1)
    x0 = SPREAD * rng.standard_normal(SHAPE)
    return x0, State((x0 + math.sqrt(v) * rng.standard_normal(SHAPE)).astype(np.float32), v, 0)


@pytest.mark.parametrize("v", [0.4, 0.05, 0.005])
def test_a_sample_has_the_variance_of_the_posterior_however_few_the_steps(v: float) -> None:
    shared = white()
    x0, state = received(shared, v)
    mean = estimate(shared, state)
    sample = ancestral(shared, state, mean, Options(seed=3))
    D, left = (GaussianDenoiser(0.0, SPREAD**2).mse(level) for level in (v, LEVELS[-1]))
    assert np.var(sample - mean) == pytest.approx(D - left, rel=0.05)
    assert np.mean((mean - x0) ** 2) == pytest.approx(D, rel=0.05)
    assert np.mean((sample - x0) ** 2) == pytest.approx(2 * D - left, rel=0.05)
    assert np.var(sample) == pytest.approx(SPREAD**2 - left, rel=0.05)


@pytest.mark.parametrize("v", [0.4, 0.05])
@pytest.mark.parametrize("steps", [1, 3, 100])
def test_ddim_scales_a_gaussian_state_as_the_closed_form_says(v: float, steps: int) -> None:
    shared = white()
    x0, state = received(shared, v)
    mean = estimate(shared, state)
    found = ddim(shared, state, mean, Options(steps=steps))
    factor, levels = 1.0, np.geomspace(v, LEVELS[-1], steps + 1)
    for a, b in pairwise(levels):
        wiener = SPREAD**2 / (SPREAD**2 + a)
        factor *= wiener + math.sqrt(b / a) * (1 - wiener)
    factor *= SPREAD**2 / (SPREAD**2 + LEVELS[-1])
    np.testing.assert_allclose(found, factor * state.y, atol=2e-5)
    if steps == 100:  # the flow turns the state's distribution into the source's
        assert np.var(found) == pytest.approx(SPREAD**2, rel=0.06)
    assert np.mean((mean - x0) ** 2) < np.mean((found - x0) ** 2)


@pytest.mark.parametrize("name", OTHERS)
def test_from_nothing_an_image_of_the_source_is_sampled(name: str) -> None:
    shared, sampler = white(), reconstruction(name, seed=5, steps=40)
    assert sampler is not None
    state = beginning(shared)
    sampled = sampler(shared, state, estimate(shared, state))
    assert np.var(sampled) == pytest.approx(SPREAD**2, rel=0.1)


def test_at_the_last_node_nothing_is_left_to_sample() -> None:
    shared = white()
    _, state = received(shared, LEVELS[-1])
    mean = estimate(shared, state)
    for name in OTHERS:
        sampler = reconstruction(name)
        assert sampler is not None
        np.testing.assert_array_equal(sampler(shared, state, mean), mean)


def test_samplers_report_their_progress_to_the_end() -> None:
    shared = white()
    _, state = received(shared, 0.05)
    for name, calls in (("sample", len(LEVELS)), ("ddim", 7)):
        heard: list[tuple[int, int]] = []
        sampler = reconstruction(name, steps=7, progress=lambda *at, to=heard: to.append(at))
        assert sampler is not None
        sampler(shared, state, estimate(shared, state))
        assert heard == [(i + 1, calls) for i in range(calls)]


def test_names_are_those_of_the_table() -> None:
    assert reconstruction("mean") is None
    with pytest.raises(OptionError, match=r'no reconstruction "other"; there are mean, sample'):
        reconstruction("other")


def test_seeds_tell_samples_apart_and_repeat_them(
    tiny_codec: Codec, small_rgb: NDArray[np.uint8]
) -> None:
    data = tiny_codec.encode(small_rgb, residual="gaussian")

    def shown(name: str, seed: int, size: int) -> NDArray[np.uint8]:
        choice = reconstruction(name, seed=seed, steps=2)
        return tiny_codec.decode(data, max_bytes=size, reconstruct=choice).pixels

    cut = len(data) // 3
    mean = tiny_codec.decode(data, max_bytes=cut).pixels
    np.testing.assert_array_equal(shown("mean", 1, cut), mean)
    for name in SAMPLERS:
        ways = (name, reconstruction(name))
        a, b = (tiny_codec.decode(data, max_bytes=cut, reconstruct=way).pixels for way in ways)
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(shown("sample", 1, cut), shown("sample", 1, cut))
    assert (shown("sample", 1, cut) != shown("sample", 2, cut)).any()
    np.testing.assert_array_equal(shown("ddim", 1, cut), shown("ddim", 2, cut))
    assert (shown("ddim", 1, cut) != mean).any()
    for name in OTHERS:  # a whole file's pixels are exact
        np.testing.assert_array_equal(shown(name, 1, len(data)), small_rgb)


def test_walking_on_is_not_led_astray_by_what_is_shown(
    tiny_codec: Codec, small_rgb: NDArray[np.uint8]
) -> None:
    data = tiny_codec.encode(small_rgb, residual="gaussian")
    sizes = [len(data) // 3, len(data) // 2, len(data)]
    choice = reconstruction("sample", seed=2)
    for size, one in zip(sizes, tiny_codec.decode_cuts(data, sizes, choice), strict=True):
        alone = tiny_codec.decode(data, max_bytes=size, reconstruct=choice)
        np.testing.assert_array_equal(one.pixels, alone.pixels)


def test_decode_offers_them(
    tiny_codec: Codec, tiny_network: Path, small_rgb: NDArray[np.uint8], tmp_path: Path
) -> None:
    source = tmp_path / "a.dfc"
    source.write_bytes(data := tiny_codec.encode(small_rgb, residual="gaussian"))
    target = tmp_path / "a.png"
    common = ["decode", str(source), str(target), "-m", str(tiny_network), "-f", "-q"]
    size = len(data) // 3
    for name, more in (("sample", ["--seed", "4"]), ("ddim", ["--sampler-steps", "3"])):
        words = [*common, "--bytes", str(size), "--reconstruction", name, *more]
        assert CliRunner().invoke(main, words).exit_code == 0
        choice = reconstruction(name, seed=4, steps=3)
        expected = tiny_codec.decode(data, max_bytes=size, reconstruct=choice).pixels
        np.testing.assert_array_equal(image.load(target), expected)
    assert CliRunner().invoke(main, [*common, "--reconstruction", "other"]).exit_code == 2
