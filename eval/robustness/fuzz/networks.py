"""Targets that open networks: integer ones of all versions, float ones, folders, classifiers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from random import Random
from typing import Any

import numpy as np

from diffcodec.classifier.config import ClassifierRecipe
from diffcodec.classifier.file import ClassifierFile
from diffcodec.codec import Codec
from diffcodec.errors import CheckpointError
from diffcodec.eval.robustness.fuzz import corpus, small_networks, text_seeds
from diffcodec.eval.robustness.fuzz.mutation import mutated
from diffcodec.eval.robustness.fuzz.network_parts import varied_network
from diffcodec.eval.robustness.fuzz.scratch import scratch
from diffcodec.eval.robustness.fuzz.target import Target
from diffcodec.eval.robustness.fuzz.trees import varied
from diffcodec.golden import NETWORK
from diffcodec.network.checkpoint import Checkpoint
from diffcodec.network.diffusers.reading import CONFIG, INDEX, SCHEDULER
from diffcodec.network.diffusers.writing import folder_files
from diffcodec.zoo import load_checkpoint, load_graph, stated_fingerprint

V = (0.003, 1.0, 400.0)
PLACES = (INDEX, f"unet/{CONFIG}", f"scheduler/{SCHEDULER}")


def open_integers(data: bytes) -> None:
    """An integer network: proven, evaluated, its tables used."""
    path = scratch(data, "network.safetensors")
    stated_fingerprint(path)
    codec = Codec.of(load_graph(path), threads=1)
    for channels in (1, 3):
        y = np.random.default_rng(0).normal(0, 1, (channels, 5, 7)).astype(np.float32)
        for v in V:
            x0_hat = codec.denoiser(y, v)
            assert x0_hat.shape == y.shape and (np.abs(x0_hat) <= 1).all()
    for name in sorted(codec.tables.chains)[:2]:
        made = codec.encode(corpus.image(6, 5, 3), chain=name, max_steps=2)
        codec.decode(made)


def open_floats(data: bytes) -> None:
    """A float network: recipe, tables and weights, evaluated by torch."""
    path = scratch(data, "checkpoint.safetensors")
    _use(load_checkpoint(path))


def open_folder(data: bytes) -> None:
    """A folder of diffusers, as its JSON files say; the weights are always the same."""
    try:
        files = json.loads(data)
        texts = {place: _text(files[place]) for place in PLACES}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError("these are no files of a folder") from error
    for place, weights in _weights().items():
        scratch(weights, f"folder/{place}")
    for place, text in texts.items():
        last = scratch(text, f"folder/{place}")
    _use(load_checkpoint(last.parents[1]))


def open_classifier(data: bytes) -> None:
    """A classifier's file."""
    found = ClassifierFile.load(scratch(data, "classifier.safetensors"))
    assert found.about["parameters"] == found.parameters


def _use(network: Checkpoint) -> None:
    from diffcodec.zoo.floats import FloatDenoiser  # torch

    denoiser = Codec.of_float(network, threads=1, backend="cpu").denoiser
    assert isinstance(denoiser, FloatDenoiser)
    if denoiser.classes:
        return
    for channels in denoiser.channels:
        y = np.random.default_rng(0).normal(0, 1, (channels, 8, 8)).astype(np.float32)
        assert (np.abs(denoiser(y, 1.0)) <= 1).all()


# --- seeds and changes --------------------------------------------------------------------------


def _integers() -> list[bytes]:
    return [NETWORK.read_bytes(), *(graph.to_bytes() for graph in small_networks.integers())]


def _floats() -> list[bytes]:
    recipes = text_seeds.RECIPE, small_networks.DDPM
    return [small_networks.floats(recipe).to_bytes() for recipe in recipes]


@cache
def _files() -> dict[str, bytes]:
    return folder_files(small_networks.floats(small_networks.DDPM))


def _weights() -> dict[str, bytes]:
    return {place: data for place, data in _files().items() if place not in PLACES}


def _folders() -> list[bytes]:
    return [json.dumps({place: json.loads(_files()[place]) for place in PLACES}).encode()]


def _text(fields: Any) -> bytes:
    """A JSON file; where its fields are a text, this one, which may be no JSON."""
    text = fields if isinstance(fields, str) else json.dumps(fields)
    return text.encode("utf-8", "surrogatepass")


def _varied_folder(data: bytes, dice: Random, others: Sequence[bytes]) -> bytes:
    files = json.loads(data)
    place = dice.choice(PLACES)
    if dice.random() < 0.1:
        files[place] = mutated(_text(files[place]), dice, ()).decode("utf-8", "replace")
    else:
        files[place] = varied(files[place], dice)
    return json.dumps(files).encode()


def _classifiers() -> list[bytes]:
    recipe = ClassifierRecipe.from_dict(text_seeds.CLASSIFIER)
    weights = {"first.weight": np.zeros((4, 3), np.float32), "first.bias": np.zeros(4, np.float32)}
    return [ClassifierFile(recipe, weights, {"accuracy": None}).to_bytes()]


TARGETS = (
    Target("network", "integer networks", open_integers, _integers, varied_network, 40),
    Target("checkpoint", "float networks", open_floats, _floats, varied_network, 12),
    Target("folder", "folders of diffusers", open_folder, _folders, _varied_folder, 8),
    Target("classifier", "classifiers", open_classifier, _classifiers, varied_network, 20),
)
