"""A float network of ours as a folder that diffusers loads: a DDPMPipeline."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from diffcodec.files import write_atomic
from diffcodec.network.checkpoint import Checkpoint
from diffcodec.network.diffusers.fields import VERSION
from diffcodec.network.diffusers.names import to_theirs
from diffcodec.network.diffusers.reading import CONFIG, INDEX, SCHEDULER
from diffcodec.network.diffusers.scheduler import DDPM, scheduler_fields
from diffcodec.network.diffusers.unet import CLASS, unet_fields
from diffcodec.network.diffusers.weights import NAME
from diffcodec.network.grids import without_grids


def save_folder(checkpoint: Checkpoint, folder: Path) -> None:
    """Write the folder; raises CheckpointError as `folder_files`, before anything is written.

    What makes it one, config.json, comes last.
    """
    for place, content in folder_files(checkpoint).items():
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, content)


def folder_files(checkpoint: Checkpoint) -> dict[str, bytes]:
    """The files of a network's folder, by their places in it.

    Raises CheckpointError naming the field of the recipe that the library has no place for.
    """
    recipe = checkpoint.recipe
    unet = unet_fields(recipe.network, recipe.train.dropout)
    scheduler = scheduler_fields(recipe.network)
    weights = to_theirs(recipe.network, without_grids(checkpoint.weights))
    tensors = {k: np.ascontiguousarray(w, np.float32) for k, w in sorted(weights.items())}
    index = {
        "_class_name": "DDPMPipeline",
        "_diffusers_version": VERSION,
        "scheduler": ["diffusers", DDPM],
        "unet": ["diffusers", CLASS],
    }
    return {
        f"unet/{NAME}.safetensors": save(tensors, metadata={"format": "pt"}),
        f"scheduler/{SCHEDULER}": _json(scheduler),
        INDEX: _json(index),
        f"unet/{CONFIG}": _json(unet),
    }


def _json(fields: Mapping[str, object]) -> bytes:
    return (json.dumps(fields, indent=2) + "\n").encode()
