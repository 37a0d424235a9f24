"""Networks of 16 bits whose weights are bytes, but for those of the first and the last layer.

Exports made them before there were networks of bytes (diffcodec.exact.bytewise); files of them are
still read.
"""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch

from diffcodec.exact.backends import BACKENDS, Unavailable, open_backend
from diffcodec.exact.conformance import expected
from diffcodec.exact.cost import measure_cost
from diffcodec.exact.export import float_network
from diffcodec.exact.floats import FloatNetwork
from diffcodec.exact.graph import Graph
from diffcodec.exact.integers import INPUT_FRACTION
from diffcodec.exact.overflow import prove
from diffcodec.exact.reference import Reference
from diffcodec.exact.rounding import Rounding
from diffcodec.exact.stored import load_integers
from diffcodec.network.unet import UNet
from tests.exported import apart, exported, images, integers, noisy, untrained

TOLERANCE = 3e-3  # relative, of activations alone, as in test_exact_export.py
TOLERANCE_OF_BYTES = 2e-2  # of weights that have 8 bits


@lru_cache
def narrow() -> Graph:
    """`exported` with the weights of inner layers, and their units, cut to 8 bits."""
    graph = exported()
    tensors = dict(graph.tensors)
    for layer in graph.layers[1:-1]:
        weight = graph.weight(layer).astype(np.int64)
        most = np.abs(weight).max(axis=(1, 2, 3))
        least = tensors[f"{layer.name}.shift"].astype(np.int64)
        cut = np.minimum(np.ceil(np.log2(np.maximum(most, 1) / 127.4)).astype(int).clip(0), least)
        unit = 2.0**-cut
        rounded = np.rint(weight * unit[:, None, None, None]).clip(-127, 127)
        tensors[f"{layer.name}.weight"] = rounded.astype(np.int8)
        tensors[f"{layer.name}.shift"] = (least - cut).astype(np.uint8)
        for kind in ("bias", "levels"):
            if (found := tensors.get(f"{layer.name}.{kind}")) is not None:
                tensors[f"{layer.name}.{kind}"] = np.rint(found * unit).astype(np.int32)
    facts = {key: fact for key, fact in graph.facts.items() if key != "conformance"}
    return dataclasses.replace(graph, tensors=tensors, facts=facts)


def test_all_but_the_ends_are_bytes() -> None:
    first, *inner, last = narrow().layers
    graph = narrow()
    assert all(graph.weight(layer).dtype == np.int16 for layer in (first, last))
    assert all(graph.weight(layer).dtype == np.int8 for layer in inner)
    assert all(graph.weight(layer).min() >= -127 for layer in inner)
    most = [int(np.abs(graph.weight(layer).astype(int)).max()) for layer in inner]
    assert min(most) >= 64 and max(most) <= 127  # as much as powers of two allow
    for layer in (first, last):
        assert np.array_equal(graph.weight(layer), exported().weight(layer))
    assert [layer.limit for layer in graph.layers] == [x.limit for x in exported().layers]


def test_bytes_say_nearly_what_the_unet_says(tmp_path: Path) -> None:
    x, v = noisy(1)
    with torch.inference_mode():
        wanted = FloatNetwork(untrained(), torch.float64)(x, v)
    error = apart(integers(narrow(), x, v), wanted.numpy()).max()
    assert TOLERANCE < error < TOLERANCE_OF_BYTES
    narrow().save(tmp_path / "net.safetensors")
    graph = load_integers(tmp_path / "net.safetensors")
    assert graph.fingerprint == narrow().fingerprint != exported().fingerprint
    assert np.array_equal(integers(graph, x, v), integers(narrow(), x, v))


def test_the_width_of_a_type_says_nothing_but_is_in_the_fingerprint() -> None:
    graph = narrow()
    tensors = {k: t.astype(np.int16) if t.dtype == np.int8 else t for k, t in graph.tensors.items()}
    wide = dataclasses.replace(graph, tensors=tensors)
    x, v = noisy(1)
    assert np.array_equal(integers(wide, x, v), integers(graph, x, v))
    assert prove(wide) == prove(graph) and expected(wide) == expected(graph)
    assert wide.fingerprint != graph.fingerprint
    back, wide_back = float_network(graph), float_network(wide)
    assert all(np.array_equal(back[name], wide_back[name]) for name in back)


@pytest.mark.parametrize("name", BACKENDS)
def test_every_backend_reads_bytes(name: str) -> None:
    try:
        evaluate = open_backend(narrow(), name)
    except Unavailable:
        pytest.skip(f"the backend {name} is not here")
    x, v = noisy(1)
    counts = np.rint(x.numpy() * 2**INPUT_FRACTION).clip(-32768, 32767).astype(np.int16)
    counts = counts.transpose(0, 2, 3, 1)
    assert np.array_equal(evaluate(counts, v), Reference(narrow())(counts, v))


def test_the_way_back_from_bytes() -> None:
    unet = UNet(untrained().recipe.network)
    unet.load_state_dict({k: torch.from_numpy(w) for k, w in float_network(narrow()).items()})
    x, v = noisy(1)
    with torch.inference_mode():
        F = unet.residual(x.float(), torch.from_numpy(v).float()).numpy()
    assert apart(integers(narrow(), x, v), F).max() < TOLERANCE  # of activations alone


def test_finer_units_are_for_weights_with_an_outlier() -> None:
    rng = np.random.default_rng(2)
    weight = rng.uniform(-10, 10, (3, 150))
    weight[:, 0] = 100, 100, 12
    moments = np.eye(150)
    moments[0, 0] = 1e-4  # hardly anything goes into it
    assert Rounding(moments).finer(weight, 100).tolist() == [2, 2, 2]
    moments[0, 0] = 1
    assert Rounding(moments).finer(weight, 100).tolist() == [0, 0, 2]


def test_the_cost_is_that_of_the_integers() -> None:
    wide, bytes_ = (measure_cost(untrained(), graph, images()) for graph in (exported(), narrow()))
    for a, b in zip(wide, bytes_, strict=True):
        assert a.float_db == b.float_db and a.sigma_grey == b.sigma_grey
        assert abs(a.exact_db - a.float_db) < abs(b.exact_db - b.float_db) < 0.5
    image = images()[0]
    (once, *_) = measure_cost(untrained(), exported(), [image])
    assert 0 < once.float_db < 60 and str(once).endswith("dB at noise 1")
