"""Training of classifiers: cross-entropy of labels, noise levels drawn; resumes to the step."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from diffcodec.bitstream.types import Progress
from diffcodec.classifier.config import ClassifierRecipe
from diffcodec.classifier.file import ClassifierFile
from diffcodec.classifier.labelled import Labelled, LabelledBatches
from diffcodec.classifier.network import Classifier, build
from diffcodec.training import log
from diffcodec.training.optimizer import Optimizer
from diffcodec.training.run import STATE, alone, card_of, reading_state, write_state
from diffcodec.training.train import learning_rate

SAVE_EVERY = 120.0  # seconds
LOG_EVERY = 50  # steps


@dataclass
class ClassifierRun:
    """What a run has in memory; `folder` has what it resumes from, and its log."""

    recipe: ClassifierRecipe
    folder: Path
    device: torch.device
    model: Classifier
    ema: AveragedModel
    optimizer: Optimizer
    step: int = 0
    seconds: float = 0.0

    def file(self) -> ClassifierFile:
        """The averaged weights in float16."""
        weights = self.ema.module.state_dict()
        card = card_of(self.step, self.seconds, self.recipe.train.batch, self.device)
        return ClassifierFile(self.recipe, {k: _half(w) for k, w in weights.items()}, card)

    def save(self) -> None:
        """state.pt to resume from and classifier.safetensors, both atomically."""
        state = {
            "step": self.step,
            "seconds": self.seconds,
            "model": self.model.state_dict(),
            "ema": self.ema.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        self.file().save(self.folder / "classifier.safetensors")
        write_state(self.folder, state)

    def resume(self) -> None:
        """From state.pt, if there is one; RecipeError if it is another run's, or damaged."""
        path = self.folder / STATE
        if not path.exists():
            return
        with reading_state(path):
            state: dict[str, Any] = torch.load(path, map_location=self.device, weights_only=True)
            self.model.load_state_dict(state["model"])
            self.ema.load_state_dict(state["ema"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step, self.seconds = int(state["step"]), float(state["seconds"])


def start(recipe: ClassifierRecipe, folder: Path, device: str = "cpu") -> ClassifierRun:
    """A run at its last checkpoint, or at step 0, with weights drawn from the seed."""
    torch.manual_seed(recipe.train.seed)
    model = build(recipe.classifier).to(device)
    average = get_ema_multi_avg_fn(recipe.train.ema)  # type: ignore[no-untyped-call]
    ema = AveragedModel(model, multi_avg_fn=average, use_buffers=True)
    optimizer = Optimizer(model, recipe.train)
    run = ClassifierRun(recipe, folder, torch.device(device), model, ema, optimizer)
    run.resume()
    return run


def train(
    recipe: ClassifierRecipe,
    images: Labelled,
    folder: Path,
    *,
    minutes: float | None = None,
    finish_in: float | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> ClassifierRun:
    """Train on labelled images; running it again resumes where it stopped.

    folder: gets state.pt, classifier.safetensors and stats.jsonl. minutes: stop after this long,
    with a checkpoint. finish_in: minutes over all calls, after which the learning rate has cooled
    down and the run ends. Raises FloatingPointError when the loss is not finite, RecipeError while
    another run is in the folder.
    """
    with alone(folder):
        run = start(recipe, folder, device)
        log.go_on(folder, run.step)
        _steps(run, images, minutes or math.inf, finish_in or math.inf, progress)
        run.save()
    return run


def _steps(
    run: ClassifierRun,
    images: Labelled,
    minutes: float,
    finish_in: float,
    progress: Progress | None,
) -> None:
    """Steps to the end, logged and saved."""
    batches, config = LabelledBatches(images, run.recipe, run.device), run.recipe.train
    before, began, saved, losses = run.seconds, time.monotonic(), 0.0, list[float]()
    while run.step < config.steps:
        share = run.seconds / (60 * finish_in)
        if share >= 1:
            break
        losses.append(_step(run, batches[run.step], learning_rate(config, run.step, share)))
        run.step += 1
        now = time.monotonic() - began
        run.seconds = before + now
        if progress is not None:
            progress(run.step, config.steps)
        if run.step % LOG_EVERY == 0 or run.step == config.steps:
            mean, losses = float(np.mean(losses)), []
            line = {"step": run.step, "loss": mean, "seconds": round(run.seconds, 1)}
            log.append(run.folder, line)
        if now - saved > SAVE_EVERY:
            saved = now
            run.save()
        if now > 60 * minutes:
            break


def _step(run: ClassifierRun, batch: tuple[Tensor, Tensor, Tensor], lr: float) -> float:
    """The loss in nats of one optimisation step."""
    y, v, labels = batch
    run.model.train()
    with torch.autocast(run.device.type, torch.bfloat16):
        logits = run.model(y, v)
    loss = F.cross_entropy(logits, labels)
    value = float(loss.detach())
    if not math.isfinite(value):
        raise FloatingPointError(
            f"the loss is {value} at step {run.step}; lower train.lr and run again to resume from "
            "the last checkpoint"
        )
    torch.autograd.backward(loss)
    torch.nn.utils.clip_grad_norm_(run.model.parameters(), 1.0)
    run.optimizer.step(lr)
    run.ema.update_parameters(run.model)
    return value


def _half(weight: Tensor) -> Any:
    """float16 of floats, counts as they are."""
    return (weight.half() if weight.is_floating_point() else weight).cpu().numpy()
