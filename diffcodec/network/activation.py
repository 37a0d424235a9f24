"""What stands between convolutions, by the name it has in a recipe, in torch and in numpy.

hard_swish (Howard et al. 2019) is SiLU in straight lines and a parabola, x clip(x / 6 + 1/2, 0, 1):
integers evaluate it with a product and a shift, where SiLU takes a table.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from diffcodec.bitstream.types import Float64

if TYPE_CHECKING:
    from torch import Tensor


def curve(name: str, x: Float64) -> Float64:
    """The activation of numbers, in float64."""
    if name == "hard_swish":
        return np.asarray(x * np.clip(x / 6 + 0.5, 0, 1))
    return np.asarray(x / (1 + np.exp(-x)))


def activation(name: str) -> Callable[[Tensor], Tensor]:
    """The activation of tensors."""
    from torch.nn import functional as F

    return F.hardswish if name == "hard_swish" else F.silu
