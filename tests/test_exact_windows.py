"""Normalisation and attention in integers, beside real numbers and beside exact ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from fractions import Fraction
from math import isqrt
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from diffcodec.errors import CheckpointError
from diffcodec.exact.attention import EXP2, ONE, Attention, attend, exp2_table
from diffcodec.exact.compiled import Compiled, instruction_sets
from diffcodec.exact.gemm import Gemm
from diffcodec.exact.graph import Graph
from diffcodec.exact.normalisation import SQUARE, Norm, lines, normalise, square_root
from diffcodec.exact.overflow import prove
from diffcodec.exact.reference import Reference
from diffcodec.exact.window_bounds import DOUBLES, logits, mixed, normalised
from tests.random_windows import WindowBuilder, random_windows

FRACTION = 11  # of the streams
Array = NDArray[Any]


# --- normalisation ---


def test_roots_are_exact() -> None:
    rng = np.random.default_rng(0)
    roots = np.concatenate([np.arange(300), rng.integers(0, 1 << 31, 20000), [(1 << 31) - 1]])
    squares = np.concatenate([roots**2 + more for more in (-1, 0, 1)]).clip(0, (1 << 62) - 1)
    assert square_root(squares).tolist() == [isqrt(int(n)) for n in squares]


def stated(groups: int, window: int, channels: int, limit: int = 1 << 17) -> Norm:
    n = window**2 * (channels // groups)
    return Norm(groups, window, 0, limit, max(1, round(n * 1e-5 * 4.0**FRACTION)), 16)


def factors(norm: Norm, gamma: Array, beta: Array) -> tuple[Array, Array]:
    """scale and offset of what multiplies and shifts normalised channels."""
    unit = 2.0 ** (FRACTION + norm.gain)
    root = np.sqrt(norm.count(len(gamma))) * 2.0 ** (SQUARE / 2)
    return np.rint(gamma * root * unit).astype(int), np.rint(beta * unit).astype(int)


@pytest.mark.parametrize(("groups", "window"), [(1, 8), (4, 4), (8, 2)])
@pytest.mark.parametrize("spread", [0.003, 1.0, 9.0])
def test_normalised_as_real_numbers_are(groups: int, window: int, spread: float) -> None:
    rng = np.random.default_rng(groups)
    real = rng.normal(rng.normal(0, 2, 8), spread, (8, 16, 8))
    x = np.rint(real * 2**FRACTION).astype(int)
    gamma, beta = rng.normal(0, 1, (2, 8))
    norm = stated(groups, window, 8)
    found = normalise(norm, x, *factors(norm, gamma, beta)) / 2**FRACTION
    root = 2 ** (SQUARE / 2) * np.sqrt(norm.count(8)) * np.hypot(spread * 2**FRACTION, 6)
    for y in range(0, 8, window):
        for left in range(0, 16, window):
            part = np.s_[y : y + window, left : left + window]
            own = torch.from_numpy(x[part] / 2.0**FRACTION).permute(2, 0, 1)[None]
            wanted = F.group_norm(own, groups, torch.from_numpy(gamma), torch.from_numpy(beta))
            error = found[part] - wanted[0].permute(1, 2, 0).numpy()
            assert (
                np.abs(error).max()
                < 0.6 / 2**FRACTION + (1 / root + 2e-4) * np.abs(wanted.numpy()).max()
            )


def test_variances_are_those_of_exact_numbers() -> None:
    rng = np.random.default_rng(2)
    norm, n = stated(1, 8, 4), 256
    u = rng.integers(-norm.limit, norm.limit + 1, (50, n)) >> rng.integers(0, 18, (50, 1))
    u[0], u[1] = norm.limit, np.where(np.arange(n) % 2, norm.limit, -norm.limit)
    scale, offset = rng.integers(-(1 << 40), 1 << 40, (2, 50, 1))
    A, B = lines(norm, n, u.sum(axis=1)[:, None], (u * u).sum(axis=1)[:, None], scale, offset)
    for i in range(50):
        S1, S2 = int(u[i].sum()), int((u[i] ** 2).sum())
        exact = Fraction(S2) - Fraction(S1 * S1, n)
        s = isqrt((-int(-exact // 1) + norm.eps) << SQUARE)  # n variances, rounded upwards
        assert A[i, 0] == int(scale[i, 0]) // s
        assert abs(B[i, 0] - (int(offset[i, 0]) - Fraction(int(A[i, 0]) * S1, n))) <= 1


def test_a_window_without_contrast_is_shifted_only() -> None:
    norm = stated(2, 4, 4)
    x = np.full((4, 4, 4), 12345)
    beta = np.array([0.5, -0.25, 1.0, 0.0])
    found = normalise(norm, x, *factors(norm, np.ones(4), beta))
    assert np.array_equal(found, np.broadcast_to(beta * 2**FRACTION, x.shape))


def test_bounds_of_normalisation_hold_for_the_worst() -> None:
    """One pixel in a window of others, and the least variance there is."""
    norm, rng = stated(1, 4, 2, limit=60000), np.random.default_rng(0)
    scale, offset = np.array([1 << 44, -(1 << 44)]), np.array([1 << 40, -(1 << 40)])
    bound = normalised(norm, norm.count(2), 1 << 44, 1 << 40)
    assert bound < DOUBLES
    for low, high in ((norm.limit, norm.limit - 1), (norm.limit, -norm.limit)):
        u = np.where(rng.random((32, 1)) < 0.03, high, low).repeat(1, axis=1).ravel()
        S1, S2 = np.array([u.sum()]), np.array([(u * u).sum()])
        A, B = lines(norm, 32, S1, S2, scale, offset)
        for value in (low, high):
            parts = A * value, B, A * value + B, A * (S1 // 32), A * (S1 % 32)
            assert max(int(np.abs(part).max()) for part in parts) < bound


# --- attention ---


def test_the_table_of_powers() -> None:
    table = exp2_table()
    assert table[0] == ONE and table[1024] == round(ONE / 2) and table[-1] == 0
    assert len(table) == EXP2 and (np.diff(table.astype(int)) <= 0).all()


@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("sharp", [0.1, 1.0, 4.0])
def test_attends_as_real_numbers_do(heads: int, sharp: float) -> None:
    rng = np.random.default_rng(heads)
    q, k, v = rng.normal(0, 1, (3, 8, 16, 8)) * np.array([sharp, 1, 1])[:, None, None, None]
    depth = 8 // heads
    units = 300 / sharp, 2.0**9, 2.0**12
    parts = [np.rint(p * u).astype(int) for p, u in zip((q, k, v), units, strict=True)]
    # What one unit of the products is in logits to base 2 is a power of two.
    to_base_2 = np.log2(np.e) / np.sqrt(depth)
    shift = 8
    parts[0] = np.rint(q * to_base_2 * 2.0 ** (shift + 10 - 9)).astype(int)
    attention = Attention(heads, 8, 1 << 14, 1 << 14, 1 << 15, shift, finer=3)
    found = attend(attention, np.concatenate(parts, axis=2), exp2_table().astype(int))
    for left in (0, 8):
        own = [torch.from_numpy(p[:, left : left + 8].reshape(64, heads, depth)) for p in (q, k, v)]
        q_, k_, v_ = (p.transpose(0, 1) for p in own)
        wanted = F.scaled_dot_product_attention(q_, k_, v_).transpose(0, 1).reshape(8, 8, 8)
        error = found[:, left : left + 8] / 2.0**15 - wanted.numpy()
        assert np.abs(error).max() < 2e-3 * max(1, sharp)


def test_parts_of_the_logits_are_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(0).integers(-3000, 3000, (8, 8, 24))
    attention, table = Attention(2, 8, 2500, 2500, 3000, 9, 2), exp2_table().astype(int)
    whole = attend(attention, x, table)
    monkeypatch.setattr("diffcodec.exact.attention.PART", 7 * 64)
    assert np.array_equal(attend(attention, x, table), whole)
    assert np.array_equal(attend(attention, x, table, np.float64), whole)


def test_bounds_of_attention_are_reached() -> None:
    attention = Attention(1, 4, 30000, 30000, 32767, 1, 3)
    q = np.full((4, 4, 2), 40000)
    x = np.concatenate([q, q, q], axis=2)
    out = attend(attention, x, exp2_table().astype(int))
    assert (out == 32767 << 3).all()
    assert logits(attention, 2) == 2 * 30000**2 + 2
    assert mixed(attention) == 16 * ONE * (32767 * 16 + 1)


# --- numbers of more than 32 bits ---


def far() -> Graph:
    """What its windows yield is above 2^32 where inputs are large."""
    net = WindowBuilder(np.random.default_rng(0), 3)
    first = net.conv((0,), 6, kernel=1, shift=0, limit=32767)
    steep = Norm(groups=6, window=1, shift=0, limit=1 << 15, eps=1, gain=4)
    read = net.normalised((first,), 6, steep, silu=True, kernel=1, shift=15, limit=32767)
    for kind in ("scale", "offset"):
        net.tensors[f"layer1.{kind}"] = np.array([-1, 1, 1, 1, -1, 1]) << 40
    net.widths[read] = 2
    attention = Attention(1, 1, 30000, 30000, 32767, shift=9, finer=22)
    net.conv((read,), 3, kernel=1, attention=attention, shift=15, limit=32767)
    net.tensors["exp2"] = exp2_table()
    return net.graph(1, 1)


def test_numbers_of_more_than_32_bits_are_cut_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, reach = far(), list[int]()
    prove(graph)

    def noted(within: Callable[..., Array]) -> Callable[..., Array]:
        def call(*args: Any) -> Array:
            found = within(*args)
            reach.append(int(np.abs(found).max()))
            return found

        return call

    for within in (normalise, attend):
        monkeypatch.setattr(f"diffcodec.exact.reference.{within.__name__}", noted(within))
    x = np.random.default_rng(1).integers(-32768, 32768, (2, 4, 8, 3)).astype(np.int16)
    v = np.array([0.01, 5.0])
    wanted = Reference(graph)(x, v)
    assert min(reach) > 1 << 32
    for isa in instruction_sets():
        assert np.array_equal(Compiled(graph, 1, isa)(x, v), wanted)
    for dtype in ("float64", "float32"):
        assert np.array_equal(Gemm(graph, dtype)(x, v), wanted)  # type: ignore[arg-type]


# --- what does not fit ---


def altered(number: int, **change: Any) -> Any:
    graph = random_windows(1)
    layers = list(graph.layers)
    part = "norm" if layers[number].norm else "attention"
    within = dataclasses.replace(getattr(layers[number], part), **change)
    layers[number] = dataclasses.replace(layers[number], **{part: within})
    return dataclasses.replace(graph, layers=tuple(layers))


NORMAL, ATTENDING = 1, 4


@pytest.mark.parametrize(
    ("number", "change", "complaint"),
    [
        (NORMAL, {"groups": 4}, "no proper normalisation"),
        (NORMAL, {"groups": 0}, "no proper normalisation"),
        (NORMAL, {"window": 8}, "do not fit the network's stride"),
        (NORMAL, {"eps": 0}, "no proper normalisation"),
        (NORMAL, {"limit": 1 << 26}, "sums of squares can reach"),
        (NORMAL, {"gain": 31}, "no proper normalisation"),
        (NORMAL, {"eps": 1, "limit": 1 << 23}, "normalised numbers can reach"),
        (NORMAL, {"shift": 1.5}, "no proper normalisation"),
        (ATTENDING, {"heads": 4}, "no proper attention"),
        (ATTENDING, {"query": 0}, "no proper attention"),
        (ATTENDING, {"value": 32768}, "no proper attention"),
        (ATTENDING, {"shift": 0}, "no proper attention"),
        (ATTENDING, {"query": 32767, "key": 32767}, "logits can reach"),
        (ATTENDING, {"finer": 30, "value": 32767}, "weighted values can reach"),
    ],
)
def test_what_does_not_fit_is_refused(number: int, change: dict[str, Any], complaint: str) -> None:
    prove(random_windows(1))
    with pytest.raises(CheckpointError, match=complaint):
        prove(altered(number, **change))


@pytest.mark.parametrize(
    ("name", "tensor", "complaint"),
    [
        ("layer1.scale", np.zeros(7, np.int64), "no proper scale"),
        ("layer1.offset", np.zeros(8, np.int32), "no proper offset"),
        ("layer2.scale_levels", np.zeros((2, 8), np.int64), "no proper scale_levels"),
        ("exp2", np.zeros(EXP2, np.int16), "does not begin with 1"),
        ("exp2", np.zeros(5, np.int16), "no table of 2"),
        ("silu", np.full(65536, -1, np.int16), "SiLU ends below 0"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(name: str, tensor: Array, complaint: str) -> None:
    graph = random_windows(1)
    with pytest.raises(CheckpointError, match=complaint):
        prove(dataclasses.replace(graph, tensors={**graph.tensors, name: tensor}))


def test_zeros_on_one_side_are_for_halving_alone() -> None:
    graph = random_windows(1)
    layers = list(graph.layers)
    layers[0] = dataclasses.replace(layers[0], trailing=True)
    with pytest.raises(CheckpointError, match="no proper zeros on one side"):
        prove(dataclasses.replace(graph, layers=tuple(layers)))
