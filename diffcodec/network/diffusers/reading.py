"""A folder of diffusers as a float network of ours.

The codec wants to know the error of a network at every noise level, which no folder says. Until
`diffcodec schedule` has measured it, that of a shipped network for images as large stands in
(tables.json): it decides how many bits a step is given, not what is decoded.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from diffcodec.errors import CheckpointError
from diffcodec.network.checkpoint import Checkpoint
from diffcodec.network.config import NetworkConfig, Recipe, TrainConfig
from diffcodec.network.diffusers.fields import Fields, read_object, shown
from diffcodec.network.diffusers.names import layers_of, to_ours
from diffcodec.network.diffusers.scheduler import read_noise
from diffcodec.network.diffusers.unet import CLASS, DEFAULTS, network_config
from diffcodec.network.diffusers.weights import read_weights
from diffcodec.network.kinds import shapes
from diffcodec.network.tensors import Tensors

INDEX, CONFIG, SCHEDULER = "model_index.json", "config.json", "scheduler_config.json"
SMALL = 64  # pixels a side: up to which the tables of small images stand in
PARTS = ("unet", "scheduler")  # of a pipeline of pixels


def load_folder(path: Path) -> Checkpoint:
    """The network of a folder: a UNet2DModel, alone or in a pipeline of pixels.

    Raises CheckpointError in one sentence for anything else.
    """
    if not path.is_dir():
        raise CheckpointError(f"there is no folder {path}")
    _check_pipeline(path / INDEX)
    home = path / "unet" if (path / "unet").is_dir() else path
    if not (home / CONFIG).exists():
        raise CheckpointError(f"{home} has no {CONFIG}: it is no folder that diffusers wrote")
    noise = read_noise(_scheduler(path))
    fields = _unet(home / CONFIG)
    config = network_config(fields, noise)
    weights = _weights(home, config, fields.flag("flip_sin_to_cos"))
    recipe = Recipe(path.resolve().name or CLASS, config, _training(config, fields))
    card = {"source": f"a folder of diffusers, {CLASS}"}
    return Checkpoint(recipe, weights, default_tables(config.window), card)


def default_tables(window: int) -> dict[str, Any]:
    """What stands in for a network's own tables, by the side of the images it was trained on."""
    return dict(_tables()["small" if window <= SMALL else "large"])


@lru_cache(maxsize=1)
def _tables() -> dict[str, Any]:
    """Of the networks that shipped when this reader was made: files need them as they were."""
    path = Path(__file__).parent / "tables.json"
    return dict(json.loads(path.read_text("utf-8")))


def _check_pipeline(index: Path) -> None:
    """Raises CheckpointError for a pipeline that does more than to denoise pixels."""
    if not index.exists():
        return
    found = read_object(index)
    parts = {name: part for name, part in found.items() if isinstance(part, list) and any(part)}
    for name in parts:
        if name not in PARTS:
            raise CheckpointError(
                f"{index} is of {shown(found.get('_class_name'))}, which needs its {name} beside "
                "its network; only networks that denoise pixels alone can be used"
            )
    if "unet" not in parts:
        raise CheckpointError(f"{index} names no unet: only pipelines with a {CLASS} can be used")


def _scheduler(path: Path) -> Path | None:
    """Its file, if there is one; raises CheckpointError where a pipeline has lost it."""
    for file in (path / "scheduler" / SCHEDULER, path / SCHEDULER):
        if file.exists():
            return file
    if (path / INDEX).exists() or (path / "scheduler").is_dir():
        raise CheckpointError(f"{path} lacks its {SCHEDULER}: download the folder again")
    return None


def _unet(path: Path) -> Fields:
    found = read_object(path)
    kind = found.get("_class_name", CLASS)
    if kind != CLASS:
        raise CheckpointError(f"{path} is of {shown(kind)}; only {CLASS} can be used")
    if "block_out_channels" not in found:
        raise CheckpointError(f"{path} describes no {CLASS}: it has no block_out_channels")
    fields = Fields(path, found, DEFAULTS)
    fields.check_known(DEFAULTS)
    return fields


def _weights(home: Path, config: NetworkConfig, cosines_first: bool) -> Tensors:
    theirs = read_weights(home)
    wanted = {name for layer in layers_of(config) for _, others in layer.tensors for name in others}
    for name in sorted(wanted - set(theirs))[:1]:
        raise CheckpointError(f"the weights in {home} lack {name}: download them again")
    for name in sorted(set(theirs) - wanted)[:1]:
        raise CheckpointError(f"the weights in {home} have {name}, of which {CONFIG} says nothing")
    try:
        ours = to_ours(config, theirs, cosines_first)
    except (ValueError, IndexError) as error:
        raise CheckpointError(f"the weights in {home} do not fit its {CONFIG}") from error
    _check_shapes(home, config, ours)
    return ours


def _check_shapes(home: Path, config: NetworkConfig, ours: Tensors) -> None:
    """Raises CheckpointError for sizes that are not those of the network.

    Without torch there is nobody who would use them: what evaluates the network says so.
    """
    try:
        wanted = shapes(config)
    except ModuleNotFoundError:
        return
    for layer in layers_of(config):
        for name, others in layer.tensors:
            if wanted[name] != ours[name].shape:
                raise CheckpointError(
                    f"the weights in {home} do not fit its {CONFIG}, as {others[0]} shows"
                )


def _training(config: NetworkConfig, fields: Fields) -> TrainConfig:
    """DDPM's: what the folder does not say, but for the size of images and dropout."""
    return TrainConfig(
        objective="hybrid" if config.sigma2 == "learned" else "simple",
        batch=128,
        steps=800_000,
        lr=2e-4,
        warmup=5000,
        cooldown=0.0,
        ema=0.9999,
        crop=config.window,
        grey=1.0 if config.image_channels == 1 else 0.0,
        dropout=min(max(fields.number("dropout"), 0.0), 0.99),
    )
