"""Recipes, files of weights, and data: what is wrong is said, and nothing is silently different."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diffcodec.data import Batches, digest, load_images
from diffcodec.errors import CheckpointError, DataError, RecipeError
from diffcodec.network.checkpoint import Checkpoint
from diffcodec.network.config import Recipe
from diffcodec.theory.chain import Tables
from diffcodec.zoo import load_network
from tests.synthetic import synthetic_image

FOLDER = Path(__file__).parent.parent / "recipes"
RECIPES = [path for path in sorted(FOLDER.glob("*.toml")) if "[network]" in path.read_text("utf-8")]


def test_saving_is_deterministic_and_loads(tiny_float: Path, tmp_path: Path) -> None:
    loaded = Checkpoint.load(tiny_float)
    assert loaded.to_bytes() == tiny_float.read_bytes()
    assert Recipe.from_dict(loaded.recipe.to_dict()) == loaded.recipe
    assert len(Tables.of(loaded.tables).chains) == 5


def test_the_fingerprint_covers_what_decoding_needs(tiny_float: Path) -> None:
    one = Checkpoint.load(tiny_float)
    other_card = dataclasses.replace(one, card={"hours": 7})
    assert other_card.fingerprint == one.fingerprint
    name = next(iter(one.weights))
    weights = {**one.weights, name: one.weights[name] + np.float16(0.25)}
    tables = {**one.tables, "prior_variance": 0.3}
    for other in (
        dataclasses.replace(one, weights=weights),
        dataclasses.replace(one, tables=tables),
    ):
        assert other.fingerprint != one.fingerprint


def test_an_altered_file_is_refused(tiny_float: Path, tmp_path: Path) -> None:
    data = bytearray(tiny_float.read_bytes())
    data[-3] ^= 1
    path = tmp_path / "altered.safetensors"
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match="was altered"):
        load_network(path)


@pytest.mark.parametrize("content", [b"", b"no network", b"\x08\0\0\0\0\0\0\0{}      "])
def test_other_files_are_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError):
        Checkpoint.load(path)
    with pytest.raises(CheckpointError, match="there is no network file"):
        Checkpoint.load(tmp_path / "missing.safetensors")
    with pytest.raises(CheckpointError, match='no network "nonesuch"'):
        load_network("nonesuch")


def test_weights_must_fit_the_recipe(tiny_float: Path) -> None:
    from diffcodec.network.denoiser import NetworkDenoiser

    one = Checkpoint.load(tiny_float)
    few = dict(list(one.weights.items())[1:])
    with pytest.raises(CheckpointError, match="do not fit"):
        NetworkDenoiser(dataclasses.replace(one, weights=few))
    with pytest.raises(CheckpointError, match="has no tables"):
        Tables.of({})


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_shipped_recipes_load(path: Path) -> None:
    phase = re.fullmatch(r"(.+?)(-first|-second|-middle)?", path.stem)
    assert phase and Recipe.load(path).name == phase[1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "name"),
        ('name = "x"\n[network]\nchannels = 8', "lacks"),
        ('name = "x"\nextra = 1', "extra"),
        ("not toml", "cannot read"),
    ],
)
def test_bad_recipes(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=words):
        Recipe.load(path)


@pytest.mark.parametrize(
    "setting",
    ["train.nonesuch=1", "lr=1", "train.lr=fast", "train.steps=0", 'train.objective="best"'],
)
def test_bad_overrides(setting: str, tiny_float: Path) -> None:
    with pytest.raises(RecipeError):
        Checkpoint.load(tiny_float).recipe.override((setting,))


def test_images_load_in_order_and_tiles_cut_mosaics(tmp_path: Path) -> None:
    mosaic = synthetic_image(20, 30, 3, 1)
    Image.fromarray(mosaic).save(tmp_path / "train-0.png")
    Image.fromarray(synthetic_image(10, 10, 3, 2)).save(tmp_path / "test-0.png")
    tiles = load_images(tmp_path, "train", tile=10)
    assert len(tiles) == 6 and np.array_equal(tiles[4], mosaic[10:20, 10:20])
    assert len(load_images(tmp_path)) == 2
    assert digest(tiles) == digest([t.copy() for t in tiles]) != digest(tiles[::-1])
    with pytest.raises(DataError, match="no images that begin"):
        load_images(tmp_path, "validation")
    with pytest.raises(DataError, match="does not exist"):
        load_images(tmp_path / "nowhere")
    with pytest.raises(DataError, match="no readable image"):
        load_images(tmp_path, minimum=100)


def test_batches_depend_on_the_step_alone() -> None:
    images = [synthetic_image(12, 14, 3, seed) for seed in range(5)]

    def batches(rank: int = 0, world: int = 1) -> Batches:
        return Batches(
            images, batch=4, crop=8, flips=True, grey=0.3, seed=7, rank=rank, world=world
        )

    forward = [batches()[step].copy() for step in range(6)]
    again = batches()
    assert all(np.array_equal(again[step], forward[step]) for step in (5, 2, 0))
    assert not np.array_equal(forward[0], forward[1])
    assert batches(1, 2)[0].shape == (2, 3, 8, 8)
    assert not np.array_equal(batches(0, 2)[0], batches(1, 2)[0])


def test_an_epoch_sees_every_image_once() -> None:
    images = [np.full((8, 8, 3), i, np.uint8) for i in range(6)]
    batches = Batches(images, batch=3, crop=8, flips=False, grey=0.0, seed=0)
    seen = np.concatenate([batches[step][:, 0, 0, 0] for step in range(4)])
    assert sorted(seen[:6]) == sorted(seen[6:]) == list(range(6))
    assert seen[:6].tolist() != seen[6:].tolist()


def test_every_other_crop_may_be_an_enlarged_smaller_one() -> None:
    noise = [np.random.default_rng(i).integers(0, 256, (40, 40, 3), np.uint8) for i in range(4)]

    def roughness(scale: float) -> np.ndarray:
        batches = Batches(noise, batch=64, crop=32, flips=False, grey=0.0, seed=1, scale=scale)
        return np.abs(np.diff(batches[0].astype(float), axis=3)).mean(axis=(1, 2, 3))

    plain, scaled = roughness(1.0), roughness(4.0)
    assert plain.min() > 80
    smooth = scaled < 0.8 * plain.mean()
    assert 0.25 < smooth.mean() < 0.6 and scaled.min() < 0.4 * plain.mean()
