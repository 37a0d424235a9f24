"""The bytes that a layer's weights were trained for, as float checkpoints keep them.

Beside the weights of a network that was trained to multiply bytes by bytes lie, for every layer but
the first, "ranges.<layer>" float32 (2, c_in) and "bits.<layer>" uint8 (c_out,).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffcodec.network.tensors import Tensors

RANGES, BITS = "ranges.", "bits."


@dataclass(frozen=True, eq=False)
class Grid:
    """Which numbers a layer has for its input and its weights.

    range: float32 (2, c_in), what bytes 0 and 255 of each channel stand for; bits: uint8 (c_out,):
    a weight times its channel's step, a 255th of the range, is a whole multiple of 2^-bits.
    """

    range: NDArray[np.float32]
    bits: NDArray[np.uint8]


Grids = Mapping[str, Grid]  # of layers, by name


def grids_in(tensors: Tensors) -> dict[str, Grid]:
    """The grids among a checkpoint's tensors."""
    names = [name.removeprefix(RANGES) for name in tensors if name.startswith(RANGES)]
    return {name: Grid(tensors[RANGES + name], tensors[BITS + name]) for name in names}


def as_tensors(grids: Grids) -> dict[str, NDArray[Any]]:
    """What a checkpoint keeps of them."""
    ranges = {RANGES + name: grid.range for name, grid in grids.items()}
    return {**ranges, **{BITS + name: grid.bits for name, grid in grids.items()}}


def without_grids(tensors: Tensors) -> dict[str, NDArray[Any]]:
    """The tensors of the network itself."""
    return {name: t for name, t in tensors.items() if not name.startswith((RANGES, BITS))}
