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
MOST_CLIPPED = 2  # bits that a unit may be finer than the largest weight allows
COLUMNS = 64  # weights that are rounded before the others hear of it


def round_together(weight: Float64, moments: Float64, limit: int) -> Float64:
    """Whole numbers near `weight` (c_out, K) with moduli up to `limit`.

    moments: E[a a'] (K, K) of the inputs that the weights meet.
    """
    K = weight.shape[1]
    own = float(np.trace(moments)) / K
    damped = moments + (DAMPING * own if own > 0 else 1.0) * np.eye(K)
    # Row j: how an error of weight j is shared out among the later ones.
    share = np.linalg.cholesky(np.linalg.inv(damped)).T
    rest, rounded = weight.copy(), np.empty_like(weight)
    for start in range(0, K, COLUMNS):
        end = min(start + COLUMNS, K)
        errors = np.empty((len(weight), end - start))
        for j in range(start, end):
            rounded[:, j] = np.clip(np.rint(rest[:, j]), -limit, limit)
            error = (rest[:, j] - rounded[:, j]) / share[j, j]
            rest[:, j + 1 : end] -= np.outer(error, share[j, j + 1 : end])
            errors[:, j - start] = error
        rest[:, end:] -= errors @ share[start:end, end:]
    return rounded


def finer(weight: Float64, moments: Float64, limit: int) -> NDArray[np.int64]:
    """Bits (c_out,), 0 or more, by which finer units make the error of what a layer yields smaller.

    weight (c_out, K): in units that leave room for the largest; finer ones clip a few weights, and
    halve the error of all others. moments, limit: as above.
    """
    bits = np.zeros(len(weight), np.int64)
    least = np.full(len(weight), np.inf)
    for more in range(MOST_CLIPPED + 1):
        error = round_together(weight * 2**more, moments, limit) / 2**more - weight
        found = np.einsum("ck,ck->c", error @ moments, error)
        better = found < least
        bits[better], least[better] = more, found[better]
    return bits
