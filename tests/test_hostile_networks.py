"""Files of networks that state what no network has: refused in a sentence, whatever it is."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from diffcodec.classifier.file import KEY as CLASSIFIER
from diffcodec.classifier.file import ClassifierFile
from diffcodec.codec import Codec
from diffcodec.errors import CheckpointError
from diffcodec.eval.robustness.fuzz.network_parts import STATED, take_apart
from diffcodec.eval.robustness.fuzz.networks import TARGETS
from diffcodec.eval.robustness.fuzz.small_networks import golden_facts, integers
from diffcodec.exact.integers import KEY
from diffcodec.network.checkpoint import Checkpoint
from diffcodec.network.denoiser import NetworkDenoiser
from diffcodec.network.tensors import pack
from diffcodec.theory.chain import Tables
from diffcodec.zoo import load_graph, stated_fingerprint

PLAIN, BYTES, WINDOWS = (graph.to_bytes() for graph in integers())
DEEP = "[" * 5000 + "]" * 5000


def opened(data: bytes, folder: Path) -> Codec:
    path = folder / "network.safetensors"
    path.write_bytes(data)
    return Codec.of(load_graph(path), threads=1)


def changed(data: bytes, place: tuple[str | int, ...], value: Any) -> bytes:
    """The file with another value at a place of its facts, and the fingerprint that it then has."""
    facts, key, tensors = take_apart(data)
    part: Any = facts
    for step in place[:-1]:
        part = part[step]
    part[place[-1]] = value
    with suppress(ValueError, TypeError, AttributeError):  # it has none
        facts["fingerprint"] = STATED[key](facts, tensors)
    return pack(key, facts, tensors)


@pytest.mark.parametrize("data", [PLAIN, BYTES, WINDOWS])
def test_what_nobody_changed_opens(data: bytes, tmp_path: Path) -> None:
    assert opened(data, tmp_path).name == "golden"


@pytest.mark.parametrize("data", [PLAIN, BYTES, WINDOWS])
@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("structure", "stride"), "2"),
        (("structure", "stride"), 65534),
        (("structure", "sigma_data"), None),
        (("structure", "sigma_data"), 1e200),
        (("structure", "version"), [1]),
        (("structure", "layers", 1, "stride"), "1"),
        (("structure", "layers", 1, "name"), 7),
        (("structure", "layers", 1, "name"), "nobody"),
        (("structure", "layers", 1, "upsample"), 1),
        (("structure", "layers", 2, "add"), 0.5),
        (("structure", "layers", 2, "add"), 1 << 70),
        (("facts",), []),
        (("facts", "recipe"), 3),
        (("facts", "recipe"), {"network": {}}),
        (("facts", "recipe", "network"), "unet"),
        (("facts", "conformance"), "exact"),
        (("facts", "tables"), 0),
    ],
)
def test_fields_of_other_types(
    data: bytes, place: tuple[str | int, ...], value: Any, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError) as refusal:
        opened(changed(data, place, value), tmp_path)
    assert "\n" not in str(refusal.value) and len(str(refusal.value)) < 300


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("structure", "layers", 0, "shift"), "3"),
        (("structure", "layers", 0, "limit"), {"a": 1}),
        (("structure", "layers", 0, "sources"), [0.5]),
        (("structure", "layers", 0, "sources"), ["x"]),
        (("structure", "layers", 1, "norm", "eps"), None),
        (("structure", "layers", 2, "attention", "finer"), 1.5),
    ],
)
def test_fields_of_layers_of_16_bits(
    place: tuple[str | int, ...], value: Any, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match="layer"):
        opened(changed(WINDOWS, place, value), tmp_path)


def test_a_tensor_that_is_missing(tmp_path: Path) -> None:
    facts, key, tensors = take_apart(PLAIN)
    del tensors["down.bias"]
    facts["fingerprint"] = STATED[key](facts, tensors)
    with pytest.raises(CheckpointError, match="down of the network has no proper bias"):
        opened(pack(key, facts, tensors), tmp_path)


@pytest.mark.parametrize("text", [DEEP, "NaN", '{"structure": NaN}', "7", '"\\ud800"'])
def test_facts_that_are_none(text: str, tmp_path: Path) -> None:
    head = json.dumps({"__metadata__": {KEY: text}}).encode()
    path = tmp_path / "network.safetensors"
    path.write_bytes(len(head).to_bytes(8, "little") + head)
    with pytest.raises(CheckpointError):
        load_graph(path)
    assert stated_fingerprint(path) is None
    path.write_bytes(len(DEEP).to_bytes(8, "little") + DEEP.encode())
    with pytest.raises(CheckpointError):
        load_graph(path)


def test_what_safetensors_complains_of_is_told_in_short(tmp_path: Path) -> None:
    head = json.dumps({"a tensor": "x" * 5000}).encode()
    path = tmp_path / "network.safetensors"
    path.write_bytes(len(head).to_bytes(8, "little") + head)
    with pytest.raises(CheckpointError) as refusal:
        load_graph(path)
    assert len(str(refusal.value)) < 400 + len(str(path))


def tables(**fields: Any) -> dict[str, Any]:
    return {**golden_facts()["tables"], **fields}


@pytest.mark.parametrize(
    "fields",
    [
        {"prior_mean": [0.0, 0.0, float("nan")]},
        {"prior_mean": [0.0, 0.0, 2.0]},
        {"prior_variance": 0},
        {"prior_variance": 10**400},
        {"prior_variance": -1.0},
        {"v": [1.0, 0.5], "mse": [0.1, 0.1]},
        {"v": [1.0], "mse": [0.1, 0.1]},
        {"v": [], "mse": []},
        {"v": 1.0, "mse": 1.0},
        {"mse": [0.0] * len(golden_facts()["tables"]["mse"])},
        {"chains": {"2": [0.1, 1.0]}},
        {"chains": {"2": [1.0, 0.0]}},
        {"chains": {"2": [1e300, 1e-300]}},
        {"chains": {"x": [1.0, 0.5]}},
        {"chains": {"3": [1.0, 0.5]}},
        {"chains": {"0": [], "2": [0.5, 0.5]}},
        {"chains": [[1.0, 0.5]]},
    ],
)
def test_tables_that_nobody_measured(fields: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError, match="tables"):
        Tables.of(tables(**fields))
    assert Tables.of(tables()).chains


@pytest.mark.parametrize(
    ("field", "value"), [("channels", 16384), ("channels", 4), ("blocks", 64), ("classes", 9)]
)
def test_sizes_that_weights_do_not_have_take_no_memory(
    field: str, value: int, tmp_path: Path
) -> None:
    """16,384 channels are 10 GB a layer; 64 blocks are seconds."""
    seeds: dict[str, Callable[[], list[bytes]]] = {one.name: one.seeds for one in TARGETS}
    path = tmp_path / "odd.safetensors"
    path.write_bytes(changed(seeds["checkpoint"]()[0], ("recipe", "network", field), value))
    checkpoint = Checkpoint.load(path)
    with pytest.raises(CheckpointError, match="do not fit its recipe"):
        NetworkDenoiser(checkpoint)


@pytest.mark.parametrize("place", ["tables", "card"])
@pytest.mark.parametrize("value", [None, 3, [], "x"])
def test_float_networks_and_classifiers_with_odd_facts(
    place: str, value: Any, tmp_path: Path
) -> None:
    seeds: dict[str, Callable[[], list[bytes]]] = {one.name: one.seeds for one in TARGETS}
    path = tmp_path / "odd.safetensors"
    path.write_bytes(changed(seeds["checkpoint"]()[0], (place,), value))
    with pytest.raises(CheckpointError, match="holds no diffcodec network"):
        Checkpoint.load(path)
    if place == "card":
        data = changed(seeds["classifier"]()[0], (place,), value)
        assert CLASSIFIER.encode() in data
        path.write_bytes(data)
        with pytest.raises(CheckpointError, match="holds no classifier"):
            ClassifierFile.load(path)
