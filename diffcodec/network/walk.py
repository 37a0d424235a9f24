"""An architecture is one walk over its layers, whoever walks.

`Network.walk` (architecture.py) calls these verbs in the order of its layers. `Evaluation` computes
with tensors, which is forward(); `diffcodec.exact.listing.Listing` writes the same layers down, for
the integer network. So the two cannot differ.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Protocol, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Stream = TypeVar("Stream")  # what flows between layers: tensors, or their numbers in a list


class Walker(Protocol[Stream]):
    """What an architecture is written in."""

    def conv(
        self,
        layer: nn.Conv2d,
        x: Stream,
        *,
        norm: nn.Module | None = None,
        silu: bool = False,
        upsample: bool = False,
        embed: nn.Linear | None = None,
        add: Stream | None = None,
        float32: bool = False,
        scale_shift: nn.Linear | None = None,
    ) -> Stream:
        """A convolution, and what comes before and after it, in this order.

        norm, silu (or the recipe's activation): of x. scale_shift: of the noise embedding, a scale
        and then a shift for each channel; between norm and silu h becomes h (1 + scale) + shift.
        upsample: every pixel becomes 2 x 2 first.
        embed: of the noise embedding, added to every pixel. add: a stream that is added to the
        output. float32: whatever autocast says. The integer network knows bias, odd kernels up
        to 3 with zeros around the image, strides 1 and 2, and SameConv2d.
        """
        ...

    def cat(self, a: Stream, b: Stream) -> Stream:
        """The channels of a, then those of b."""
        ...

    def apply(self, layer: nn.Module, x: Stream) -> Stream:
        """A layer of another kind; of these the integer network knows attention."""
        ...


class Evaluation:
    """Walks with tensors (N, C, H, W). embedding: (N, width), of the noise level."""

    def __init__(self, embedding: Tensor, activation: Callable[[Tensor], Tensor] = F.silu) -> None:
        self.embedding, self.activation = embedding, activation

    def conv(
        self,
        layer: nn.Conv2d,
        x: Tensor,
        *,
        norm: nn.Module | None = None,
        silu: bool = False,
        upsample: bool = False,
        embed: nn.Linear | None = None,
        add: Tensor | None = None,
        float32: bool = False,
        scale_shift: nn.Linear | None = None,
    ) -> Tensor:
        """As Walker says."""
        h = x if norm is None else norm(x)
        if scale_shift is not None:
            scale, shift = scale_shift(self.embedding)[:, :, None, None].chunk(2, dim=1)
            h = h * (1 + scale) + shift
        h = self.activation(h) if silu else h
        # What looks at single pixels may as well do so before each becomes four.
        late = upsample and layer.kernel_size == (1, 1)
        h = double(h) if upsample and not late else h
        h = self.convolve(layer, h, float32)
        h = double(h) if late else h
        h = h if embed is None else h + embed(self.embedding)[:, :, None, None]
        return h if add is None else add + h

    def convolve(self, layer: nn.Conv2d, h: Tensor, float32: bool) -> Tensor:
        """The convolution itself. float32: whatever autocast says."""
        off = torch.autocast(h.device.type, enabled=False) if float32 else contextlib.nullcontext()
        with off:
            return cast(Tensor, layer(h.float() if float32 else h))

    def cat(self, a: Tensor, b: Tensor) -> Tensor:
        """As Walker says."""
        return torch.cat([a, b], dim=1)

    def apply(self, layer: nn.Module, x: Tensor) -> Tensor:
        """As Walker says."""
        return cast(Tensor, layer(x))


def double(h: Tensor) -> Tensor:
    """Every pixel becomes 2 x 2."""
    return F.interpolate(h, scale_factor=2.0, mode="nearest")
