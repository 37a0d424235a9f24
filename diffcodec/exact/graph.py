"""The integer network of 16-bit activations: a list of layers.

Everything is an integer with a known fraction: a *stream* (int32) counts 2^-fraction, what goes
into a convolution (an *activation*, int16) is a stream cut to fewer bits. A layer reads streams,
cuts them or looks them up in the table of SiLU, convolves, and yields the next stream:

    a   = clip(f(x), -limit, limit),   f(x) = round(x / 2^shift), or of SiLU: silu[x],
          beyond the table silu[-32768] and silu[32767] + x - 32767
    acc = sum w a + bias + level
    out = round(acc / 2^shift_c) + stream[add]

round(x / 2^s) is floor(x / 2^s + 1/2): an addition and an arithmetic shift. Streams are numbered:
0 is the input, k the output of layer k - 1; the last one is the network's output. No accumulator
can overflow 31 bits, whatever the image (overflow.py); so sums are exact in any order, in int32,
in float64, or in float32 by halves, and every way to evaluate a network gives the same integers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from diffcodec.exact.integers import IntegerNetwork
from diffcodec.network.config import Betas, Predicts
from diffcodec.network.tensors import Tensors

WEIGHT_TYPES = (np.int8, np.int16)  # of convolutions: they mean the same


@dataclass(frozen=True)
class Layer:
    """One convolution and what comes before and after it.

    sources: streams that are read, their channels one after the other; silu: by the table, else
    cut; shift, limit: of the activations; upsample: each pixel becomes 2 x 2; stride: 1 or 2;
    add: a stream that is added to the output. Tensors, named by `name`: weight int16 or int8
    (c_out, k, k, c_in) with k = 1 or 3, zeros around the image; bias int32 (c_out); shift uint8
    (c_out); and perhaps levels int32 (L, c_out), what each noise level adds to the bias.
    """

    name: str
    sources: tuple[int, ...]
    silu: bool
    shift: int
    limit: int
    upsample: bool = False
    stride: int = 1
    add: int | None = None


@dataclass(frozen=True)
class Graph(IntegerNetwork):
    """An integer network. See `Layer` for the tensors; also "silu", int16 (65536), and "levels".

    silu[i + 32768] belongs to the stream value i and counts 2^-fraction. The other fields are those
    of IntegerNetwork.
    """

    layers: tuple[Layer, ...]
    tensors: dict[str, NDArray[Any]]
    patch: int
    stride: int
    sigma_data: float
    fraction: int
    output: int
    facts: dict[str, Any]
    predicts: Predicts = "preconditioned"
    betas: Betas = "linear"

    @classmethod
    def from_structure(
        cls, structure: dict[str, Any], tensors: Tensors, facts: dict[str, Any]
    ) -> Self:
        """As IntegerNetwork says."""
        layers = tuple(
            Layer(**{**fields, "sources": tuple(fields["sources"])})
            for fields in structure.pop("layers")
        )
        return cls(layers=layers, tensors=tensors, facts=facts, **structure)

    def sources(self, k: int) -> tuple[int, ...]:
        """As IntegerNetwork says."""
        return self.layers[k].sources
