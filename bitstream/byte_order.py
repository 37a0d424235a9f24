"""Numbers of several bytes as files and checksums have them: the least byte first, everywhere."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T", bound=np.generic)


def little_endian(numbers: NDArray[T]) -> NDArray[T]:
    """The same numbers in C order, the least byte of each first; no copy if they are so already.

    Their bytes, not their values, are what differs on processors that put the highest byte first.
    """
    return np.ascontiguousarray(numbers, numbers.dtype.newbyteorder("<"))


def from_little_endian(data: bytes, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Numbers, in this machine's order, of bytes that have the least one first; read-only."""
    return np.frombuffer(data, dtype.newbyteorder("<")).astype(dtype, copy=False)
