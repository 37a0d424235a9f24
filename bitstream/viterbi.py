"""Best cyclic path through the shift-register trellis: compiled kernel, or numpy, the same bits.

State s holds the last nu path bits; bit b leads to branch word w = 2s + b (nu + 1 bits) and to
state w mod 2^nu. Branch w of a stage scores `scores[stage, label]` with the label that `labels`
gives it. Both implementations add int16 exactly and break ties alike (the lower predecessor, the
seam tried first), so the bits do not depend on which one ran. DIFFCODEC_PURE=1 forces numpy.
"""

import numpy as np
from numpy.typing import NDArray

from diffcodec.bitstream.kernel import load_kernel

RENORMALISE = 8  # stages between subtractions of metric[0]
_EFFORT = 1 << 23  # states (taken as 2^12 at least) times stages that a block's trials may take
_MOST_TRIALS = 64

KERNEL = load_kernel("diffcodec.bitstream._viterbi")


def lowest_score(nu: int) -> int:
    """Scores must lie in lowest_score(nu) .. 0, so that no int16 metric overflows.

    Any state is reached from any other in nu stages, so metrics differ by at most nu * |lowest|;
    by twice that in the first nu stages of a path that may begin in one state only; and they sink
    by at most |lowest| a stage until the next renormalisation.
    """
    return -(32766 // (2 * nu + RENORMALISE))


def labels(words: NDArray[np.uint32], shift: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Label, 0 .. 255, of branch words: the low byte plus a shift chosen by the bits above it."""
    label: NDArray[np.uint8] = (words & 255).astype(np.uint8) + shift[words >> 8]
    return label


def score_into(out: NDArray[np.int16], products: NDArray[np.float32], down: int, nu: int) -> None:
    """Scores of every label, in `out`, from the products that rank them; both (stages, 256).

    products: whole numbers below 2^24 in modulus. A stage's best label gets 0, the others their
    distance divided by 2^down, rounded down, and no less than lowest_score(nu).
    """
    if KERNEL is not None:
        KERNEL.scores(np.ascontiguousarray(products), down, lowest_score(nu), out)
        return
    below = (products - products.max(axis=1, keepdims=True)).astype(np.int32) >> down
    out[:] = np.maximum(below, lowest_score(nu))


def best_ring(scores: NDArray[np.int16], shift: NDArray[np.uint8], nu: int) -> NDArray[np.uint8]:
    """High-scoring path that ends in the state it began in, as its n bits.

    scores: (n, 256) within lowest_score(nu) .. 0, n >= nu; shift: (2^(nu - 7),), 8 <= nu <= 16.
    Bit i is the oldest of stage i's word. The common state at the seam, between the last stage and
    the first, is guessed: the states that look best from 4 nu stages on either side are tried, as
    many as the effort allows, 64 in short blocks and 1 in long ones. With all states tried the path
    would be the best; with 64 the overhead is within a percent of that from 24 bits on.
    """
    n, states = len(scores), 1 << nu
    window = np.arange(4 * nu)
    before = _reach(scores[(window - 4 * nu) % n], shift, nu, direction=1)
    after = _reach(scores[window % n], shift, nu, direction=-1)
    trials = min(_MOST_TRIALS, max(1, (_EFFORT >> max(12, nu)) // n))
    # Rank by sum, then by state: every key is different, so the choice is the same everywhere.
    rank = (before.astype(np.int64) + after) * states - np.arange(states)
    likely = np.argpartition(rank, states - trials)[states - trials :]
    seams: NDArray[np.int32] = likely[np.argsort(-rank[likely])].astype(np.int32)
    if KERNEL is None:
        return _ring(scores, shift, nu, seams)
    path = np.empty(n, np.uint8)
    KERNEL.ring(np.ascontiguousarray(scores), shift, nu, seams, lowest_score(nu), path)
    return path


def _reach(
    scores: NDArray[np.int16], shift: NDArray[np.uint8], nu: int, direction: int
) -> NDArray[np.int16]:
    """Best score, up to a common offset, of the paths through all stages that end in (direction 1)
    or begin with (direction -1) each state, shape (2^nu,)."""
    metric = np.zeros(1 << nu, np.int16)
    if KERNEL is not None:
        KERNEL.reach(np.ascontiguousarray(scores), shift, nu, direction, metric)
        return metric
    label = _branch_labels(shift, nu)
    for i in range(len(scores))[::direction]:
        branch = scores[i][label]
        if direction == 1:
            x, y = _advance(metric, branch)
            metric = np.maximum(x, y)
        else:
            pairs = (branch.reshape(2, -1) + metric).reshape(-1, 2)
            metric = np.maximum(pairs[:, 0], pairs[:, 1])
        if i % RENORMALISE == RENORMALISE - 1:
            metric -= metric[0]
    return metric


def _ring(
    scores: NDArray[np.int16], shift: NDArray[np.uint8], nu: int, seams: NDArray[np.int32]
) -> NDArray[np.uint8]:
    """`ring` of viterbi.c, vectorised over states and seams."""
    n, trial = len(scores), np.arange(len(seams))
    label = _branch_labels(shift, nu)
    metric = np.full((len(seams), 1 << nu), nu * lowest_score(nu) - 1, np.int16)
    metric[trial, seams] = 0
    taken = np.zeros(len(seams), np.int64)
    upper = np.empty((n, len(seams), 1 << (nu - 3)), np.uint8)  # decisions, 8 states a byte
    for i in range(n):
        x, y = _advance(metric, scores[i][label])
        upper[i] = np.packbits(y > x, axis=-1, bitorder="little")
        metric = np.maximum(x, y)
        if i % RENORMALISE == RENORMALISE - 1:
            taken += metric[:, 0]
            metric -= metric[:, :1].copy()
    best = int(np.argmax(taken + metric[trial, seams]))
    path, state = np.empty(n, np.uint8), int(seams[best])
    for i in range(n - 1, -1, -1):
        bit = int(upper[i, best, state >> 3]) >> (state & 7) & 1
        state = state >> 1 | bit << (nu - 1)
        path[i] = state >> (nu - 1)
    return path


def _advance(
    metric: NDArray[np.int16], branch: NDArray[np.int16]
) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Metrics of every next state by way of its lower and of its upper predecessor."""
    *batch, states = metric.shape
    total = metric.reshape(*batch, 2, states // 2, 1) + branch.reshape(2, states // 2, 2)
    both = total.reshape(*batch, 2, states)
    return both[..., 0, :], both[..., 1, :]


def _branch_labels(shift: NDArray[np.uint8], nu: int) -> NDArray[np.intp]:
    return labels(np.arange(2 << nu, dtype=np.uint32), shift).astype(np.intp)
