"""A recipe small enough to train in a test, as a file, and the weights that training leaves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from diffcodec.network.checkpoint import Checkpoint
from diffcodec.network.config import Recipe

RECIPE = Recipe.from_dict(
    {
        "name": "mini",
        "network": {
            "channels": 8,
            "multipliers": [1, 2],
            "blocks": 1,
            "attention": [8],
            "norm": "group",
            "window": 16,
        },
        "train": {
            "objective": "edm",
            "batch": 4,
            "steps": 60,
            "lr": 3e-3,
            "warmup": 5,
            "cooldown": 0.5,
            "ema": 0.9,
            "crop": 16,
            "grey": 0.2,
        },
    }
)


def to_toml(recipe: dict[str, Any]) -> str:
    """The file of a recipe, given as Recipe.to_dict() has it."""
    lines = [f"name = {json.dumps(recipe['name'])}"]
    for section in ("network", "train"):
        lines.append(f"[{section}]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in recipe[section].items()]
    return "\n".join([*lines, ""])


def weights(run: Path) -> dict[str, NDArray[Any]]:
    """Of the network in a run's folder."""
    return Checkpoint.load(run / "model.safetensors").weights
