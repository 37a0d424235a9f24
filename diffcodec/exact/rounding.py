"""Weights rounded to integers so that what a layer yields changes little.

The error of a rounded weight is made up for by the weights that are rounded after it, as far as
their inputs go together (Frantar et al. 2023, "GPTQ"). Neighbouring pixels of images do: errors
fall to about a fourth of those of the nearest integers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diffcodec.bitstream.types import Float64

DAMPING = 0.01  # share of the mean square added to every input's own: keeps the inverse tame
COLUMNS = 64  # weights that are rounded before the others hear of it
MOST_FINER = 2  # bits that a unit may be finer than the largest weight allows


class Rounding:
    """Rounds the weights of a layer. moments: E[a a'] (K, K) of the inputs that they meet.

    pair: if above 0, the modulus that two weights of neighbours, 2i and 2i + 1, add up to at most.
    """

    def __init__(self, moments: Float64, pair: int = 0) -> None:
        self.moments, self.pair, K = moments, pair, len(moments)
        own = float(np.trace(moments)) / K
        damped = moments + (DAMPING * own if own > 0 else 1.0) * np.eye(K)
        # Row j: how an error of weight j is shared out among the later ones.
        self.share = np.linalg.cholesky(np.linalg.inv(damped)).T

    def __call__(self, weight: Float64, limit: int) -> Float64:
        """Whole numbers near `weight` (c_out, K) with moduli up to `limit`."""
        K, share = weight.shape[1], self.share
        rest, rounded = weight.copy(), np.empty_like(weight)
        for start in range(0, K, COLUMNS):
            end = min(start + COLUMNS, K)
            errors = np.empty((len(weight), end - start))
            for j in range(start, end):
                low, high = self._ends(rounded, j, limit)
                rounded[:, j] = np.clip(np.rint(rest[:, j]), low, high)
                error = (rest[:, j] - rounded[:, j]) / share[j, j]
                rest[:, j + 1 : end] -= np.outer(error, share[j, j + 1 : end])
                errors[:, j - start] = error
            rest[:, end:] -= errors @ share[start:end, end:]
        return rounded

    def _ends(self, rounded: Float64, j: int, limit: int) -> tuple[Float64, Float64]:
        """The least and the most that weight j may be, after the one before it: (c_out,) each."""
        before = rounded[:, j - 1] if self.pair and j % 2 else np.zeros(len(rounded))
        room = self.pair or 2 * limit
        return (
            np.maximum(-limit, -room - np.minimum(before, 0)),
            np.minimum(limit, room - np.maximum(before, 0)),
        )

    def finer(self, weight: Float64, limit: int) -> NDArray[np.int64]:
        """Bits (c_out,), 0 or more, by which finer units make the error of the output smaller.

        weight (c_out, K): in units that leave room for the largest. Finer ones clip a few weights,
        and halve the errors of all others.
        """
        units = 2.0 ** np.arange(MOST_FINER + 1)
        tried = self(np.concatenate([weight * unit for unit in units]), limit)
        error = tried.reshape(len(units), *weight.shape) / units[:, None, None] - weight
        squares = np.einsum("uck,uck->uc", error @ self.moments, error)
        return np.asarray(squares.argmin(axis=0), np.int64)
