"""Downsampling as DDPM's: TensorFlow's padding "SAME" at stride 2, by zeros below and to the right.

A centred 3 x 3 kernel of stride 2 looks at pixels -1..1, 1..3, ... of an even side, and this one at
0..2, 2..4, ..., where the last pixel of all is the zero.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class SameConv2d(nn.Conv2d):
    """A 3 x 3 convolution of stride 2 whose zeros lie below and to the right only."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__(c_in, c_out, 3, stride=2, padding=0)

    def forward(self, x: Tensor) -> Tensor:
        """(N, c_in, H, W), H and W even -> (N, c_out, H / 2, W / 2)."""
        return super().forward(F.pad(x, (0, 1, 0, 1)))
