"""The integer network of bytes: a chain of layers, version 2 of the file.

What goes into a convolution are bytes q (uint8) with a step and a zero of every channel's own,
weights are int8, and streams, which residuals are added to, int16. Layer k reads stream k - 1, the
output of the layer before it, and yields stream k:

    h   = s, max(s, 0) or hard_swish(s)      of the stream that is read, in 16-bit arithmetic
    q   = clip(product(h, scale_c) + zero_c, 0, 255)
    acc = sum w (q - zero) + bias + level    zeros of q - zero around the image
    s'  = clip16(round(acc / 2^shift_c)),    each pixel becoming 2 x 2 if the layer upsamples
    s'  = clip16(s' + stream[add])

product(a, b) = floor(a b / 2^15 + 1/2), clip16 cuts to -32768 .. 32767. A wide layer has 16-bit
activations product(h, scale_c), or its input as it is, and int16 weights: the first one is wide,
because noise far below a grey level is told from the image there.

Saturation is part of the definition, so streams need no proof. Accumulators do (proof.py); and no
two neighbouring weights add up to more than PAIR, so that AVX2's products of bytes, which saturate
at 16 bits, are exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from diffcodec.bitstream.types import Int64
from diffcodec.exact.integers import IntegerNetwork
from diffcodec.network.config import Betas, Predicts
from diffcodec.network.tensors import Tensors

Activation = Literal["none", "relu", "hard_swish"]
ACTIVATIONS: tuple[str, ...] = get_args(Activation)
HARD_SWISH_FRACTION = 12  # most of a stream's, so that 6 fits into 16 bits
PAIR = 128  # most that two weights of neighbouring channels, 2i and 2i + 1, add up to


@dataclass(frozen=True)
class ByteLayer:
    """One convolution and what comes before and after it.

    activation: of the stream that is read; fraction: of the output, which counts 2^-fraction, as
    does the stream `add` that is added to it; stride: 1 or 2; upsample: of a layer with k = 1 and
    stride 1.
    Tensors, named by `name`: weight int8 (c_out, k, k, c_in) with k = 1 or 3, or int16 if `wide`;
    bias int32 (c_out); shift uint8 (c_out); scale int16 (c_in), above 0, of all layers but the
    first, and zero uint8 (c_in), of those that are not wide; perhaps levels int32 (L, c_out), what
    each noise level adds to the bias.
    """

    name: str
    activation: Activation
    fraction: int
    wide: bool = False
    stride: int = 1
    upsample: bool = False
    add: int | None = None


@dataclass(frozen=True)
class ByteGraph(IntegerNetwork):
    """An integer network of bytes. See `ByteLayer`; the other fields are IntegerNetwork's."""

    VERSION: ClassVar[int] = 2

    layers: tuple[ByteLayer, ...]
    tensors: dict[str, NDArray[Any]]
    patch: int
    stride: int
    sigma_data: float
    output: int
    facts: dict[str, Any]
    predicts: Predicts = "preconditioned"
    betas: Betas = "linear"

    @classmethod
    def from_structure(
        cls, structure: dict[str, Any], tensors: Tensors, facts: dict[str, Any]
    ) -> Self:
        """As IntegerNetwork says."""
        layers = tuple(ByteLayer(**fields) for fields in structure.pop("layers"))
        return cls(layers=layers, tensors=tensors, facts=facts, **structure)

    def sources(self, k: int) -> tuple[int, ...]:
        """As IntegerNetwork says: the output of the layer before it."""
        return (k,)

    def read(self, k: int) -> int:
        """The fraction of the stream that layer number k, from 0, reads."""
        return self.layers[k - 1].fraction if k else 0


def product(a: Int64, b: Int64) -> Int64:
    """floor(a b / 2^15 + 1/2): what processors call a rounding high product of 16 bits."""
    return np.asarray((a * b + (1 << 14)) >> 15)


def clip16(x: Int64) -> Int64:
    """Cut to 16 bits."""
    return np.clip(x, -32768, 32767)


def activated(name: str, stream: Int64, fraction: int) -> Int64:
    """h of a stream that counts 2^-fraction, in int16.

    hard_swish(s) = s clip(s + 3, 0, 6) / 6 comes out as 3/4 of itself, in the stream's units: t
    fills 16 bits only to three quarters.
    """
    if name == "none":
        return stream
    if name == "relu":
        return np.maximum(stream, 0)
    t = np.clip(clip16(stream + (3 << fraction)), 0, 6 << fraction)
    return product(stream, t << (HARD_SWISH_FRACTION - fraction))


def gain(name: str) -> float:
    """How many units of a stream `activated` makes of one."""
    return 0.75 if name == "hard_swish" else 1.0
