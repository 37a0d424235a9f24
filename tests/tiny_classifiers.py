"""Classifiers too small to be good, for images of 8 x 8 in two classes: dark and bright."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from diffcodec import image
from diffcodec.bitstream.types import Pixels
from diffcodec.classifier.config import ClassifierRecipe
from diffcodec.classifier.file import ClassifierFile
from diffcodec.classifier.labelled import Labelled

ENCODER: dict[str, Any] = {
    "kind": "encoder",
    "classes": 2,
    "size": 8,
    "channels": 8,
    "multipliers": [1, 2],
    "attention": [8, 4],
    "head_width": 4,
    "scale_shift": True,
}
CONVOLUTIONS: dict[str, Any] = {
    "kind": "convolutions",
    "classes": 2,
    "size": 8,
    "channels": 8,
    "multipliers": [1, 2],
}
TRAIN: dict[str, Any] = {
    "batch": 16,
    "steps": 30,
    "lr": 5e-3,
    "warmup": 2,
    "cooldown": 0.5,
    "ema": 0.8,
    "shift": 1,
}
NOISE: dict[str, Any] = {"sigma_min": 1.0, "sigma_max": 400.0}
GUIDING = ClassifierRecipe.from_dict(
    {"name": "guiding", "classifier": ENCODER, "train": {**TRAIN, **NOISE}}
)
JUDGING = ClassifierRecipe.from_dict(
    {"name": "judging", "classifier": CONVOLUTIONS, "train": TRAIN}
)


def dark_and_bright(count: int, seed: int, size: int = 8) -> Labelled:
    """Every other image is bright."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    grey = 70 + 110 * labels[:, None, None, None] + 30 * rng.standard_normal((count, size, size, 3))
    return Labelled(grey.clip(0, 255).astype(np.uint8), labels.astype(np.int64))


def saved(images: Pixels, folder: Path, prefix: str = "") -> Path:
    """A folder of images, in their order."""
    folder.mkdir(exist_ok=True)
    for i, pixels in enumerate(images):
        image.save(pixels, folder / f"{prefix}{i:03}.png")
    return folder


def trained(recipe: ClassifierRecipe, folder: Path) -> ClassifierFile:
    """A classifier of dark and bright images."""
    from diffcodec.classifier.train import train

    return train(recipe, dark_and_bright(64, seed=0), folder).file()
