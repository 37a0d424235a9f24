"""A quick estimate of the bound on held-out images: what a training has brought, in bits/dim."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffcodec.data import load_images
from diffcodec.eval.common.words import shown
from diffcodec.eval.likelihood.elbo import nelbo
from diffcodec.eval.likelihood.plan import Settings
from diffcodec.image.picture import AS_IT_IS, Choices
from diffcodec.network.checkpoint import Checkpoint
from diffcodec.network.config import TrainConfig
from diffcodec.network.denoiser import NetworkDenoiser

PIXELS = 1 << 16  # of all crops together
FEWEST = 32  # crops, where there are as many images
LARGEST = 64  # side of a crop
STRIDE = 16  # every crop meets 72 timesteps at most


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Crops (N, S, S, 3) uint8 from the centres of images of a folder."""

    name: str
    crops: NDArray[np.uint8]

    @staticmethod
    def load(folder: Path, config: TrainConfig, choices: Choices = AS_IT_IS) -> HeldOut:
        """Images from all over the folder; raises DataError if it has none of the size."""
        side = min(config.crop, LARGEST)
        images = load_images(folder, "all", config.tile, side, choices)
        count = min(len(images), max(FEWEST, PIXELS // side**2))
        kept = [images[i * len(images) // count] for i in range(count)]
        return HeldOut(shown(folder.name), np.stack([_centre(image, side) for image in kept]))

    def bound(self, checkpoint: Checkpoint, device: str = "cpu") -> dict[str, Any]:
        """The bound with the recipe's betas and variance at T = 1000, and its standard error."""
        network, count = NetworkDenoiser(checkpoint, device), len(self.crops)
        stride = min(STRIDE, max(1, count // 2))
        settings = Settings(network.betas, sigma2=network.sigma2, stride=stride)
        found = nelbo(network, self.crops, settings)["nelbo"]
        kept = ("bpd", "L_T_bpd", "L_steps_bpd", "L_0_bpd", "standard_error_bpd", "images")
        return {key: found[key] for key in kept}


def _centre(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    return image[top : top + side, left : left + side]
