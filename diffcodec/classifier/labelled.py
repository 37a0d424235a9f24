"""Images with the class of each: how they are read, and batches that know their step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from diffcodec.bitstream.types import Pixels
from diffcodec.classifier.config import ClassifierRecipe
from diffcodec.data import Source, load_images, shuffled
from diffcodec.errors import DataError
from diffcodec.image.picture import AS_IT_IS, Choices
from diffcodec.theory.units import GREY


@dataclass(frozen=True, eq=False)
class Labelled:
    """pixels: (N, size, size, 3) uint8; labels: (N,) int64."""

    pixels: Pixels
    labels: NDArray[np.int64]


def read_labels(path: Path, classes: int) -> NDArray[np.int64]:
    """Classes from 0 on, one for each image, of a .npy file of whole numbers: (N,).

    Raises DataError for anything else. Pickles are not read.
    """
    try:
        found = np.load(path, allow_pickle=False)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or 'it is no .npy file'}") from error
    except (ValueError, EOFError) as error:
        raise DataError(f"{path} is no .npy file of whole numbers") from error
    if not isinstance(found, np.ndarray) or found.ndim != 1 or found.dtype.kind not in "iu":
        raise DataError(f"{path} holds no row of whole numbers, a class for each image")
    if found.size and not 0 <= found.min() <= found.max() < classes:
        raise DataError(
            f"{path} has classes {found.min()} to {found.max()}; the classifier has {classes}, "
            f"0 to {classes - 1}"
        )
    return found.astype(np.int64)


def read_labelled(
    recipe: ClassifierRecipe,
    data: Path | Sequence[Source],
    labels: Path,
    split: str = "all",
    choices: Choices = AS_IT_IS,
) -> Labelled:
    """Images of `data` (data.load_images) with their labels, in the same order.

    Raises DataError if there are more of one than of the other, or images have another size.
    """
    size = recipe.classifier.size
    known = read_labels(labels, recipe.classifier.classes)
    images = load_images(data, split, recipe.train.tile, choices=choices)
    other = next((i for i in images if i.shape[:2] != (size, size)), None)
    if other is not None:
        raise DataError(
            f"the classifier is for images of {size} x {size}, and one has {other.shape[1]} x "
            f"{other.shape[0]}; set train.tile for mosaics, or classifier.size"
        )
    if len(images) != len(known):
        raise DataError(f"{labels} has {len(known):,} labels, and there are {len(images):,} images")
    return Labelled(np.stack(images), known)


class LabelledBatches:
    """`batches[k]`: noisy images, their noise variances and classes, of step k and nothing else."""

    def __init__(self, images: Labelled, recipe: ClassifierRecipe, device: torch.device) -> None:
        self.config, self.device, self.size = recipe.train, device, recipe.classifier.size
        pixels = torch.from_numpy(images.pixels).permute(0, 3, 1, 2)
        self.pixels = pixels.contiguous().to(device)  # (N, 3, size, size) uint8
        self.labels = torch.from_numpy(images.labels).to(device)

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """y (batch, 3, size, size) float32, v (batch,) float32, and labels (batch,) int64."""
        config, rng = self.config, torch.Generator().manual_seed((self.config.seed << 40) + step)
        count, first = len(self.labels), step * config.batch
        places = [shuffled(config.seed, count, first + i) for i in range(config.batch)]
        which = torch.tensor(places, device=self.device)
        x = self.pixels[which].float() / GREY - 1
        x = self._moved(x, rng)
        draws = torch.rand(config.batch, generator=rng)
        eps = torch.randn(x.shape, generator=rng).to(self.device)
        v = _variances(draws, config.sigma_min, config.sigma_max).to(self.device)
        y = x + v.sqrt()[:, None, None, None] * eps
        return y.contiguous(memory_format=torch.channels_last), v, self.labels[which]

    def _moved(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """Every other image mirrored, and each moved by up to `shift` pixels."""
        config, n = self.config, len(x)
        if config.flips:
            flip = torch.rand(n, generator=rng).to(self.device) < 0.5
            x = torch.where(flip[:, None, None, None], x.flip(3), x)
        if config.shift:
            most = config.shift
            offsets = torch.randint(2 * most + 1, (2, n, 1), generator=rng).to(self.device)
            reach = torch.arange(self.size, device=self.device)
            rows, columns = offsets[0] + reach, offsets[1] + reach  # (N, size) each
            x = F.pad(x, (most, most, most, most), mode="reflect")
            each = torch.arange(n, device=self.device)[:, None, None]
            x = x.permute(0, 2, 3, 1)[each, rows[:, :, None], columns[:, None, :]]
            x = x.permute(0, 3, 1, 2)
        return x


def _variances(u: Tensor, low: float, high: float) -> Tensor:
    """v of log-uniform sigma from low to high grey levels, at quantiles u; 0 if there is none."""
    if high == 0:
        return torch.zeros_like(u)
    first, last = math.log(low / GREY), math.log(high / GREY)
    return torch.exp(2 * (first + u * (last - first)))
