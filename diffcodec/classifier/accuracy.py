"""How often a classifier is right, at every noise level that it is asked about."""

from __future__ import annotations

from typing import Any

import numpy as np

from diffcodec.bitstream.types import Float64
from diffcodec.classifier.judge import Judge
from diffcodec.classifier.labelled import Labelled
from diffcodec.data import digest
from diffcodec.theory.units import GREY, to_x0

SIGMAS = (0.0, 10.0, 25.0, 50.0, 100.0, 200.0, 400.0)  # grey levels


def measure(judge: Judge, images: Labelled, seed: int = 0) -> dict[str, Any]:
    """Accuracy and mean cross-entropy of labels, in nats, of clean images and at SIGMAS; for JSON.

    A classifier that knows no noise is asked about clean images alone.
    """
    x_0 = to_x0(images.pixels)
    levels = SIGMAS if judge.recipe.noisy else SIGMAS[:1]
    rows = []
    for sigma in levels:
        rng = np.random.default_rng([seed, round(sigma)])
        y = x_0 + sigma / GREY * rng.standard_normal(x_0.shape)
        log_p = judge.log_probabilities(y, (sigma / GREY) ** 2)
        rows.append({"sigma_grey": sigma, **_scores(log_p, images)})
    return {
        "images": len(images.labels),
        "sha256": digest(list(images.pixels)),
        "accuracy": rows[0]["accuracy"],
        "levels": rows,
    }


def _scores(log_p: Float64, images: Labelled) -> dict[str, float]:
    right = float(np.mean(log_p.argmax(axis=1) == images.labels))
    nats = -float(np.mean(log_p[np.arange(len(log_p)), images.labels]))
    return {"accuracy": round(right, 5), "cross_entropy_nats": round(nats, 5)}
