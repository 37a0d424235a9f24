"""A small network of bytes, and how to change something about it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffcodec.exact.bytewise.graph import ByteGraph
from tests.random_bytes import ByteBuilder


def altered(network: ByteGraph, **tensors: NDArray[Any] | None) -> ByteGraph:
    """With other tensors, or without; `layer1_bias` is layer1.bias."""
    named = {name.replace("_", "."): tensor for name, tensor in tensors.items()}
    kept = {name: t for name, t in network.tensors.items() if name not in named}
    kept |= {name: t for name, t in named.items() if t is not None}
    return dataclasses.replace(network, tensors=kept)


def with_layer(network: ByteGraph, k: int, **fields: Any) -> ByteGraph:
    """With other fields of layer number k."""
    layers = list(network.layers)
    layers[k] = dataclasses.replace(layers[k], **fields)
    return dataclasses.replace(network, layers=tuple(layers))


def small() -> ByteGraph:
    """Four layers: wide, bytes, bytes with an addition, bytes."""
    net = ByteBuilder(np.random.default_rng(0), 3)
    net.conv(6)
    net.conv(8, activation="hard_swish")
    net.conv(6, activation="relu", add=1)
    net.conv(3, activation="none")
    return net.graph()
