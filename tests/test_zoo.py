"""Networks by name and by path, of either kind: which is which, and who takes what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from diffcodec import api, zoo
from diffcodec import networks as networks_at_hand
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.cli.device import own_device
from diffcodec.codec import Codec
from diffcodec.errors import CheckpointError
from diffcodec.eval.publish.tables import networks
from diffcodec.exact.denoiser import ExactDenoiser
from diffcodec.exact.reference import Reference
from diffcodec.exact.stored import load_integers
from diffcodec.network.checkpoint import Checkpoint
from diffcodec.network.config import Recipe
from diffcodec.network.denoiser import NetworkDenoiser
from diffcodec.network.kinds import build
from diffcodec.zoo import (
    find,
    load_checkpoint,
    load_graph,
    load_network,
    load_weights,
    model_card,
    stated_fingerprint,
)


def test_each_kind_is_opened_as_what_it_is(tiny_network: Path, tiny_float: Path) -> None:
    exact, float_ = load_network(tiny_network), load_network(str(tiny_float))
    assert isinstance(exact, ExactDenoiser) and isinstance(float_, NetworkDenoiser)
    assert (exact.name, float_.name) == ("tiny", "tiny")
    assert exact.fingerprint == load_graph(tiny_network).fingerprint.hex()
    assert float_.fingerprint == load_checkpoint(tiny_float).fingerprint.hex()


def test_the_other_kind_is_refused(tiny_network: Path, tiny_float: Path) -> None:
    with pytest.raises(CheckpointError, match=f"{tiny_float} is a float network.*diffcodec export"):
        load_graph(tiny_float)
    with pytest.raises(CheckpointError, match=r"tiny is a float network.*instead of numpy"):
        Codec.from_pretrained(tiny_float, backend="numpy")
    with pytest.raises(CheckpointError, match=f"{tiny_network} is an integer network"):
        load_checkpoint(tiny_network)
    with pytest.raises(CheckpointError, match=f"{tiny_float} is a float network.*backend numpy"):
        load_network(tiny_float, backend="numpy")


def test_device_and_backend_choose_how_an_integer_network_is_evaluated(tiny_network: Path) -> None:
    numpy = load_network(tiny_network, backend="numpy")
    assert isinstance(numpy, ExactDenoiser) and isinstance(numpy.evaluate, Reference)
    with pytest.raises(CheckpointError, match=r'no backend "mps"; there are compiled, .*cuda'):
        load_network(tiny_network, "mps")
    with pytest.raises(CheckpointError, match='no backend "fast"'):
        Codec.from_pretrained(tiny_network, backend="fast")
    if not torch.cuda.is_available():
        with pytest.raises(CheckpointError, match="cuda cannot be used here: there is no CUDA dev"):
            load_network(tiny_network, "cuda")
        with pytest.raises(CheckpointError, match="cuda64 cannot be used here: there is no CUDA"):
            Codec.from_pretrained(tiny_network, backend="cuda64")


def test_networks_are_found_by_name_and_fingerprint(
    tiny_network: Path, tiny_float: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = [("one", tiny_float), ("two", tiny_network)]
    for module in (zoo, networks_at_hand):
        monkeypatch.setattr(module, "shipped_networks", lambda: known)
    assert find("two") == tiny_network
    assert api.name_of(load_integers(tiny_network).fingerprint) == "two"
    for fingerprint in (bytes(8), b"", Checkpoint.load(tiny_float).fingerprint):
        with pytest.raises(BitstreamError, match="no shipped network"):
            api.name_of(fingerprint)
    with pytest.raises(CheckpointError, match='no network "three"; shipped: one, two'):
        load_graph("three")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"\xff" * 99,
        b"\x02\0\0\0\0\0\0\0{}",
        b"\x02\0\0\0\0\0\0\0[]",
        b'\x29\0\0\0\0\0\0\0{"__metadata__": {"diffcodec-exact": "{"}}',
        b'\x29\0\0\0\0\0\0\0{"__metadata__": {"diffcodec-exact": "7"}}',
    ],
)
def test_other_files_are_no_networks(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    assert stated_fingerprint(path) is None
    for load in (load_graph, load_checkpoint, load_network):
        with pytest.raises(CheckpointError, match=str(path)):
            load(path)


@pytest.mark.parametrize("model", api.list_models(), ids=lambda model: model["name"])
def test_one_number_of_parameters_everywhere(model: dict[str, Any]) -> None:
    """All weights and biases of the float network, the noise embedding included."""
    graph = load_graph(model["name"])
    network = build(Recipe.from_dict(graph.facts["recipe"]).network)
    counted = sum(parameter.numel() for parameter in network.parameters())
    assert counted == graph.parameters == model["parameters"] == graph.facts["card"]["parameters"]
    assert counted == load_weights(model["name"]).parameters
    assert f"{counted:,} parameters (all weights" in (model_card(model["name"]) or "")
    assert networks.parameters(model["name"]) == f"{counted / 1e6:.1f} M"


def test_a_file_states_its_fingerprint(tiny_network: Path, tiny_float: Path) -> None:
    assert stated_fingerprint(tiny_network) == load_integers(tiny_network).fingerprint
    assert stated_fingerprint(tiny_float) is None
    assert stated_fingerprint(tiny_float.with_name("missing.safetensors")) is None


def test_one_of_several_gpus_is_the_processs_own(
    tiny_network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen: list[str] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    load_network(tiny_network, "cuda:1", backend="numpy")
    load_network(tiny_network, "cpu")
    assert chosen == ["cuda:1"]
    for rank, device in (("0", "cuda:0"), ("1", "cuda:1"), ("2", "cuda:0")):
        monkeypatch.setenv("LOCAL_RANK", rank)
        assert own_device("cuda") == device
