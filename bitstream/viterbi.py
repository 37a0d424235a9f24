"""Best path through the shift-register trellis: compiled kernel, or numpy with the same bits.

State s holds the last nu path bits; bit b leads to branch word w = 2s + b (nu + 1 bits) and to
state w mod 2^nu. Branch w of a stage scores `scores[stage, label(w)]` with the label that `labels`
gives. Both implementations add int16 exactly and break ties alike (the lower predecessor, the
lowest end state), so the bits do not depend on which one ran. DIFFCODEC_PURE=1 forces numpy.
"""

import os
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

RENORMALISE = 8  # stages between subtractions of metric[0]


def _load_kernel() -> ModuleType | None:
    if os.environ.get("DIFFCODEC_PURE") == "1":
        return None
    try:
        from diffcodec.bitstream import _viterbi  # type: ignore[attr-defined, unused-ignore]
    except ImportError:
        return None
    kernel: ModuleType = _viterbi
    return kernel


KERNEL = _load_kernel()


def lowest_score(nu: int) -> int:
    """Scores must lie in lowest_score(nu) .. 0, so that no int16 metric overflows.

    Any state is reached from any other in nu stages, so metrics differ by at most nu * |lowest|,
    and they sink by at most |lowest| a stage until the next renormalisation.
    """
    return -(32766 // (nu + RENORMALISE))


def labels(words: NDArray[np.uint32], shift: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Label, 0 .. 255, of branch words: the low byte plus a shift chosen by the bits above it."""
    label: NDArray[np.uint8] = (words & 255).astype(np.uint8) + shift[words >> 8]
    return label


def search(
    scores: NDArray[np.int16], shift: NDArray[np.uint8], nu: int, start: int = -1, end: int = -1
) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
    """Highest-scoring path through all stages.

    scores: (stages, 256) within lowest_score(nu) .. 0; shift: (2^(nu - 7),), nu >= 8.
    start, end: the state to begin or end in, -1 for the best one.
    Returns the path, shape (nu + stages,): the start state's bits, oldest first, then one bit a
    stage; and the final metric of every state, shape (2^nu,), up to a common offset.
    """
    metric = np.zeros(1 << nu, np.int16)
    if start >= 0:
        metric[:] = nu * lowest_score(nu) - 1
        metric[start] = 0
    path = np.empty(nu + len(scores), np.uint8)
    run = _survivor if KERNEL is None else KERNEL.survivor
    run(np.ascontiguousarray(scores), np.ascontiguousarray(shift), nu, metric, end, path)
    return path, metric


def _survivor(
    scores: NDArray[np.int16],
    shift: NDArray[np.uint8],
    nu: int,
    metric: NDArray[np.int16],
    end: int,
    path: NDArray[np.uint8],
) -> None:
    """`survivor` of viterbi.c, vectorised over states; fills metric and path."""
    states = 1 << nu
    label = labels(np.arange(2 * states, dtype=np.uint32), shift).astype(np.intp)
    decision = np.empty((len(scores), states), np.bool_)
    old = metric.copy()
    for i, row in enumerate(scores):
        branch = row[label].reshape(2, states // 2, 2)
        branch += old.reshape(2, states // 2, 1)
        x, y = branch.reshape(2, states)
        np.greater(y, x, out=decision[i])
        old = np.maximum(x, y)
        if i % RENORMALISE == RENORMALISE - 1:
            old -= old[0]
    metric[:] = old
    state = end if end >= 0 else int(old.argmax())
    for i in range(len(scores) - 1, -1, -1):
        path[nu + i] = state & 1
        state = state >> 1 | int(decision[i, state]) << (nu - 1)
    for j in range(nu):
        path[j] = state >> (nu - 1 - j) & 1
