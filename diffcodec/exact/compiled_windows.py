"""What a layer of the compiled network reads inside windows: normalised, or attended to.

Where a layer has neither, convolve.c makes activations of its sources by itself. Here they are made
before, in int32: normalisation by the kernel, attention with the products of numpy's BLAS.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np

from diffcodec.bitstream.types import Float64, Int32, Int64
from diffcodec.exact.attention import attend
from diffcodec.exact.integers import rounded_shift
from diffcodec.exact.normalisation import Norm, lines
from diffcodec.exact.packed import Packed

Rows = Callable[[int, int], None]  # work on rows first .. last - 1
Share = Callable[[int, Rows], None]  # so many rows among threads


def normalise(
    kernel: ModuleType,
    layer: Packed,
    sources: tuple[Int32, ...],
    affine: tuple[Int64, Int64],
    out: Int32,
    share: Share,
) -> None:
    """Fill `out` (H, W, c_in) with a layer's activations; affine: scale and offset, (c_in,)."""
    norm = layer.norm
    assert norm
    height, width, channels = out.shape
    sizes = (height, width, norm.window, norm.shift, norm.limit)
    S1, S2 = np.zeros((2, height // norm.window, width // norm.window, channels), np.int64)
    share(len(S1), lambda first, last: kernel.sums(sources, sizes, S1, S2, first, last))
    A, B = _doubles(norm, S1, S2, affine)

    def rows(first: int, last: int) -> None:
        unit, cut = 2.0**-norm.gain, layer.cut
        kernel.normalise(sources, sizes, unit, cut, layer.table, A, B, out, first, last)

    share(height, rows)


def _doubles(norm: Norm, S1: Int64, S2: Int64, affine: tuple[Int64, Int64]) -> list[Float64]:
    """A and B as doubles, with what rounds their sum; from sums of channels."""
    down, across, channels = S1.shape
    S1, S2 = (S.reshape(down, across, norm.groups, -1).sum(axis=3) for S in (S1, S2))
    A, B = lines(norm, norm.count(channels), S1, S2, *affine)
    return [A.astype(np.float64), (B + (1 << norm.gain >> 1)).astype(np.float64)]


def attended(layer: Packed, sources: tuple[Int32, ...], exp2: Int64, out: Int32) -> None:
    """Fill `out` (H, W, c_in) with a layer's activations."""
    assert layer.attention
    x = np.concatenate(sources, axis=2) if len(sources) > 1 else sources[0]
    mixed = attend(layer.attention, x, exp2, np.float64)
    shift, limit, _ = layer.cut
    np.clip(rounded_shift(mixed, shift), -limit, limit, out=out, casting="unsafe")
