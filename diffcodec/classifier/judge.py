"""A trained classifier as functions of arrays: what guides, and what measures samples."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from diffcodec.bitstream.types import Float64
from diffcodec.classifier.file import ClassifierFile
from diffcodec.classifier.network import build
from diffcodec.errors import OptionError

BATCH = 256  # images at a time


class Judge:
    """log p(c | y, v) and features of images (N, 3, size, size) in x0 units.

    All results are float64. OptionError for images of another size than it was trained on.
    """

    def __init__(self, file: ClassifierFile, device: str = "cpu") -> None:
        self.file, self.recipe = file, file.recipe
        self.device = torch.device(device)
        self.network = build(file.recipe.classifier)
        self.network.load(file.weights, file.recipe.name)
        self.network.eval().requires_grad_(False).to(self.device)

    @property
    def classes(self) -> int:
        """How many there are."""
        return self.recipe.classifier.classes

    def check(self, shape: tuple[int, ...]) -> None:
        """Raises OptionError unless the classifier takes images of shape (C, H, W)."""
        size = self.recipe.classifier.size
        if shape != (3, size, size):
            channels, height, width = shape
            raise OptionError(
                f"the classifier {self.recipe.name} takes RGB images of {size} x {size}, not of "
                f"{width} x {height} with {channels} channels"
            )

    def log_probabilities(self, y: Float64, v: float = 0.0) -> Float64:
        """(N, classes): nats, of images with noise of variance v."""
        return self._each(y, v, lambda y, v: F.log_softmax(self.network(y, v), dim=1))

    def features(self, y: Float64) -> Float64:
        """(N, width): of clean images."""
        return self._each(y, 0.0, self.network.features)

    def _each(self, y: Float64, v: float, of: Callable[[Tensor, Tensor], Tensor]) -> Float64:
        self.check(y.shape[1:])
        found = []
        with torch.inference_mode():
            for first in range(0, len(y), BATCH):
                part = self.tensor(y[first : first + BATCH])
                noise = torch.full((len(part),), v, device=self.device)
                found.append(of(part, noise).double().cpu().numpy())
        return np.concatenate(found)

    def tensor(self, y: Float64) -> Tensor:
        """Float32 where the network is."""
        return torch.from_numpy(y.astype(np.float32)).to(self.device)
