"""A decoder of byte networks that is written from FORMAT-network.md alone, number by number.

It shares no code with the package, and decides whether document and package say the same.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from diffcodec.exact.bytewise.graph import ByteGraph
from diffcodec.exact.bytewise.proof import prove_bytes
from diffcodec.exact.bytewise.reference import ByteReference
from diffcodec.theory.chain import Tables
from tests.exact_network import build
from tests.random_bytes import ByteBuilder, inputs, random_bytes

Array = NDArray[Any]
TABLES = Tables((0.0, 0.0, 0.0), 0.25, np.array([1e-4, 1.0]), np.array([1e-5, 0.2]), {})
TYPES = {
    "F64": "<f8",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "|i1",
    "U8": "|u1",
}


def read(file: bytes) -> tuple[dict[str, Any], dict[str, Array]]:
    """Section 1: structure and tensors; AssertionError where the fingerprint does not match."""
    size = int.from_bytes(file[:8], "little")
    head = json.loads(file[8 : 8 + size])
    known = json.loads(head.pop("__metadata__")["diffcodec-exact"])
    tensors = {}
    for name, about in head.items():
        begin, end = (8 + size + at for at in about["data_offsets"])
        values = np.frombuffer(file[begin:end], TYPES[about["dtype"]])
        tensors[name] = values.reshape(about["shape"])
    stated = {"structure": known["structure"], "tables": known["facts"]["tables"]}
    sha = hashlib.sha256(json.dumps(stated, sort_keys=True, separators=(",", ":")).encode())
    for name in sorted(tensors):
        t = tensors[name]
        sha.update(f"{name}{t.dtype.str}{tuple(t.shape)}".encode() + t.tobytes())
    assert sha.digest()[:8].hex() == known["fingerprint"]
    return known["structure"], tensors


def rounded(x: Any, n: Any) -> Any:
    """round(x, n) of section 2."""
    return np.floor_divide(2 * x + 2**n, 2 * 2**n)


def product(a: Any, b: Any) -> Any:
    return rounded(a * b, 15)


def level(tensors: dict[str, Array], rows: Array, v: float) -> Array:
    """Section 2, the level."""
    levels = [float(x) for x in tensors["levels"]]
    below = max([i for i, x in enumerate(levels) if x <= v], default=0)
    i = min(below, len(levels) - 2)
    share = min(max((v - levels[i]) / (levels[i + 1] - levels[i]), 0.0), 1.0)
    w = int(np.rint(256 * share))
    return np.asarray(rounded(rows[i].astype(int) * (256 - w) + rows[i + 1].astype(int) * w, 8))


def convolve(a: Array, weight: Array, stride: int) -> Array:
    """Section 2, step 5, of (H, W, c_in) and (c_out, k, k, c_in)."""
    height, width, _ = a.shape
    c_out, k, _, _ = weight.shape
    acc = np.zeros((-(-height // stride), -(-width // stride), c_out), np.int64)
    for i, j, di, dj in np.ndindex(*acc.shape[:2], k, k):
        row, column = stride * i + di - (k - 1) // 2, stride * j + dj - (k - 1) // 2
        if 0 <= row < height and 0 <= column < width:
            acc[i, j] += (weight[:, di, dj].astype(int) * a[row, column]).sum(axis=1)
    return acc


def evaluate(structure: dict[str, Any], tensors: dict[str, Array], x: Array, v: float) -> Array:
    """Section 4: the output (H, W, C) for the input (H, W, C)."""
    assert structure["version"] == 2
    streams = [x.astype(int)]
    for i, layer in enumerate(structure["layers"]):
        own = {
            kind: t.astype(int)
            for kind in ("weight", "bias", "shift", "scale", "zero", "levels")
            if (t := tensors.get(f"{layer['name']}.{kind}")) is not None
        }
        h = a = streams[i]
        if layer["activation"] == "relu":
            h = np.maximum(h, 0)
        elif layer["activation"] == "hard_swish":
            f = structure["layers"][i - 1]["fraction"]
            h = product(h, np.clip(h + 3 * 2**f, 0, 6 * 2**f) * 2 ** (12 - f))
        if layer["wide"] and i > 0:
            a = product(h, own["scale"])
        elif i > 0:
            a = np.clip(product(h, own["scale"]) + own["zero"], 0, 255) - own["zero"]
        acc = convolve(a, own["weight"], layer["stride"]) + own["bias"]
        if "levels" in own:
            acc = acc + level(tensors, own["levels"], v)
        out = np.clip(rounded(acc, own["shift"]), -32768, 32767)
        if layer["upsample"]:
            out = np.kron(out, np.ones((2, 2, 1), int))
        if layer["add"] is not None:
            out = np.clip(out + streams[layer["add"]], -32768, 32767)
        streams.append(out)
    return streams[-1]


def assert_equal(graph: ByteGraph, rows: int, columns: int, seed: int = 0, n: int = 4) -> None:
    """Package and document agree on images of every kind."""
    prove_bytes(graph)
    structure, tensors = read(graph.to_bytes())
    x, v = inputs(graph, n, rows, columns, seed)
    wanted = ByteReference(graph)(x, v)
    for image, noise, out in zip(x, v, wanted, strict=True):
        assert np.array_equal(evaluate(structure, tensors, image, float(noise)), out)


@pytest.mark.parametrize("seed", range(12))
def test_the_document_says_what_the_package_does(seed: int) -> None:
    assert_equal(random_bytes(seed, widest=24), 1 + seed % 5, 1 + seed % 3, seed)


def test_every_kind_of_layer_is_among_them() -> None:
    layers = [layer for seed in range(12) for layer in random_bytes(seed, widest=24).layers]
    assert {layer.activation for layer in layers} == {"none", "relu", "hard_swish"}
    assert {layer.wide for layer in layers[1:]} == {True, False}
    for kind in ("wide", "upsample"):
        for add in (True, False):
            assert any(getattr(k, kind) and (k.add is not None) == add for k in layers)


@pytest.mark.parametrize("fraction", [0, 7, 12])
def test_hard_swish_at_every_value(fraction: int) -> None:
    """Of a stream that is the input: one wide layer that multiplies by one."""
    net = ByteBuilder(np.random.default_rng(0), 3, levels=False)
    net.conv(3, 1, fraction=fraction)
    net.tensors["layer0.weight"] = np.eye(3, dtype=np.int16).reshape(3, 1, 1, 3)
    net.tensors["layer0.bias"][:], net.tensors["layer0.shift"][:] = 0, 0
    net.conv(3, 1, activation="hard_swish", wide=True)
    net.tensors["layer1.scale"][:] = 32767
    net.tensors["layer1.weight"] = np.eye(3, dtype=np.int16).reshape(3, 1, 1, 3)
    net.tensors["layer1.bias"][:], net.tensors["layer1.shift"][:] = 0, 0
    graph = net.graph()
    structure, tensors = read(graph.to_bytes())
    x = np.arange(-32768, 32768).repeat(3).reshape(1, 256, 256, 3).astype(np.int16)
    wanted = ByteReference(graph)(x, np.array([1.0]))[0]
    s = x[0] / 2.0**fraction
    exact = 0.75 * s * np.clip(s + 3, 0, 6) / 6 * 2.0**fraction
    assert np.abs(wanted - exact).max() < 2  # the scale is a little less than 1
    a = np.asarray(evaluate(structure, tensors, x[0], 1.0)[..., 0])
    assert np.array_equal(a, wanted[..., 0])


@pytest.mark.parametrize("side", [(1, 1), (1, 4), (5, 3), (6, 7)])
@pytest.mark.parametrize("kernel", [1, 3])
def test_strides_of_odd_sides(kernel: int, side: tuple[int, int]) -> None:
    net = ByteBuilder(np.random.default_rng(0), 3)
    net.conv(9, kernel, stride=2)
    net.conv(5, kernel, stride=2, wide=True)
    net.conv(4, kernel, stride=2)
    structure, tensors = read(net.graph().to_bytes())
    x, v = inputs(net.graph(), 1, *side)
    wanted = ByteReference(net.graph())(x, v)[0]
    assert np.array_equal(evaluate(structure, tensors, x[0], v[0]), wanted)


def test_versions_are_told_apart() -> None:
    new, old = random_bytes(0), build("old")
    structure, _ = read(new.to_bytes())
    assert structure["version"] == ByteGraph.VERSION == 2 and "fraction" not in structure
    structure, _ = read(old.to_bytes())
    assert "version" not in structure and "fraction" in structure
    stated = new.fingerprint.hex().encode()
    with pytest.raises(AssertionError):
        read(new.to_bytes().replace(stated, b"0123456789abcdef"))
    unlike = replace(new, sigma_data=0.25), new.with_tables(TABLES)
    assert len({new.fingerprint, *(graph.fingerprint for graph in unlike)}) == 3
