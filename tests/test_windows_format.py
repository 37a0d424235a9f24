"""A decoder of networks of 16 bits, written from FORMAT-network.md alone, number by number.

Of those that normalise and attend too. It shares no code with the package, but its reader with that
of networks of bytes.
"""

from __future__ import annotations

from functools import partial
from math import isqrt
from typing import Any

import numpy as np
import pytest

from diffcodec.exact.conformance import vector
from diffcodec.exact.graph import Graph
from diffcodec.exact.overflow import prove
from diffcodec.exact.reference import Reference
from tests.exact_network import build
from tests.random_windows import random_windows
from tests.test_network_format import TABLES, Array, convolve, level, read, rounded


def normalised(norm: dict[str, int], scale: Array, offset: Array, u: Array) -> Array:
    """Section 3, of one window (H, W, c), in Python's integers."""
    t = np.clip(rounded(u.astype(object), norm["shift"]), -norm["limit"], norm["limit"])
    out, depth = np.empty(t.shape, object), t.shape[2] // norm["groups"]
    for g in range(norm["groups"]):
        own = t[:, :, g * depth : (g + 1) * depth]
        n, S1, S2 = own.size, int(own.sum()), int((own * own).sum())
        m = S1 // n
        r = S1 - n * m
        T = S2 - m * (S1 + r) - r**2 // n
        s = isqrt(2**8 * (T + norm["eps"]))
        for c in range(g * depth, (g + 1) * depth):
            A = int(scale[c]) // s
            B = int(offset[c]) - A * m - A * r // n
            out[:, :, c] = rounded(A * t[:, :, c] + B, norm["gain"])
    return out


def mixed(attention: dict[str, int], exp2: Array, u: Array) -> Array:
    """Section 3, of one window (H, W, 3 c)."""
    side, _, channels = u.shape
    heads, c = attention["heads"], channels // 3
    limits = attention["query"], attention["key"], attention["value"]
    parts = u.reshape(side * side, 3, heads, c // heads)
    q, k, v = (np.clip(parts[:, i], -limits[i], limits[i]) for i in range(3))
    out = np.empty(q.shape, int)
    for i, h in np.ndindex(side * side, heads):
        logit = rounded((q[i, h] * k[:, h]).sum(axis=1), attention["shift"])
        p = exp2.astype(int)[np.minimum(logit.max() - logit, 16383)]
        P = p.sum()
        sums = (p[:, None] * v[:, h]).sum(axis=0)
        out[i, h] = (2 ** (attention["finer"] + 1) * sums + P) // (2 * P)
    return out.reshape(side, side, c)


def in_windows(side: int, u: Array, what: Any) -> Array:
    height, width, _ = u.shape
    rows = [
        [what(u[y : y + side, x : x + side]) for x in range(0, width, side)]
        for y in range(0, height, side)
    ]
    return np.concatenate([np.concatenate(row, axis=1) for row in rows], axis=0)


def evaluate(structure: dict[str, Any], tensors: dict[str, Array], x: Array, v: float) -> Array:
    """Sections 2 and 3: the output (H, W, C) for the input (H, W, C)."""
    streams, silu = [x.astype(int)], tensors["silu"].astype(int)
    for layer in structure["layers"]:

        def own(kind: str, name: str = layer["name"]) -> Array:
            return tensors[f"{name}.{kind}"].astype(int)

        def at_noise(kind: str, levels: str, name: str = layer["name"]) -> Array:
            rows = tensors.get(f"{name}.{levels}")
            return own(kind, name) + (0 if rows is None else level(tensors, rows, v))

        u = np.concatenate([streams[i] for i in layer["sources"]], axis=2)
        norm, attention = layer.get("norm"), layer.get("attention")
        if norm:
            factors = at_noise("scale", "scale_levels"), at_noise("offset", "offset_levels")
            u = in_windows(norm["window"], u, partial(normalised, norm, *factors))
        if attention:
            u = in_windows(attention["window"], u, partial(mixed, attention, tensors["exp2"]))
        if layer["silu"]:
            inside = silu[np.clip(u, -32768, 32767).astype(int) + 32768]
            u = inside + np.maximum(u - 32767, 0)
        a = np.clip(rounded(u, layer["shift"]), -layer["limit"], layer["limit"]).astype(int)
        if layer["upsample"]:
            a = np.kron(a, np.ones((2, 2, 1), int))
        weight = own("weight")
        if layer.get("trailing"):  # e is 0 instead of 1
            acc = convolve(a, weight, 1)[1::2, 1::2]
        else:
            acc = convolve(a, weight, layer["stride"])
        out = rounded(acc + at_noise("bias", "levels"), own("shift"))
        streams.append(out if layer["add"] is None else out + streams[layer["add"]])
    return streams[-1]


def assert_equal(graph: Graph) -> None:
    prove(graph)
    structure, tensors = read(graph.with_tables(TABLES).to_bytes())
    x, v = vector(graph, "full")
    wanted = Reference(graph)(x, v)
    for image, noise, out in zip(x, v, wanted, strict=True):
        assert np.array_equal(evaluate(structure, tensors, image, float(noise)), out)


@pytest.mark.parametrize("seed", range(6))
def test_the_document_says_what_the_package_does(seed: int) -> None:
    assert_equal(random_windows(seed))


def test_patches_of_pixels() -> None:
    assert_equal(random_windows(6, patch=2))


def test_networks_of_convolutions_alone_are_of_version_1() -> None:
    graph = build("old")
    assert_equal(graph)
    structure, _ = read(graph.with_tables(TABLES).to_bytes())
    assert "version" not in structure and not any("norm" in k for k in structure["layers"])


def test_every_kind_of_layer_is_among_them() -> None:
    graphs = [random_windows(seed) for seed in range(6)]
    structures = [read(graph.with_tables(TABLES).to_bytes())[0] for graph in graphs]
    assert {structure["version"] for structure in structures} == {3}
    layers = [layer for graph in graphs for layer in graph.layers]
    for trailing in (True, False):
        assert any(layer.stride == 2 and layer.trailing == trailing for layer in layers)
        assert any(layer.norm and layer.silu == trailing for layer in layers)
    assert any(layer.norm and len(layer.sources) > 1 for layer in layers)
    assert {layer.attention.heads for layer in layers if layer.attention} == {1, 2}
    tensors = [name for graph in graphs for name in graph.tensors]
    assert any(name.endswith("scale_levels") for name in tensors)
