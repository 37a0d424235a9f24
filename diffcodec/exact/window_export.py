"""Integers for normalisation and attention: where they are cut, and their factors."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from diffcodec.bitstream.types import Float64, Int64
from diffcodec.errors import CheckpointError
from diffcodec.exact import attention as attending
from diffcodec.exact.activation_ranges import Activations
from diffcodec.exact.attention import Attention
from diffcodec.exact.layer_export import FRACTION, HEADROOM, Tensors
from diffcodec.exact.listing import FloatLayer
from diffcodec.exact.normalisation import SQUARE, Norm
from diffcodec.exact.shapes import PEAK
from diffcodec.exact.window_bounds import DOUBLES, PRODUCTS, mixed, normalised

ROOM = 4  # above the largest number that was measured: what is normalised has a long tail
GAIN = 20  # most bits of the fraction of A and B
MOST_SHIFT = 25  # of logits


def norm_of(
    layer: FloatLayer, inputs: Activations, levels: Float64, fraction: int
) -> tuple[Norm, Tensors]:
    """A layer's normalisation and its tensors. fraction: of the streams that it reads.

    levels: noise variances, at which factors that depend on them are kept.
    """
    assert layer.norm is not None
    window, groups = layer.norm.window, layer.norm.norm.num_groups
    n = window**2 * (len(inputs.read) // groups)
    largest = ROOM * max(float(inputs.read.max()), 2.0**-fraction) * 2**fraction
    shift = 0
    while math.ceil(largest / 2**shift) ** 2 * n >= DOUBLES:
        shift += 1
    limit = math.ceil(largest / 2**shift)
    eps = max(1, round(n * layer.norm.norm.eps * 4.0 ** (fraction - shift)))
    for gain in range(GAIN, 0, -1):
        norm = Norm(groups, window, shift, limit, eps, gain)
        tensors = _factors(layer, norm, n, levels)
        scale, offset = (
            sum(
                int(np.abs(tensors[key]).max())
                for key in (kind, f"{kind}_levels")
                if key in tensors
            )
            for kind in ("scale", "offset")
        )
        if normalised(norm, n, scale, offset) < DOUBLES:
            return norm, tensors
    raise CheckpointError(f"what {layer.name} normalises is too large for its integers")


def _factors(layer: FloatLayer, norm: Norm, n: int, levels: Float64) -> Tensors:
    """Scale and offset. A is the first by a root that is 2^(SQUARE / 2) sqrt(n) deviations."""
    units = np.array([math.sqrt(n) * 2.0 ** (SQUARE / 2), 1.0]) * 2.0 ** (FRACTION + norm.gain)
    names = [(kind, unit) for kind, unit in zip(("scale", "offset"), units, strict=True)]
    if layer.told is None:
        of_any = layer.affine(levels[:1])
        return {
            kind: np.rint(part[0] * unit).astype(np.int64)
            for (kind, unit), part in zip(names, of_any, strict=True)
        }
    found: Tensors = {}
    for (kind, unit), rows in zip(names, layer.affine(levels), strict=True):
        found[kind] = np.zeros(rows.shape[1], np.int64)
        found[f"{kind}_levels"] = np.rint(rows * unit).astype(np.int64)
    return found


@dataclass(frozen=True, eq=False)
class Heads:
    """The integers of an attention, and what the layer before it makes for it.

    factor: (3 C,), of queries, keys and values; fractions: of these three.
    """

    attention: Attention
    factor: Float64
    fractions: tuple[int, int, int]

    @property
    def given(self) -> Int64:
        """The fraction of each channel of queries, keys and values, (3 C,)."""
        return np.repeat(np.array(self.fractions, np.int64), len(self.factor) // 3)

    @property
    def value(self) -> int:
        """The fraction of what goes on."""
        return self.fractions[2] + self.attention.finer


def heads_of(layer: FloatLayer, inputs: Activations) -> Heads:
    """The attention that a layer reads through; raises CheckpointError naming it."""
    assert layer.attention is not None
    heads, window = layer.attention.heads, layer.attention.window
    parts = inputs.read.reshape(3, -1)
    depth = parts.shape[1] // heads
    to_logit = float(of_queries(parts.shape[1], heads)[0])
    query, key, value = (max(float(peak), 2.0**-FRACTION) for peak in parts.max(axis=1))
    most = min(PEAK, math.isqrt((PRODUCTS - (1 << MOST_SHIFT) - 1) // depth))
    q, k = _fraction(query * to_logit, most), _fraction(key, most)
    q = min(q, attending.FRACTION + MOST_SHIFT - k)
    shift = q + k - attending.FRACTION
    if shift < 1:
        raise CheckpointError(f"queries and keys of {layer.name} are too large for their integers")
    v = _fraction(value, PEAK)
    finer = max(0, _fraction(max(inputs.peak, 2.0**-FRACTION), PEAK) - v)
    found = Attention(heads, window, most, most, PEAK, shift, finer)
    while mixed(found) >= DOUBLES:
        finer -= 1
        found = Attention(heads, window, most, most, PEAK, shift, finer)
    return Heads(found, of_queries(parts.shape[1], heads), (q, k, v))


def of_queries(channels: int, heads: int) -> Float64:
    """(3 C,): what queries are multiplied by so that logits are to base 2, and keys and values."""
    return np.repeat([math.log2(math.e) / math.sqrt(channels // heads), 1.0, 1.0], channels)


def _fraction(peak: float, most: int) -> int:
    """The largest with which numbers up to `peak`, and some more, stay below `most`."""
    return math.floor(math.log2(most / (HEADROOM * peak)))
