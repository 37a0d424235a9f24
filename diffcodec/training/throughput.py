"""How fast a training is: images and FLOP/s, the share of the GPU's peak, the time left."""

from __future__ import annotations

import math
import sys
import time
from typing import cast

import torch
from torch import Tensor, nn

from diffcodec.network.config import NetworkConfig, Recipe
from diffcodec.network.kinds import build
from diffcodec.network.windows import Attention

# Dense bf16 FLOP/s with float32 sums, as the makers state them; the first name that fits counts.
PEAKS = (
    ("H200", 989e12),
    ("H100 PCIe", 756e12),
    ("H100", 989e12),
    ("A100", 312e12),
    ("L40S", 362e12),
    ("RTX 4090", 165e12),
    ("L4", 121e12),
)


def flops_per_image(config: NetworkConfig, crop: int) -> int:
    """FLOPs of a training step for one image of crop x crop pixels, a multiply-add being two.

    Convolutions, linear layers and attention, three times: the backward pass has two products for
    each of the forward one.
    """
    total = 0

    def count(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        if isinstance(layer, nn.Conv2d):
            total += 2 * output.numel() * layer.weight[0].numel()
        elif isinstance(layer, nn.Linear):
            total += 2 * output.numel() * layer.in_features
        elif isinstance(layer, Attention):  # of each pixel with all of its window, and back
            total += 4 * output.numel() * layer.window**2

    network = build(config)
    for layer in network.modules():
        layer.register_forward_hook(count)
    with torch.no_grad():
        network(torch.zeros(1, 3, crop, crop), torch.ones(1))
    return 3 * total


def peak(device: str) -> float | None:
    """The peak in FLOP/s of a GPU by its name, None if it is not known."""
    return next((flops for name, flops in PEAKS if name in device), None)


def speed(flops: float, gpus: int, device: str) -> str:
    """FLOP/s of all GPUs together in words, with the share of their peak where that is known."""
    most = peak(device)
    share = "" if most is None else f" ({flops / (gpus * most):.1%} of the peak)"
    return f"{flops / 1e12:.2f} TFLOP/s{share}"


class Progress:
    """Loss, speed and time left on stderr; every 50 steps a record for stats.jsonl.

    On CUDA FLOP/s too, and which share of the peak they are.
    """

    def __init__(
        self, recipe: Recipe, step: int, device: torch.device, world: int = 1, *, quiet: bool
    ) -> None:
        self.config, self.quiet, self.world = recipe.train, quiet, world
        self.began = self.time = time.monotonic()
        self.step, self.sum = step, cast(float | Tensor, 0.0)
        self.flops, self.gpu = 0, ""  # of an image; not counted on a CPU
        if device.type == "cuda":
            self.flops = flops_per_image(recipe.network, recipe.train.crop)
            self.gpu = torch.cuda.get_device_name(device)

    def __call__(
        self, step: int, loss: float | Tensor, most: float = math.inf
    ) -> dict[str, float] | None:
        """After `step` steps, at most `most` seconds before the end; the record, if it is time.

        Its figures are of the steps since the last one.
        """
        self.sum = self.sum + loss
        if step % 50 and step != self.config.steps:
            return None
        count, mean = step - self.step, float(self.sum) / (step - self.step)
        now = time.monotonic()  # after the loss: a GPU has done its work by then
        rate = count / (now - self.time)
        self.step, self.time, self.sum = step, now, 0.0
        images = rate * self.config.batch
        if not self.quiet:
            self._show(step, mean, images, min(most, (self.config.steps - step) / rate))
        record = {"step": step, "loss": mean, "images_per_second": round(images, 2)}
        if self.flops:
            record["flops_per_second"] = round(images * self.flops)
        return record

    def _show(self, step: int, loss: float, images: float, left: float) -> None:
        spent = self.time - self.began
        done = int(24 * spent / (spent + left))
        pace = f"{images:.1f} images/s"
        if self.flops:
            pace += f"  {speed(images * self.flops, self.world, self.gpu)}"
        print(
            f"[{'#' * done}{'.' * (24 - done)}] step {step}/{self.config.steps}  loss {loss:.4f}  "
            f"{pace}  {left / 60:.1f} min left",
            end="\n" if step == self.config.steps or not sys.stderr.isatty() else "\r",
            file=sys.stderr,
            flush=True,
        )
