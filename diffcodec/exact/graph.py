"""The integer network: a list of layers, and one file that holds them.

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

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffcodec.bitstream.types import Int64
from diffcodec.files import write_atomic
from diffcodec.network.tensors import Tensors, fingerprint, load, pack
from diffcodec.theory.chain import Tables

KEY = "diffcodec-exact"
INPUT_FRACTION = 12  # the input, c_in y, counts 2^-12
WEIGHTS = 8  # bits of the weights that interpolate between noise levels
TRAINED = "trained."  # before the names of float tensors, from which only training resumes
WEIGHT_TYPES = (np.int8, np.int16)  # of convolutions: they mean the same

Weight = NDArray[np.int8] | NDArray[np.int16]


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
class Graph:
    """An integer network. See `Layer` for the tensors; also "silu", int16 (65536), and "levels".

    silu[i + 32768] belongs to the stream value i and counts 2^-fraction. levels: float64 (L,),
    increasing noise variances. patch: side of the squares of pixels that become channels, in
    torch's order of pixel_unshuffle. output: fraction of the output. facts: anything in JSON that
    belongs to the network: name, recipe, tables, card.
    """

    layers: tuple[Layer, ...]
    tensors: dict[str, NDArray[Any]]
    patch: int
    stride: int  # image sides are multiples of this
    sigma_data: float
    fraction: int
    output: int
    facts: dict[str, Any]

    def weight(self, layer: Layer) -> Weight:
        """(c_out, k, k, c_in), in the file's type: too narrow to be multiplied in."""
        return self.tensors[f"{layer.name}.weight"]

    @property
    def parameters(self) -> int:
        """How many numbers training chose: all weights and biases, the noise embedding included.

        As Checkpoint.parameters of the network that this one was made from.
        """
        own = [f"{layer.name}.{kind}" for layer in self.layers for kind in ("weight", "bias")]
        own += [name for name in self.tensors if name.startswith(TRAINED)]
        return sum(self.tensors[name].size for name in own)

    def biases(self, v: float) -> list[Int64]:
        """Bias of every layer at a noise variance: between levels, by weights of 8 bits."""
        levels = self.tensors["levels"]
        low = int(np.clip(np.searchsorted(levels, v, side="right") - 1, 0, len(levels) - 2))
        share = (v - float(levels[low])) / float(levels[low + 1] - levels[low])
        w = round(min(max(share, 0.0), 1.0) * (1 << WEIGHTS))
        biases = []
        for layer in self.layers:
            bias = self.tensors[f"{layer.name}.bias"].astype(np.int64)
            rows = self.tensors.get(f"{layer.name}.levels")
            if rows is not None:
                below, above = rows[low].astype(np.int64), rows[low + 1].astype(np.int64)
                mixed = below * ((1 << WEIGHTS) - w) + above * w
                bias = bias + rounded_shift(mixed, WEIGHTS)
            biases.append(bias)
        return biases

    def with_tables(self, tables: Tables) -> Graph:
        """The same network with other tables, and so another fingerprint."""
        return dataclasses.replace(self, facts={**self.facts, "tables": tables.to_dict()})

    # --- the file ---

    def structure(self) -> dict[str, Any]:
        """All that is not a tensor and decides what the network computes, as plain JSON types."""
        own = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        own = {k: v for k, v in own.items() if k not in ("layers", "tensors", "facts")}
        return {**own, "layers": [dataclasses.asdict(layer) for layer in self.layers]}

    @property
    def fingerprint(self) -> bytes:
        """8 bytes of SHA-256 over what decoding depends on: structure, tables, tensors."""
        known = {"structure": self.structure(), "tables": self.facts.get("tables", {})}
        return fingerprint(known, self.tensors)

    def to_bytes(self) -> bytes:
        """The whole file."""
        text = {
            "structure": self.structure(),
            "facts": self.facts,
            "fingerprint": self.fingerprint.hex(),
        }
        return pack(KEY, text, self.tensors)

    def save(self, path: Path) -> None:
        """Write the file atomically."""
        write_atomic(path, self.to_bytes())

    @staticmethod
    def load(path: Path) -> Graph:
        """Read a file and check its fingerprint; raises CheckpointError."""

        def make(known: dict[str, Any], tensors: Tensors) -> Graph:
            structure = dict(known["structure"])
            layers = tuple(
                Layer(**{**fields, "sources": tuple(fields["sources"])})
                for fields in structure.pop("layers")
            )
            return Graph(layers=layers, tensors=tensors, facts=known["facts"], **structure)

        return load(path, KEY, make, "integer network")


def rounded_shift(x: Int64, bits: int | Int64) -> Int64:
    """floor(x / 2^bits + 1/2)."""
    half = (np.int64(1) << np.asarray(bits, np.int64)) >> 1
    return np.asarray((x + half) >> bits)
