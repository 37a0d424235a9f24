"""A training run in a folder: its state, how it begins, and how it resumes."""

from __future__ import annotations

import dataclasses
import io
import os
import pickle
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from diffcodec.errors import RecipeError
from diffcodec.files import hold, write_atomic
from diffcodec.network.architecture import Network
from diffcodec.network.checkpoint import Checkpoint
from diffcodec.network.config import Recipe
from diffcodec.network.grids import Grids, as_tensors, grids_in
from diffcodec.network.kinds import build
from diffcodec.training.dropout import drop
from diffcodec.training.objective import Objective
from diffcodec.training.optimizer import Optimizer
from diffcodec.training.quantized import quantize, rounded

STATE = "state.pt"


@dataclass
class Run:
    """What a run has in memory, and where it lies on disk.

    grids: of the layers that multiply bytes. target: what x0_hat is compared with, if not images.
    """

    recipe: Recipe
    folder: Path
    device: torch.device
    model: Network
    ema: Network
    optimizer: Optimizer
    objective: Objective
    grids: Grids = field(default_factory=dict)
    target: Network | None = None
    step: int = 0
    seconds: float = 0.0

    def save(self) -> None:
        """state.pt to resume from and model.safetensors (the EMA weights), both atomically."""
        state = {
            "step": self.step,
            "seconds": self.seconds,
            "model": self.model.state_dict(),
            "ema": self.ema.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "objective": self.objective.state_dict(),
            "grids": {k: torch.from_numpy(t) for k, t in as_tensors(self.grids).items()},
        }
        # The state last: a run whose network could not be saved has a step to do again.
        self.checkpoint().save(self.folder / "model.safetensors")
        write_state(self.folder, state)

    def checkpoint(self) -> Checkpoint:
        """The EMA weights in float16, in which they ship; on grids, if there are any.

        So far they lie there that float16 takes none to another number of its grid.
        """
        found = rounded(self.ema.state_dict(), self.grids)
        weights = {k: w.half().cpu().numpy() for k, w in found.items()}
        card = card_of(self.step, self.seconds, self.recipe.train.batch, self.device)
        return Checkpoint(self.recipe, {**weights, **as_tensors(self.grids)}, {}, card)

    def answer(self, y: Tensor, v: Tensor) -> Tensor | None:
        """What the target makes of noisy images y and variances v, x0_hat, if there is one."""
        if self.target is None:
            return None
        with torch.no_grad():
            return cast(Tensor, self.target(y, v))

    def resume(self) -> None:
        """Resume from state.pt if there is one; RecipeError if it is another run's, or damaged."""
        path = self.folder / STATE
        if not path.exists():
            return
        with reading_state(path):
            state: dict[str, Any] = torch.load(path, map_location=self.device, weights_only=True)
            self.model.load_state_dict(state["model"])
            self.ema.load_state_dict(state["ema"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.objective.load_state_dict(state.get("objective", {}))
            self.grids = grids_in({k: t.cpu().numpy() for k, t in state.get("grids", {}).items()})
            self.step, self.seconds = int(state["step"]), float(state["seconds"])


def write_state(folder: Path, state: dict[str, Any]) -> None:
    """What a run resumes from, atomically."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_atomic(folder / STATE, buffer.getvalue())


@contextmanager
def reading_state(path: Path) -> Iterator[None]:
    """What goes wrong here is the state's fault: RecipeError."""
    try:
        yield
    except (RuntimeError, ValueError, KeyError, EOFError, pickle.UnpicklingError) as error:
        raise RecipeError(
            f"{path} is damaged, or of a run with another recipe: name another folder with "
            "--out, or remove this one"
        ) from error


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Make a run's folder, and keep others out; RecipeError while another run is in there."""
    folder.mkdir(parents=True, exist_ok=True)
    if sys.platform == "win32":  # no folder can be opened there
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if hold(descriptor) is False:
            raise RecipeError(
                f"another run is training in {folder}; wait for it, or name another folder with "
                "--out"
            )
        yield
    finally:
        os.close(descriptor)


def card_of(step: int, seconds: float, batch: int, device: torch.device) -> dict[str, Any]:
    """What a file of weights says of the training that made it; batch: images a step."""
    return {
        "steps": step,
        "hours": round(seconds / 3600, 3),
        "images": step * batch,
        "device": device.type,
    }


def start(
    recipe: Recipe, folder: Path, device: torch.device, first: Checkpoint | None = None
) -> Run:
    """A run at its last checkpoint, or at step 0: `first`'s weights, or drawn from the seed.

    Raises RecipeError if `first` is another kind of network; its activation may be another. Also
    for a network with classes, which nothing here tells it.
    """
    if recipe.network.classes:
        raise RecipeError(
            f"network.classes = {recipe.network.classes} cannot be trained here: images come "
            "without their classes; set it to 0"
        )
    torch.manual_seed(recipe.train.seed)
    model, ema = (build(recipe.network).to(device).channels_last() for _ in range(2))
    if first is not None:
        known = dataclasses.replace(first.recipe.network, activation=recipe.network.activation)
        if known != recipe.network:
            raise RecipeError("the network to start from has another [network] than the recipe")
        model.load(first)
    ema.load_state_dict(model.state_dict())
    ema.requires_grad_(False)
    optimizer, objective = Optimizer(model, recipe.train), Objective(recipe, device)
    run = Run(recipe, folder, device, model, ema, optimizer, objective)
    if first is not None:
        run.grids = grids_in(first.weights)
        if objective.errors is not None and "mse" in first.tables:
            objective.errors.start(first.tables["v"], first.tables["mse"])
    run.resume()
    if recipe.train.quantize == "int8":
        quantize(model, run.grids)
    if recipe.train.dropout:
        drop(model, recipe.train.dropout)
    return run


def update_ema(run: Run) -> None:
    """ema += (1 - decay) (model - ema), with a warm-up of the decay."""
    decay = min(run.recipe.train.ema, (1 + run.step) / (10 + run.step))
    old, new = (list[Tensor](network.parameters()) for network in (run.ema, run.model))
    with torch.no_grad():
        torch._foreach_lerp_(old, new, 1 - decay)
