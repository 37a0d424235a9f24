"""Files of integer networks of bytes, and what is coded with them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from diffcodec.errors import CheckpointError
from diffcodec.exact.bytewise.graph import ByteGraph
from diffcodec.exact.bytewise.reference import ByteReference
from diffcodec.exact.stored import load_integers
from tests.altered_bytes import altered, small, with_layer
from tests.random_bytes import inputs, random_bytes


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    for seed in range(4):
        network = random_bytes(seed)
        network.save(path)
        loaded = load_integers(path)
        assert isinstance(loaded, ByteGraph) and loaded.layers == network.layers
        assert loaded.fingerprint == network.fingerprint
        assert loaded.structure() == network.structure()
        assert loaded.tensors.keys() == network.tensors.keys()
        x, v = inputs(network, 2, 4, 4)
        assert np.array_equal(ByteReference(loaded)(x, v), ByteReference(network)(x, v))
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match="was altered"):
            load_integers(path)


def test_every_field_is_in_the_fingerprint() -> None:
    network = small()
    unlike = [with_layer(network, 3, activation="relu"), with_layer(network, 3, fraction=3)]
    unlike += [with_layer(network, 2, add=None), dataclasses.replace(network, patch=2)]
    unlike += [altered(network, layer1_zero=network.tensors["layer1.zero"] ^ 1)]
    assert len({network.fingerprint, *(one.fingerprint for one in unlike)}) == 6


def test_unknown_versions_are_refused_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "new.safetensors"
    monkeypatch.setattr(ByteGraph, "VERSION", 9)
    small().save(path)
    monkeypatch.undo()
    with pytest.raises(CheckpointError) as raised:
        load_integers(path)
    assert str(raised.value) == (
        f"{path} is an integer network of version 9, which this program does not know; "
        "get a newer diffcodec"
    )
