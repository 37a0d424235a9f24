"""The compiled integer network: the same integers as the reference, whatever evaluates it."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from diffcodec.bitstream.kernel import load_kernel
from diffcodec.bitstream.types import Int16, Int32
from diffcodec.errors import CheckpointError
from diffcodec.exact import compiled
from diffcodec.exact.compiled import Compiled, instruction_sets
from diffcodec.exact.graph import Graph
from diffcodec.exact.reference import Reference
from tests.random_layers import LEVELS, Builder, image, unet

needs_kernel = pytest.mark.skipif(compiled.KERNEL is None, reason="the kernel is not built")
every_set = pytest.mark.parametrize("isa", instruction_sets() or ["none"])
both_widths = pytest.mark.parametrize("bits", [16, 8])


def assert_equal(graph: Graph, x: Int16, isa: str, threads: int = 1) -> Int32:
    """Compiled and Reference agree; returns the output."""
    v = np.resize([0.05, 1e-6, 4.0, 1e9], len(x))
    before = x.copy()
    out = Compiled(graph, threads, isa)(x, v)
    expected = Reference(graph, np.float64)(x, v)
    assert out.dtype == np.int32 and np.array_equal(out, expected)
    assert np.array_equal(x, before)
    return expected


@needs_kernel
@every_set
class TestEqualsReference:
    @both_widths
    @pytest.mark.parametrize("patch, side", [(1, (8, 12)), (2, (4, 4)), (1, (20, 28))])
    def test_networks(self, isa: str, patch: int, side: tuple[int, int], bits: int) -> None:
        graph = unet(10, (1, 2, 2), patch, seed=patch, bits=bits)
        kinds = {graph.weight(layer).dtype.itemsize for layer in graph.layers}
        assert kinds == {2, bits // 8}
        x = image(np.random.default_rng(0), 3, *side, 3 * patch**2)
        out = assert_equal(graph, x, isa)
        assert np.ptp(out) > 100  # a network that says nothing would prove nothing
        definition = Reference(graph, np.int64)(x[:1], np.array([0.05]))
        assert np.array_equal(definition, out[:1])

    @pytest.mark.parametrize("rows", [True, False])
    @pytest.mark.parametrize("threads, n", [(2, 1), (2, 3), (3, 1), (3, 3)])
    def test_threads(
        self, isa: str, threads: int, n: int, rows: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if rows:  # share out the rows of every layer
            monkeypatch.setattr(compiled, "SMALL", 0)
            monkeypatch.setattr(compiled, "WORTHWHILE", 0)
        x = image(np.random.default_rng(0), n, 12, 8, 3)
        assert_equal(unet(6, (1, 2, 2), 1), x, isa, threads)

    @both_widths
    @pytest.mark.parametrize("channels", [5, 64])
    def test_sizes(self, isa: str, channels: int, bits: int) -> None:
        rng = np.random.default_rng(1)
        sizes = [(1, 1), (1, 2), (2, 1), (1, 9), (7, 1), (3, 5), (9, 8), (5, 17), (6, 25)]
        hows = [{}, {"stride": 2}, {"upsample": True}, {"stride": 2, "upsample": True}]
        for side, how, kernel in itertools.product(sizes, hows, (1, 3)):
            net = Builder(rng, 3, bits)
            net.conv((net.conv((0,), channels, kernel),), 20, kernel, silu=True, **how)
            assert_equal(net.graph(), image(rng, 1, *side, 3), isa)

    @both_widths
    def test_channels(self, isa: str, bits: int) -> None:
        rng = np.random.default_rng(2)
        pairs = [(c, 18 - c) for c in range(1, 18)]
        for c_in, c_out in [*pairs, (33, 2), (2, 33), (3, 48), (5, 49), (4, 100), (64, 128)]:
            net = Builder(rng, c_in, bits)
            a = net.conv((0,), c_out)
            b = net.conv((0, a, 0), c_out, silu=True, add=a)
            net.conv((b, a), c_out, 1, add=a)  # a is read and added: it must not be overwritten
            assert_equal(net.graph(), image(rng, 1, 4, 5, c_in), isa)

    @pytest.mark.parametrize("how", [{}, {"stride": 2}, {"upsample": True}, {"kernel": 1}])
    def test_rows_too_long_for_one_band(self, isa: str, how: dict[str, Any]) -> None:
        rng = np.random.default_rng(3)
        net = Builder(rng, 12)
        net.conv((0,), 3, **how)
        assert_equal(net.graph(), image(rng, 1, 9, 1800, 12), isa)


@needs_kernel
@every_set
class TestExtremes:
    @pytest.mark.parametrize("sign", [1, -1])
    def test_pairs_of_the_largest_products(self, isa: str, sign: int) -> None:
        """2 x 32767 x 32767 fits into 31 bits, just; pairs that add up to 0 do as well."""
        net = Builder(np.random.default_rng(0), 2)
        net.conv((0,), 18, 1, shift=0, limit=32767)
        weight = np.full((18, 1, 1, 2), 32767, np.int16)
        weight[::3] *= -1
        weight[1::3, ..., 1] *= -1
        bias, shift = np.full(18, 131068 - 32768, np.int32), np.full(18, 16, np.uint8)
        tensors = {"layer0.weight": weight, "layer0.bias": sign * bias, "layer0.shift": shift}
        graph = net.graph()
        graph.tensors.update(tensors)
        graph.tensors.pop("layer0.levels", None)
        x = sign * np.full((1, 3, 3, 2), 32767, np.int16)
        x[:, 1] = [-32768, 32767]  # is cut to -32767
        assert abs(assert_equal(graph, x, isa)).max() >= 32767

    def test_the_largest_bytes(self, isa: str) -> None:
        """Among them -128, which is not exported; sums come to 0.98 2^31."""
        rng = np.random.default_rng(0)
        net = Builder(rng, 56, bits=8)
        net.conv((0,), 65, shift=0, limit=32767)
        weight = np.full((65, 3, 3, 56), -128, np.int8)
        weight[::3] = 127
        weight[1::3] = rng.choice(np.array([-128, 127], np.int8), weight[1::3].shape)
        graph = net.graph()
        graph.tensors["layer0.weight"] = weight
        graph.tensors["layer0.shift"] = np.arange(65, dtype=np.uint8) % 20
        graph.tensors.pop("layer0.levels", None)
        for x in (32767, -32767):
            out = assert_equal(graph, np.full((1, 4, 20, 56), x, np.int16), isa)
            assert abs(out.astype(float)).max() > 2**30.9
        signs = rng.choice([-32767, 32767], (1, 4, 20, 56)).astype(np.int16)
        assert_equal(graph, signs, isa)

    @both_widths
    def test_weights_at_the_bound(self, isa: str, bits: int) -> None:
        rng = np.random.default_rng(1)
        for limit in (2047, 32767):
            net = Builder(rng, 7, bits)
            a = net.conv((0,), 33, tight=True, shift=0, limit=limit)
            net.conv((a,), 5, tight=True, shift=0, limit=limit, silu=True)
            for x in (32767, -32767, -32768):
                assert_equal(net.graph(), np.full((1, 5, 6, 7), x, np.int16), isa)
            signs = rng.choice([-32767, 32767], (1, 8, 8, 7)).astype(np.int16)
            assert_equal(net.graph(), signs, isa)

    @pytest.mark.parametrize("channels", [19, 64])
    @pytest.mark.parametrize("shift", [0, 1, 2, 16, 31])
    def test_streams_of_32_bits(self, isa: str, shift: int, channels: int) -> None:
        """Rounding must not overflow where a stream is next to 2^31, nor may the table's index."""
        net = Builder(np.random.default_rng(2), 2)
        wide = net.conv((0,), channels, 1, tight=True, shift=0, limit=32767)
        net.conv((wide,), channels, 1, shift=shift, limit=2047)
        net.conv((wide,), channels, 1, shift=min(shift, 2), limit=2047, silu=True)
        beyond = {"shift": min(shift, 1), "limit": 32767}  # of the table
        net.conv((wide,), channels, 1, silu=True, **beyond)
        net.conv((2, 3, 4), 4, 1, shift=0, limit=2047)
        net.tensors["layer0.shift"] = (np.arange(channels) % 19).astype(np.uint8)
        net.tensors["layer0.bias"] *= 2
        net.tensors["layer0.levels"] = np.zeros((LEVELS, channels), np.int32)
        x = 32767 * np.array([[-1, -1], [1, 1], [-1, 1], [1, -1]], np.int16)
        graph = net.graph()
        graph.tensors["silu"] = np.random.default_rng(3).integers(-32768, 32768, 65536, np.int16)
        graph.tensors["silu"][-1] = 30000
        first = dataclasses.replace(graph, layers=graph.layers[:1])
        assert abs(assert_equal(first, x.reshape(1, 2, 2, 2), isa).astype(float)).max() > 2**30.5
        assert_equal(graph, x.reshape(1, 2, 2, 2), isa)


