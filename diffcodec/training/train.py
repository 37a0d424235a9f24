"""A training: steps (step.py) on batches, with a schedule, a log and checkpoints, until its end."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray

from diffcodec.data import Batches, Source, load_images
from diffcodec.errors import RecipeError
from diffcodec.image.picture import AS_IT_IS, Choices
from diffcodec.network.architecture import Network
from diffcodec.network.checkpoint import Checkpoint
from diffcodec.network.config import Recipe, TrainConfig
from diffcodec.network.grids import grids_in
from diffcodec.network.kinds import build
from diffcodec.training import log
from diffcodec.training.crops import DeviceBatches
from diffcodec.training.distributed import meet
from diffcodec.training.optimizer import Pace
from diffcodec.training.quantized import on_grids, quantize
from diffcodec.training.run import STATE, Run, alone, start, update_ema
from diffcodec.training.step import Step
from diffcodec.training.throughput import Progress

SAVE_EVERY = 120.0  # seconds
PIXELS = 2**18  # that the ranges of activations are measured on, at every noise level


def learning_rate(config: Pace, step: int, spent: float = 0.0) -> float:
    """Linear warm-up, constant, linear cool-down over the last `cooldown` of the run.

    The run is as far as its steps, or as its time: spent is the share that has gone by.
    """
    up = min(1.0, (step + 1) / max(1, config.warmup))
    left = min(config.steps - step, (1 - spent) * config.steps)
    return config.lr * max(0.0, min(up, left / max(1.0, config.cooldown * config.steps), 1.0))


def train(
    recipe: Recipe,
    data: Path | Sequence[Source],
    folder: Path,
    *,
    split: str = "all",
    choices: Choices = AS_IT_IS,
    minutes: float | None = None,
    finish_in: float | None = None,
    device: str = "cpu",
    first: Checkpoint | None = None,
    quiet: bool = False,
) -> Run:
    """Train `recipe` on the images of `data`; running it again resumes where it stopped.

    data, split, choices: as in data.load_images.
    first: a network of the same sizes whose weights a new run starts from.
    folder: gets state.pt, model.safetensors and stats.jsonl (one line every 50 steps).
    minutes: stop after this long, with a checkpoint; None trains to the recipe's last step.
    finish_in: minutes of training, over all calls, after which the learning rate has cooled down
    and the run ends, if the last step has not ended it before.
    Under torchrun every process takes its share of each batch.
    Raises DataError, RecipeError (also while another run is in the folder), and FloatingPointError
    when the loss is not finite (the last checkpoint stays); OSError naming the file that a full
    disk does not take (the same).
    """
    world, rank = _processes(recipe.train, device)
    images = load_images(data, split, recipe.train.tile, recipe.train.crop, choices)
    with alone(folder) if rank == 0 else nullcontext():
        run = start(recipe, folder, torch.device(device), _prepared(recipe, images, folder, first))
        run.target = _target(run, first)
        batches = DeviceBatches(images, recipe.train, run.device, rank, world)
        bar = Progress(recipe, run.step, run.device, world, quiet=quiet or rank > 0)
        ends = 60 * (minutes or math.inf), 60 * (finish_in or math.inf)
        if rank == 0:
            log.go_on(folder, run.step)
        _steps(run, batches, bar, ends, rank, world)
        if world > 1:
            with suppress(RuntimeError):
                dist.barrier()
    return run


def _processes(config: TrainConfig, device: str) -> tuple[int, int]:
    """How many processes torchrun started, and the number of this one, which joins the others."""
    world, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    if config.batch % world:
        raise RecipeError(f"train.batch {config.batch} does not divide over {world} processes")
    if device == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    if world > 1:
        meet("nccl" if device == "cuda" else "gloo")
    return world, rank


def _prepared(
    recipe: Recipe, images: list[NDArray[np.uint8]], folder: Path, first: Checkpoint | None
) -> Checkpoint | None:
    """What a new run starts from: `first`, on grids of bytes if the recipe trains for them."""
    config = recipe.train
    if config.quantize == "none" or (folder / STATE).exists():
        return first
    if first is None:
        raise RecipeError(
            'train.quantize = "int8" is for a network that is trained already; give it with --from'
        )
    if grids_in(first.weights):
        return first
    count = max(1, PIXELS // config.crop**2)
    crops = Batches(
        images, batch=count, crop=config.crop, flips=False, grey=config.grey, seed=config.seed
    )
    return on_grids(first, crops[0].transpose(0, 2, 3, 1))


def _target(run: Run, first: Checkpoint | None) -> Network | None:
    """The network that the recipe's target is, frozen, if it is one."""
    if run.recipe.train.target == "image":
        return None
    if first is None:
        raise RecipeError(
            'train.target = "start" compares with the network that training starts from; give it '
            "with --from, when a run resumes too"
        )
    network = build(run.recipe.network).to(run.device).channels_last()
    network.load(first)
    quantize(network, {})  # its streams are float32, so that it errs less than what it teaches
    return network.requires_grad_(False)


def _steps(
    run: Run,
    batches: DeviceBatches,
    bar: Progress,
    ends: tuple[float, float],
    rank: int,
    world: int,
) -> None:
    """Steps to the end, logged and saved; ends: seconds of this call, and of the whole run."""
    config, step = run.recipe.train, Step(run, world)
    before, began, saved, share = run.seconds, time.monotonic(), 0.0, 0.0
    while run.step < config.steps and share < 1:
        rng = torch.Generator().manual_seed((config.seed * world + rank) << 32 | run.step)
        lr = learning_rate(config, run.step, share)
        loss = step(batches[run.step], rng, lr)
        run.step += 1
        update_ema(run)
        now = _latest(time.monotonic() - began, world)
        run.seconds = before + now
        share = run.seconds / ends[1]
        line = bar(run.step, loss, min(ends[0] - now, ends[1] - run.seconds))
        if line and rank == 0:
            step.check()
            known = {"lr": lr, "seconds": round(run.seconds, 1)}
            log.append(run.folder, {**line, **known})
        stop = now > ends[0]
        if stop or now - saved > SAVE_EVERY or run.step == config.steps or share >= 1:
            saved = now
            step.check()
            if rank == 0:
                run.save()
        if stop:
            break


def _latest(seconds: float, world: int) -> float:
    """What the clock of the process that is furthest says, so that all stop together."""
    if world == 1:
        return seconds
    device = "cuda" if dist.get_backend() == "nccl" else "cpu"
    clock = torch.tensor(seconds, dtype=torch.float64, device=device)
    dist.all_reduce(clock, op=dist.ReduceOp.MAX)
    return float(clock)
