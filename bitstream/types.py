"""Names of the types that stand everywhere."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int16 = NDArray[np.int16]
Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
UInt16 = NDArray[np.uint16]
UInt32 = NDArray[np.uint32]
# (H, W, C) or (N, H, W, C) as in files, (C, H, W) where planes are said; of 16-bit images uint16
Pixels = NDArray[np.uint8 | np.uint16]

Progress = Callable[[int, int], None]  # done, of how many
Ask = Callable[[], None]  # called every tenth of a second or so, to raise if work is to end