@needs_kernel
class TestUse:
    def test_the_fastest_set_is_taken(self) -> None:
        graph = unet(4, (1,), 1)
        assert Compiled(graph).isa == instruction_sets()[0]
        assert instruction_sets()[-1] == "portable"
        with pytest.raises(ValueError, match="no instruction set mmx"):
            Compiled(graph, isa="mmx")

    def test_memory_is_used_again(self) -> None:
        graph = unet(8, (1, 2, 2), 1)
        network, v = Compiled(graph), np.array([1.0, 2.0])
        x = image(np.random.default_rng(0), 2, 16, 16, 3)
        shapes: list[tuple[int, ...]] = [(16, 16, 3)]
        for layer in network.layers:
            shapes.append(layer.shape(shapes))

        def held() -> int:
            return sum(s.nbytes for streams in network._spare.values() for s in streams)

        expected = network(x, v)
        once = held()
        assert 0 < once < 0.55 * sum(4 * int(np.prod(shape)) for shape in shapes)
        network(x, v)
        assert held() == once
        network(x[:, :8], v)
        assert held() == once / 2
        assert np.array_equal(network(x, v), expected)

    def test_streams_come_before_their_readers(self) -> None:
        graph = unet(4, (1,), 1)
        layer = dataclasses.replace(graph.layers[1], add=2)
        graph = dataclasses.replace(graph, layers=(graph.layers[0], layer, *graph.layers[2:]))
        with pytest.raises(CheckpointError, match="not there yet"):
            Compiled(graph)

    def test_sides_that_do_not_suit(self) -> None:
        network = Compiled(unet(4, (1, 2), 1))
        with pytest.raises(ValueError, match="sides of the image"):
            network(np.zeros((1, 5, 4, 3), np.int16), np.ones(1))
        with pytest.raises(ValueError, match="reads 3 channels"):
            network(np.zeros((1, 4, 4, 1), np.int16), np.ones(1))

    @pytest.mark.parametrize(
        "name, tensor",
        [
            ("layer0.bias", np.zeros(3, np.int32)),
            ("layer0.shift", np.full(4, 32, np.uint8)),
            ("layer0.weight", np.zeros((4, 3, 3, 3), np.uint8)),
            ("layer0.weight", np.zeros((4, 3, 3, 3), np.int32)),
            ("layer1.levels", np.zeros((2, 4), np.int32)),
            ("silu", np.zeros(100, np.int16)),
        ],
    )
    def test_malformed_networks(self, name: str, tensor: NDArray[Any]) -> None:
        graph = unet(4, (1,), 1)
        graph.tensors[name] = tensor
        with pytest.raises(CheckpointError, match="malformed"):
            Compiled(graph)
        del graph.tensors[name]
        if not name.endswith(".levels"):
            with pytest.raises(CheckpointError, match="lacks a tensor"):
                Compiled(graph)


def test_pure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIFFCODEC_PURE", "1")
    assert load_kernel("diffcodec.exact._convolve") is None
    monkeypatch.setattr(compiled, "KERNEL", None)
    assert instruction_sets() == ()
    with pytest.raises(RuntimeError, match="not built"):
        Compiled(unet(4, (1,), 1))
