"""The measures of a set of samples against real images, each by its own name.

In the features of a classifier of ours they are no FID and no Inception Score, and are not called
so: Frechet distance and classifier score have the same formulas and other numbers. What they are
worth is shown by the floor: the same measures of as many real images that are not the reference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from diffcodec.bitstream.types import Float64
from diffcodec.errors import DataError
from diffcodec.eval.quality.bootstrap import DRAWS, Estimate, bootstrap
from diffcodec.eval.quality.features import Seen
from diffcodec.eval.quality.frechet import Frechet, Moments
from diffcodec.eval.quality.neighbours import Covered, K, radii


@dataclass(frozen=True)
class Quality:
    """All measures of one set. shares: of the samples, the class that they are taken for."""

    count: int
    frechet_distance: Estimate
    classifier_score: Estimate
    precision: Estimate
    recall: Estimate
    shares: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        names = ("frechet_distance", "classifier_score", "precision", "recall")
        measures = {name: getattr(self, name).to_dict() for name in names}
        return {"images": self.count, **measures, "class_shares": list(self.shares)}


class Reference:
    """Real images, looked at once for all sets that are compared with them."""

    def __init__(self, seen: Seen) -> None:
        if len(seen) <= K:
            raise DataError(f"precision and recall need more than {K} images in each set")
        self.seen = seen
        self.frechet = Frechet(Moments.of(seen.features))
        self.radii = radii(seen.features)

    def measure(self, samples: Seen, draws: int = DRAWS, seed: int = 0) -> Quality:
        """Every measure with its interval over samples; the reference is taken as it is.

        Raises DataError for fewer than K + 1 samples.
        """
        x, n = samples.features, len(samples)
        real = self.seen.features
        theirs = Covered.by(x, radii(x), real)
        inside = Covered.by(real, self.radii, x).each()
        return Quality(
            n,
            bootstrap(
                self.frechet(Moments.of(x)),
                lambda i: self.frechet(Moments.of(x[i])),
                *(n, draws, seed),
            ),
            bootstrap(
                classifier_score(samples.log_p),
                lambda i: classifier_score(samples.log_p[i]),
                *(n, draws, seed),
            ),
            bootstrap(float(inside.mean()), lambda i: float(inside[i].mean()), n, draws, seed),
            bootstrap(theirs.share(), theirs.share, n, draws, seed),
            shares(samples.log_p),
        )


def classifier_score(log_p: Float64) -> float:
    """exp of the mean KL(p(c | x) || p(c)), 1 to the number of classes: (N, classes) nats.

    The formula of the Inception Score (Salimans et al. 2016), of all samples at once. p(c): their
    mean.
    """
    p = np.exp(log_p)
    marginal = np.log(p.mean(axis=0).clip(np.finfo(float).tiny))
    return float(np.exp(np.mean((p * (log_p - marginal)).sum(axis=1))))


def shares(log_p: Float64) -> tuple[float, ...]:
    """The share of the samples that each class is the likeliest for."""
    found = np.bincount(log_p.argmax(axis=1), minlength=log_p.shape[1]) / len(log_p)
    return tuple(round(float(share), 6) for share in found)
