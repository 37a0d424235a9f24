"""Large pieces of memory for streams and activations."""

from __future__ import annotations

import contextlib
import mmap

import numpy as np
from numpy.typing import NDArray

HUGE = 2 << 20  # bytes of a huge page


def zeroed(size: int) -> NDArray[np.uint8]:
    """So many bytes of 0, aligned to huge pages where they fill one.

    The system is asked for huge pages: with pages of 4 kB a fifth of a network's time goes into
    finding them.
    """
    if size < HUGE:
        return np.zeros(size + 64, np.uint8)[-size % 64 :][:size]
    region = mmap.mmap(-1, size + HUGE)
    with contextlib.suppress(AttributeError, OSError):  # not on every system
        region.madvise(mmap.MADV_HUGEPAGE)
    memory = np.frombuffer(region, np.uint8)
    return memory[-memory.ctypes.data % HUGE :][:size]
