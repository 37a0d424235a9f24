"""Guidance: the gradient of log p(c | y, v), by which samplers are led towards a class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from diffcodec.bitstream.types import Float64
from diffcodec.classifier.file import load_classifier
from diffcodec.classifier.judge import Judge
from diffcodec.errors import CheckpointError, OptionError


class ClassifierGuide:
    """guide(y, v) = s grad_y log p(c | y, v), what Algorithms 1 and 2 of ADM are given.

    y: (N, 3, size, size) float64, x_t / sqrt(alpha_bar_t), so that the gradient with respect to x_t
    is this one / sqrt(alpha_bar_t). label: c, of all images; scale: s, 1 for Bayes' rule.
    """

    def __init__(self, judge: Judge, label: int, scale: float = 1.0) -> None:
        if not judge.recipe.noisy:
            raise CheckpointError(
                f"the classifier {judge.recipe.name} was trained on images without noise, and "
                "guides nothing; train one with train.sigma_max above 0"
            )
        if not 0 <= label < judge.classes:
            raise OptionError(
                f"the classifier {judge.recipe.name} has no class {label}: it has 0 to "
                f"{judge.classes - 1}"
            )
        if not np.isfinite(scale) or scale < 0:
            raise OptionError(f"the scale of guidance is {scale:g}: it must be finite, from 0 on")
        self.judge, self.label, self.scale = judge, label, scale

    def check(self, shape: tuple[int, ...]) -> None:
        """Raises OptionError unless images of shape (C, H, W) can be guided."""
        self.judge.check(shape)

    def __call__(self, y: Float64, v: float) -> Float64:
        """Like y; OptionError for images of another size than the classifier takes."""
        self.check(y.shape[1:])
        if self.scale == 0:
            return np.zeros_like(y)
        state = self.judge.tensor(y).requires_grad_()
        noise = torch.full((len(state),), v, dtype=state.dtype, device=state.device)
        with torch.enable_grad():
            log_p = F.log_softmax(self.judge.network(state, noise), dim=1)[:, self.label]
            (gradient,) = torch.autograd.grad(log_p.sum(), state)
        return np.asarray(self.scale * gradient.double().cpu().numpy())


def load_guide(
    classifier: str | Path, label: int, scale: float = 1.0, device: str = "cpu"
) -> ClassifierGuide:
    """A guide by a shipped classifier's name or a file.

    Raises CheckpointError for a file of another kind, OptionError for a class that it has not.
    """
    return ClassifierGuide(Judge(load_classifier(classifier), device), label, scale)
