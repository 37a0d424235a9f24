"""What the commands work on: images, a file, an archive, recipes; made at the start of a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from diffcodec.archive.archive import make_header, write_archive
from diffcodec.archive.groups import Source
from diffcodec.bitstream.types import Pixels
from diffcodec.codec import Codec
from diffcodec.golden import NETWORK
from diffcodec.image import save

COUNT = 6  # images
SIDES = 20, 24  # of each, in pixels

TRAINING = """batch = 4
steps = {steps}
lr = 1e-3
warmup = 1
cooldown = 0.5
ema = 0.9
"""
DENOISER = """name = "tiny"
[network]
channels = 4
multipliers = [1]
blocks = 1
attention = []
norm = "none"
window = 8
[train]
objective = "edm"
crop = 8
"""
CLASSIFIER = """name = "tiny"
[classifier]
kind = "convolutions"
classes = 2
size = 8
channels = 4
multipliers = [1]
[train]
tile = 8
"""


@dataclass(frozen=True)
class Scene:
    """A folder with inputs; their names are its properties."""

    folder: Path

    @property
    def images(self) -> Path:
        """A folder of COUNT images."""
        return self.folder / "images"

    @property
    def image(self) -> Path:
        """The first of them."""
        return self.images / "0.png"

    @property
    def coded(self) -> Path:
        """That image as a .dfc file."""
        return self.folder / "coded.dfc"

    @property
    def archive(self) -> Path:
        """All of them as an archive."""
        return self.folder / "archive.dfa"

    @property
    def network(self) -> Path:
        """A network that is too small to be good, and quick."""
        return self.folder / "network.safetensors"

    @property
    def recipe(self) -> Path:
        """Of a network to train."""
        return self.folder / "denoiser.toml"

    @property
    def classifier(self) -> Path:
        """Of a classifier to train."""
        return self.folder / "classifier.toml"

    @property
    def tiles(self) -> Path:
        """A folder with a mosaic of 8 x 8 images, for the classifier."""
        return self.folder / "tiles"

    @property
    def labels(self) -> Path:
        """Their classes."""
        return self.folder / "labels.npy"


def make_scene(folder: Path, steps: int = 12) -> Scene:
    """Write all inputs into a folder that is there; steps: of the trainings."""
    scene = Scene(folder)
    scene.images.mkdir()
    scene.tiles.mkdir()
    scene.network.write_bytes(NETWORK.read_bytes())
    codec = Codec.from_pretrained(scene.network, threads=1)
    pictures = [waves(*SIDES, seed) for seed in range(COUNT)]
    for i, pixels in enumerate(pictures):
        save(pixels, scene.images / f"{i}.png")
    scene.coded.write_bytes(codec.encode(pictures[0], effort="fast"))
    sources = [Source(f"{i}.png", pixels) for i, pixels in enumerate(pictures)]
    write_archive(codec, sources, scene.archive, make_header(codec, "12", 16))
    save(waves(32, 32, seed=COUNT), scene.tiles / "mosaic.png")
    np.save(scene.labels, np.arange(16) % 2)
    trained = TRAINING.format(steps=steps)
    scene.recipe.write_text(DENOISER + trained, encoding="utf-8")
    scene.classifier.write_text(CLASSIFIER + trained, encoding="utf-8")
    return scene


def waves(height: int, width: int, seed: int) -> Pixels:
    """(H, W, 3) uint8: smooth, with a little noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / 12.0
    phases = rng.uniform(0, 6.28, (3, 2))
    planes = [np.sin(2 * x + a) + np.cos(3 * y + b) for a, b in phases]
    levels = 128 + 40 * np.stack(planes, axis=-1) + rng.normal(0, 4, (height, width, 3))
    return np.asarray(np.rint(levels.clip(0, 255)), np.uint8)
