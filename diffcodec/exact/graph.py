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

Networks of convolutions alone are of version 1. In those of version 3 a layer may normalise what
it reads, or let its pixels attend to each other, inside windows (normalisation.py, attention.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from diffcodec.bitstream.types import Int64
from diffcodec.exact.attention import Attention
from diffcodec.exact.integers import IntegerNetwork
from diffcodec.exact.normalisation import Norm
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

    norm: of the sources' channels, before SiLU; scale and offset int64 (c_in) belong to it, and
    perhaps scale_levels, offset_levels int64 (L, c_in), what each noise level adds to them.
    attention: over the sources' channels, queries, keys and values, instead of SiLU: a third of
    them goes on. trailing: of the zeros around the image only those below and to the right.
    """

    name: str
    sources: tuple[int, ...]
    silu: bool
    shift: int
    limit: int
    upsample: bool = False
    stride: int = 1
    add: int | None = None
    norm: Norm | None = None
    attention: Attention | None = None
    trailing: bool = False

    @property
    def window(self) -> int:
        """Side of the windows that it looks at as a whole, in pixels of its sources; else 1."""
        within = self.norm or self.attention
        return within.window if within else 1


NEW = ("norm", "attention", "trailing")  # fields that layers of version 1 do not have


@dataclass(frozen=True)
class Graph(IntegerNetwork):
    """An integer network. See `Layer` for the tensors; also "silu", int16 (65536), and "levels".

    silu[i + 32768] belongs to the stream value i and counts 2^-fraction. Where a layer attends,
    "exp2", int16 (attention.EXP2), is the table of what it weights by. The other fields are those
    of IntegerNetwork.
    """

    WINDOWS: ClassVar[int] = 3  # the version of networks with layers that version 1 has not

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
        layers = tuple(_layer(**fields) for fields in structure.pop("layers"))
        return cls(layers=layers, tensors=tensors, facts=facts, **structure)

    @property
    def windowed(self) -> bool:
        """Whether a layer has what version 1 has not."""
        return any(layer.norm or layer.attention or layer.trailing for layer in self.layers)

    def structure(self) -> dict[str, Any]:
        """As IntegerNetwork says."""
        known = super().structure()
        if self.windowed:
            return {**known, "version": self.WINDOWS}
        old = [{k: x for k, x in layer.items() if k not in NEW} for layer in known["layers"]]
        return {**known, "layers": old}

    def affine(self, name: str, v: float) -> tuple[Int64, Int64]:
        """Scale and offset of a layer's normalisation at a noise variance: (c_in,) each."""
        scale, offset = (
            self.at_level(f"{name}.{kind}", f"{name}.{kind}_levels", v)
            for kind in ("scale", "offset")
        )
        return scale, offset

    def sources(self, k: int) -> tuple[int, ...]:
        """As IntegerNetwork says."""
        return self.layers[k].sources

    def window(self, k: int) -> int:
        """As IntegerNetwork says."""
        return self.layers[k].window


def _layer(
    sources: list[int],
    norm: dict[str, Any] | None = None,
    attention: dict[str, Any] | None = None,
    **fields: Any,
) -> Layer:
    """A layer from plain JSON types."""
    return Layer(
        sources=tuple(sources),
        norm=None if norm is None else Norm(**norm),
        attention=None if attention is None else Attention(**attention),
        **fields,
    )
