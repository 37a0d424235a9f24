"""What makes no whole integer network of bytes, or leaves its integers, is refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from diffcodec.errors import CheckpointError
from diffcodec.exact.backends import proof_of
from diffcodec.exact.bytewise.proof import prove_bytes
from tests.altered_bytes import altered, small, with_layer
from tests.random_bytes import ByteBuilder, random_bytes

MOST = 1 << 31


def test_bounds_hold_and_are_close() -> None:
    for seed in range(16):
        network = random_bytes(seed)
        bounds = prove_bytes(network)
        assert proof_of(network) == bounds and len(bounds.layers) == len(network.layers)
        for layer, bound in zip(network.layers, bounds.layers, strict=True):
            assert 0 < bound.accumulator < MOST and bound.stream == 32768
            assert bound.weight <= (32767 if layer.wide else 127)
            assert layer.wide or bound.activation == 255


def test_a_sum_that_reaches_31_bits_is_refused() -> None:
    """The bound is the least that is safe: one less is taken."""
    network = small()
    for k in (0, 1):
        name = f"layer{k}"
        weight = np.abs(network.weight(network.layers[k]).astype(int))
        zero = network.tensors.get(f"{name}.zero")
        reach = 32768 * np.ones(3, int) if zero is None else 255 + zero.astype(int)
        half = 1 << network.tensors[f"{name}.shift"].astype(int) >> 1
        most = (weight * reach).sum(axis=(1, 2, 3)) + half
        rows = network.tensors.get(f"{name}.levels")
        if rows is not None:
            most = most + np.abs(rows.astype(int)).max(axis=0)
        bias = np.zeros(len(weight), np.int64)
        bias[2] = -(MOST - 1 - most[2])
        tensors = {f"{name}_bias": bias.astype(np.int32)}
        assert prove_bytes(altered(network, **tensors)).layers[k].accumulator == MOST - 1
        bias[2] -= 1
        tensors = {f"{name}_bias": bias.astype(np.int32)}
        with pytest.raises(
            CheckpointError, match=f"layer {name} .* its sums in channel 2 can reach"
        ):
            prove_bytes(altered(network, **tensors))


@pytest.mark.parametrize("pair", [(64, 64), (127, 1), (-127, -1), (-64, -64)])
def test_pairs_of_neighbours_are_bounded(pair: tuple[int, int]) -> None:
    """Of channels 2i and 2i + 1 in one tap: others, and unlike signs, are free."""
    network = small()
    weight = np.zeros_like(network.tensors["layer1.weight"])
    weight[4, 1, 2, 2:4] = pair
    weight[3, 1, 2, 1:3] = 127, 127
    weight[5, 1, 2, 2:4] = 127, -127
    weight[6, 1, 1, 2], weight[6, 1, 2, 3] = 127, 127
    prove_bytes(altered(network, layer1_weight=weight))
    weight[4, 1, 2, 2:4] += np.sign(pair).astype(np.int8) * np.array([0, 1], np.int8)
    with pytest.raises(CheckpointError, match=r"layer1 .* a pair of weights in channel 4 can"):
        prove_bytes(altered(network, layer1_weight=weight))


MALFORMED: list[tuple[str, Callable[[Any], Any]]] = [
    ("weight", lambda t: t.astype(np.int16)),
    ("weight", lambda t: t[:, :, :2]),
    ("weight", lambda t: t[:, :2, :2]),
    ("weight", lambda t: t[0]),
    ("weight", lambda t: np.full_like(t, -128)),
    ("weight", lambda t: t[:0]),
    ("bias", lambda t: t.astype(np.int64)),
    ("bias", lambda t: t[1:]),
    ("shift", lambda t: np.full_like(t, 31)),
    ("shift", lambda t: t.astype(np.int8)),
    ("shift", lambda t: t[:, None]),
    ("scale", lambda t: np.zeros_like(t)),
    ("scale", lambda t: -t),
    ("scale", lambda t: t.astype(np.uint16)),
    ("scale", lambda t: t[1:]),
    ("zero", lambda t: t.astype(np.int8)),
    ("zero", lambda t: t[1:]),
]


@pytest.mark.parametrize(("kind", "change"), MALFORMED)
def test_malformed_tensors_are_refused(kind: str, change: Callable[[Any], Any]) -> None:
    network = small()
    tensor = change(network.tensors[f"layer1.{kind}"])
    with pytest.raises(CheckpointError, match="layer layer1 of the network is malformed"):
        prove_bytes(altered(network, **{f"layer1_{kind}": tensor}))


def test_tensors_that_are_missing_or_too_many_are_refused() -> None:
    network = small()
    for kind in ("weight", "bias", "shift"):
        with pytest.raises(CheckpointError, match="lacks a tensor of layer layer1"):
            prove_bytes(altered(network, **{f"layer1_{kind}": None}))
    for kind in ("scale", "zero"):
        with pytest.raises(CheckpointError, match="layer layer1 of the network is malformed"):
            prove_bytes(altered(network, **{f"layer1_{kind}": None}))
    extra = {"layer0_scale": np.ones(3, np.int16), "layer0_zero": np.zeros(3, np.uint8)}
    for name, tensor in extra.items():
        with pytest.raises(CheckpointError, match="layer layer0 of the network is malformed"):
            prove_bytes(altered(network, **{name: tensor}))
    rows = np.zeros((4, 8), np.int32)
    with pytest.raises(CheckpointError, match="layer layer1 of the network is malformed"):
        prove_bytes(altered(network, layer1_levels=rows))
    with pytest.raises(CheckpointError, match="no noise levels"):
        prove_bytes(altered(network, levels=None))


@pytest.mark.parametrize(
    ("k", "fields"),
    [
        (0, {"wide": False}),
        (0, {"activation": "relu"}),
        (1, {"activation": "silu"}),
        (1, {"fraction": 16}),
        (1, {"fraction": -1}),
        (1, {"fraction": 9.0}),
        (1, {"stride": 3}),
        (1, {"stride": True}),
        (1, {"stride": 2, "upsample": True}),
        (1, {"upsample": 1}),
        (1, {"wide": 0}),
        (1, {"add": "1"}),
        (1, {"add": True}),
        (0, {"fraction": 13}),  # and hard swish follows
    ],
)
def test_layers_that_make_no_sense_are_refused(k: int, fields: dict[str, Any]) -> None:
    named = 1 if fields == {"fraction": 13} else k
    with pytest.raises(CheckpointError, match=f"layer layer{named} of the network makes no sense"):
        prove_bytes(with_layer(small(), k, **fields))


@pytest.mark.parametrize(
    "fields", [{"add": 0}, {"add": -1}, {"add": 2}, {"add": 3}, {"add": 9}, {"fraction": 15}]
)
def test_additions_that_do_not_fit_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError, match="layer layer2 of the network adds what does not fit"):
        prove_bytes(with_layer(small(), 2, **fields))


def test_chains_that_do_not_fit_are_refused() -> None:
    network = small()
    with pytest.raises(CheckpointError, match=r"layer layer1 .* reads 6 channels and is given 8"):
        kept = {n: t for n, t in network.tensors.items() if not n.startswith("layer0")}
        net = ByteBuilder(np.random.default_rng(0), 3)
        net.conv(8)
        prove_bytes(dataclasses.replace(network, tensors={**kept, **net.tensors}))
    with pytest.raises(CheckpointError, match="layer layer1 of the network is malformed"):
        prove_bytes(with_layer(network, 1, upsample=True))  # its kernel is 3 x 3
    with pytest.raises(CheckpointError, match="does not yield an image"):
        prove_bytes(dataclasses.replace(network, layers=network.layers[:-1]))
    with pytest.raises(CheckpointError, match="does not yield an image"):
        prove_bytes(dataclasses.replace(network, output=1))
    with pytest.raises(CheckpointError, match="has no layers"):
        prove_bytes(dataclasses.replace(network, layers=()))
    with pytest.raises(CheckpointError, match=r"sizes .* make no sense"):
        prove_bytes(dataclasses.replace(network, stride=0))
    with pytest.raises(CheckpointError, match="halves images down to 1/2, its stride not"):
        prove_bytes(dataclasses.replace(random_bytes(0, patch=1, halvings=1), stride=1))
