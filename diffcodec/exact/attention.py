"""Self-attention in integers (Vaswani et al. 2017), over the pixels of each window.

A pixel's query q meets the keys k of all pixels of its window. Their products, to base 2 and
rounded to 2^-10, are d below the largest one, and weight the values by p = 2^-d, from a table:

    out = sum p v / sum p,   times 2^finer and rounded.

The weights of the convolution before it hold the factor C^-1/2 log2(e) of the queries.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffcodec.bitstream.types import Int32, Int64
from diffcodec.exact.integers import rounded_shift

FRACTION = 10  # of the logits
EXP2 = 16 << FRACTION  # entries of the table
ONE = 32767  # the table's first entry, and largest
PART = 1 << 21  # logits that are held at a time, roughly


@dataclass(frozen=True)
class Attention:
    """A layer's attention.

    heads: each has neighbouring channels of queries, keys and values; window: side in pixels of the
    sources; query, key, value: what these are clipped at; shift: of the logits; finer: bits that
    the output has more than the values.
    """

    heads: int
    window: int
    query: int
    key: int
    value: int
    shift: int
    finer: int


def exp2_table() -> NDArray[np.int16]:
    """2^-d of every d that counts 2^-FRACTION, ONE at 0; the last entry is for all beyond."""
    table = np.rint(ONE * 2.0 ** (-np.arange(EXP2) / (1 << FRACTION))).astype(np.int16)
    table[-1] = 0
    return table


def attend(
    attention: Attention,
    x: Int64 | Int32,
    exp2: Int64,
    dtype: type[np.int64] | type[np.float64] = np.int64,
) -> Int64:
    """The definition: (H, W, 3 C), queries, keys and values -> (H, W, C).

    exp2: the table. dtype: in which products are added up: float64 takes BLAS, with the same sums.
    """
    height, width, channels = x.shape
    side, heads = attention.window, attention.heads
    depth = channels // 3 // heads
    parts = x.reshape(height // side, side, width // side, side, 3, heads, depth)
    parts = parts.transpose(4, 0, 2, 5, 1, 3, 6).reshape(3, -1, side * side, depth)
    limits = attention.query, attention.key, attention.value
    q, k, v = (np.clip(parts[i], -limit, limit).astype(dtype) for i, limit in enumerate(limits))
    out = np.empty(v.shape, np.int64)
    rows = max(1, PART // side**2)
    for i in range(len(q)):  # a window and a head
        for top in range(0, side**2, rows):
            part = slice(top, top + rows)
            logits = rounded_shift((q[i, part] @ k[i].T).astype(np.int64), attention.shift)
            p = exp2[np.minimum(logits.max(axis=1, keepdims=True) - logits, EXP2 - 1)]
            total = p.sum(axis=1, keepdims=True)
            mixed = (p.astype(dtype) @ v[i]).astype(np.int64)
            out[i, part] = ((mixed << attention.finer + 1) + total) // (2 * total)
    out = out.reshape(height // side, width // side, heads, side, side, depth)
    return out.transpose(0, 3, 1, 4, 2, 5).reshape(height, width, heads * depth)
