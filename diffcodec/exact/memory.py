"""Large pieces of memory for streams and activations."""

from __future__ import annotations

import contextlib
import mmap
import os

import numpy as np
from numpy.typing import NDArray

HUGE = 2 << 20  # bytes of a huge page
LINE = 64  # bytes of a line of the cache


def zeroed(size: int) -> NDArray[np.uint8]:
    """So many bytes of 0, aligned to huge pages where they fill one, else to lines of the cache.

    The system is asked for huge pages: with pages of 4 kB a fifth of a network's time goes into
    finding them.
    """
    if size < HUGE:
        return _from(np.zeros(size + LINE, np.uint8), LINE, size)
    # A process's own: by default a forked child would compute in its parent's memory.
    own = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if os.name == "posix" else {}
    region = mmap.mmap(-1, size + HUGE, **own)
    with contextlib.suppress(AttributeError, OSError):  # not on every system
        region.madvise(mmap.MADV_HUGEPAGE)
    return _from(np.frombuffer(region, np.uint8), HUGE, size)


def _from(memory: NDArray[np.uint8], alignment: int, size: int) -> NDArray[np.uint8]:
    start = -memory.ctypes.data % alignment
    return memory[start : start + size]
