"""The integer network as a denoiser, against its formulas written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from diffcodec.bitstream.randomness import gaussian
from diffcodec.exact.denoiser import ExactDenoiser, shuffle, unshuffle
from diffcodec.exact.graph import Graph
from diffcodec.exact.reference import Reference
from diffcodec.exact.stored import load_integers
from diffcodec.network.grey import GREY_SEED, rgb_state
from diffcodec.zoo import load_network
from tests.exact_network import build

GRAPH = build("unit", patch=2)
DENOISER = ExactDenoiser(GRAPH, threads=1)


def noisy(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def by_hand(graph: Graph, y: np.ndarray, v: float) -> np.ndarray:
    """x0_hat of one RGB image whose sides are multiples of the stride, number by number."""
    s2 = graph.sigma_data * graph.sigma_data
    c_skip, c_out, c_in = s2 / (v + s2), math.sqrt(v * s2 / (v + s2)), 1 / math.sqrt(v + s2)
    x = np.zeros(y.shape, np.int16)
    for at, value in np.ndenumerate(y):
        x[at] = min(max(round(c_in * float(value) * 4096), -32768), 32767)
    channels = torch.nn.functional.pixel_unshuffle(torch.from_numpy(x), graph.patch)
    out = Reference(graph)(channels.permute(1, 2, 0).numpy()[None], np.array([v]))[0]
    F = torch.nn.functional.pixel_shuffle(torch.from_numpy(out).permute(2, 0, 1), graph.patch)
    x0_hat = np.empty(y.shape, np.float32)
    for at, value in np.ndenumerate(y):
        estimate = c_skip * float(value) + c_out * (int(F[at]) / 2**graph.output)
        x0_hat[at] = min(max(estimate, -1.0), 1.0)
    return x0_hat


@pytest.mark.parametrize("v", [1e-4, 0.3, 50.0])
def test_the_formula(v: float) -> None:
    y = 2 * noisy(3, 8, 12)
    assert np.array_equal(DENOISER(y, v), by_hand(GRAPH, y, v))


def test_other_sizes_are_mirrored_at_the_edge() -> None:
    y = noisy(3, 5, 2)
    rows, columns = [0, 1, 2, 3, 4, 4, 3, 2], [0, 1, 1, 0]
    assert np.array_equal(
        DENOISER(y, 0.1), by_hand(GRAPH, y[:, rows][:, :, columns], 0.1)[:, :5, :2]
    )
    one = noisy(3, 1, 1)
    assert np.array_equal(
        DENOISER(one, 0.1), by_hand(GRAPH, np.tile(one, (1, 4, 4)), 0.1)[:, :1, :1]
    )


def test_grey_is_seen_as_three_noisy_channels() -> None:
    y, v = noisy(1, 8, 8), 0.2
    g = gaussian(GREY_SEED, 0, 192).reshape(3, 8, 8).astype(np.float64)
    rgb = y + math.sqrt(3 * v) * (g - (g[0] + g[1] + g[2]) / 3)
    whole = slice(0, 8)
    assert np.array_equal(rgb_state(y[None], np.array([v]), whole, whole)[0], rgb)
    assert np.abs(rgb.mean(axis=0) - y[0]).max() < 1e-12
    estimate = DENOISER(y, v)
    apart = [by_hand(GRAPH, rgb, 3 * v)[c].astype(np.float64) for c in range(3)]
    assert estimate.shape == (1, 8, 8) and estimate.dtype == np.float32
    np.testing.assert_allclose(estimate[0], sum(apart) / 3, atol=1e-7)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_batch_is_its_images(channels: int) -> None:
    y, v = noisy(3, channels, 6, 9), np.array([0.01, 0.3, 4.0])
    together = DENOISER.batch(y, v)
    for i in range(3):
        assert np.array_equal(together[i], DENOISER(y[i], float(v[i])))
    assert np.array_equal(DENOISER.batch(y, 0.3)[1], together[1])


def test_squares_become_channels_as_in_torch() -> None:
    x = np.arange(2 * 3 * 4 * 6, dtype=np.int16).reshape(2, 3, 4, 6)
    there = torch.nn.functional.pixel_unshuffle(torch.from_numpy(x), 2).permute(0, 2, 3, 1)
    assert np.array_equal(unshuffle(x, 2), there.numpy())
    assert np.array_equal(shuffle(unshuffle(x, 2).astype(np.int32), 2), x)


def test_extreme_states_stay_in_range() -> None:
    for value in (1e30, -1e30, 0.0):
        x0_hat = DENOISER(np.full((3, 4, 4), value, np.float32), 1e-3)
        assert np.isfinite(x0_hat).all() and np.abs(x0_hat).max() <= 1


def test_what_it_is_called(tiny_network: str) -> None:
    denoiser = load_network(tiny_network, threads=3)
    assert isinstance(denoiser, ExactDenoiser)
    assert (denoiser.name, denoiser.threads) == ("tiny", 3)
    assert denoiser.fingerprint == load_integers(tiny_network).fingerprint.hex()  # type: ignore[arg-type]
    assert denoiser.parameters == sum(
        tensor.size
        for name, tensor in denoiser.graph.tensors.items()
        if name.endswith((".weight", ".bias"))
    )
