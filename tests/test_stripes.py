"""Large images piece by piece: exactly what evaluating them at once gives, in less memory."""

from __future__ import annotations

import dataclasses
import math
from itertools import pairwise

import numpy as np
import pytest

from diffcodec.bitstream.randomness import gaussian
from diffcodec.exact import compiled, denoiser
from diffcodec.exact.compiled import Compiled
from diffcodec.exact.denoiser import ExactDenoiser, row_blocks
from diffcodec.exact.graph import Graph
from diffcodec.exact.packed import pack
from diffcodec.exact.reference import Reference
from diffcodec.exact.spans import reach, spans
from diffcodec.exact.stripes import plan, windows
from tests.exact_network import build
from tests.random_layers import image, unet
from tests.random_windows import random_windows


def chaotic(graph: Graph) -> Graph:
    """The same network with larger outputs: a small change spreads as far as it can."""
    tensors = {
        name: np.maximum(tensor, 3) - 3 if name.endswith(".shift") else tensor
        for name, tensor in graph.tensors.items()
    }
    tensors = {name: tensor.astype(graph.tensors[name].dtype) for name, tensor in tensors.items()}
    return dataclasses.replace(graph, tensors=tensors)


DEEP = chaotic(unet(4, (1, 2, 1), 1))  # three resolutions
FLAT = chaotic(build("flat", patch=2))
WINDOWS = random_windows(1)
needs_kernel = pytest.mark.skipif(compiled.KERNEL is None, reason="the kernel is not built")


@needs_kernel
@pytest.mark.parametrize(("height", "width"), [(4, 4), (4, 40), (44, 8), (100, 12)])
@pytest.mark.parametrize(("rows", "threads"), [(1, 1), (3, 2), (16, 1)])
@pytest.mark.parametrize("graph", [DEEP, WINDOWS], ids=["convolutions", "windows"])
def test_stripes_give_what_the_definition_gives(
    monkeypatch: pytest.MonkeyPatch, graph: Graph, height: int, width: int, rows: int, threads: int
) -> None:
    x = image(np.random.default_rng(height), 2, height, width, 3)
    v = np.array([0.02, 3.0])
    network = Compiled(graph, threads=threads)
    shapes = [(height, width, 3)]
    for layer in network.layers:
        shapes.append(layer.shape(shapes))
    all_of_them = 4 * sum(math.prod(shape) for shape in shapes)
    monkeypatch.setattr(compiled, "WHOLE", 0)
    monkeypatch.setattr(compiled, "WORTHWHILE", 0)
    monkeypatch.setattr(compiled, "STRIPE", all_of_them * rows // height)
    assert np.array_equal(network(x, v), Reference(graph)(x, v))


@pytest.mark.parametrize("graph", [DEEP, WINDOWS], ids=["convolutions", "windows"])
def test_memory_grows_with_the_width_only(graph: Graph) -> None:
    layers = pack(graph, "single")

    def held(height: int) -> int:
        shapes = [(height, 8, 3)]
        for layer in layers:
            shapes.append(layer.shape(shapes))
        stripes = plan(layers, shapes, 4)
        assert stripes[-1].end[-1] == height
        return sum(window.memory.nbytes for window in windows(stripes, shapes))

    assert held(400) == held(4000) < held(200) * 1.5


@pytest.mark.parametrize("graph", [FLAT, DEEP], ids=["two resolutions", "three"])
def test_the_reach_is_what_the_network_reaches(graph: Graph) -> None:
    network, rows = Reference(graph), graph.stride // graph.patch
    x = image(np.random.default_rng(1), 1, rows, 160, 3 * graph.patch**2)
    expected, furthest = network(x, np.array([0.1])), 0
    for at in range(80, 84):
        other = x.copy()
        other[:, :, at] = -other[:, :, at]
        changed = (network(other, np.array([0.1])) != expected).any(axis=(0, 1, 3))
        columns = np.flatnonzero(changed)
        furthest = max(furthest, at - int(columns[0]), int(columns[-1]) - at)
    assert 0.7 * reach(graph) < (furthest + 1) * graph.patch <= reach(graph)


def test_windows_reach_as_far_as_they_are_wide() -> None:
    network, width = Reference(WINDOWS, np.float64), 4 * reach(WINDOWS)
    x = image(np.random.default_rng(1), 1, 4, width, 3)
    expected = network(x, np.array([0.1]))
    other, at = x.copy(), width // 2 - 1
    other[:, :, at] = -other[:, :, at]
    changed = (network(other, np.array([0.1])) != expected).any(axis=(0, 1, 3))
    columns = np.flatnonzero(changed)
    furthest = max(at - int(columns[0]), int(columns[-1]) - at)
    assert 0.2 * reach(WINDOWS) < furthest < reach(WINDOWS)


@pytest.mark.parametrize("length", [1, 15, 16, 150, 151, 1000, 4097])
@pytest.mark.parametrize("most", [1, 160, 333])
def test_spans_cover_the_columns_and_see_enough(length: int, most: int) -> None:
    found, halo = spans(FLAT, length, most), reach(FLAT)
    assert found[0].kept == 0 and found[-1].kept_end == length
    assert all(a.kept_end == b.kept for a, b in pairwise(found))
    for span in found:
        assert span.seen == 0 or span.kept - span.seen >= halo
        assert span.seen_end == length or span.seen_end - span.kept_end >= halo
        assert span.seen % FLAT.stride == 0 and span.kept < span.kept_end
        assert span.seen_end - span.seen <= max(most, 4 * halo + 4 * FLAT.stride)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("height", "width"), [(1, 301), (9, 150), (70, 33), (5, 4)])
def test_pieces_give_what_the_whole_image_gives(
    monkeypatch: pytest.MonkeyPatch, channels: int, height: int, width: int
) -> None:
    y = np.random.default_rng(width).normal(0, 0.7, (2, channels, height, width))
    y, v = y.astype(np.float32), np.array([0.05, 0.4])
    network = ExactDenoiser(FLAT, threads=1)
    expected = network.batch(y, v)
    monkeypatch.setattr(denoiser, "WIDEST", 1)
    monkeypatch.setattr(denoiser, "AT_ONCE", 1)
    monkeypatch.setattr(compiled, "WHOLE", 0)
    assert (len(spans(FLAT, width, 1)) > 1) == (width > 100)
    assert np.array_equal(network.batch(y, v), expected)


def test_the_last_block_of_rows_can_be_mirrored() -> None:
    assert row_blocks(3, 16, 16) == [slice(0, 3)]
    assert row_blocks(33, 16, 16) == [slice(0, 16), slice(16, 33)]
    assert row_blocks(48, 16, 16) == [slice(0, 16), slice(16, 32), slice(32, 48)]


def test_noise_may_start_anywhere() -> None:
    whole = gaussian(3, 4, 100)
    for start in (0, 1, 7, 8, 9, 50, 99):
        assert np.array_equal(gaussian(3, 4, 100 - start, start), whole[start:])
