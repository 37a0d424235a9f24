"""What all integer networks share: their file, their fingerprint, and biases by the noise level.

There are two kinds: of 16-bit activations (graph.py), and of bytes (bytewise/graph.py). Both are a
list of layers with tensors that are named after them.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from diffcodec.bitstream.types import Int64
from diffcodec.files import write_atomic
from diffcodec.network.config import Betas, Predicts
from diffcodec.network.tensors import Tensors, fingerprint, pack
from diffcodec.theory.chain import Tables

KEY = "diffcodec-exact"
INPUT_FRACTION = 12  # the input, c_in y, counts 2^-12
WEIGHTS = 8  # bits of the weights that interpolate between noise levels
TRAINED = "trained."  # before the names of float tensors, from which only training resumes

Weight = NDArray[np.int8] | NDArray[np.int16]


class AnyLayer(Protocol):
    """What layers of both kinds have. Tensors are called NAME.weight and so on."""

    @property
    def name(self) -> str:
        """As torch calls the convolution."""
        ...

    @property
    def stride(self) -> int:
        """1 or 2."""
        ...

    @property
    def upsample(self) -> bool:
        """Whether each pixel becomes 2 x 2."""
        ...

    @property
    def add(self) -> int | None:
        """A stream that is added to the output."""
        ...


class IntegerNetwork(ABC):
    """Base of the frozen dataclasses that hold a network.

    tensors: of the layers (see there), and "levels", float64 (L,), increasing noise variances.
    patch: side of the squares of pixels that become channels, in torch's order of pixel_unshuffle.
    stride: the sides of images are multiples of it. output: fraction of the last stream. predicts,
    sigma_data, betas: how x0_hat follows from it (coefficients.py). facts: anything in JSON that
    belongs to the network: name, recipe, tables, card.
    """

    VERSION: ClassVar[int] = 1
    layers: Sequence[AnyLayer]
    tensors: dict[str, NDArray[Any]]
    patch: int
    stride: int
    sigma_data: float
    output: int
    facts: dict[str, Any]
    predicts: Predicts
    betas: Betas  # of mu alone

    def weight(self, layer: AnyLayer) -> Weight:
        """(c_out, k, k, c_in), in the file's type: too narrow to be multiplied in."""
        return self.tensors[f"{layer.name}.weight"]

    @abstractmethod
    def sources(self, k: int) -> tuple[int, ...]:
        """The streams that layer number k, from 0, reads."""

    def window(self, k: int) -> int:
        """Side of the windows that layer k looks at, in pixels of what it reads; 1 without them."""
        return 1

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
        names = [layer.name for layer in self.layers]
        return [self.at_level(f"{name}.bias", f"{name}.levels", v) for name in names]

    def at_level(self, base: str, levels: str, v: float) -> Int64:
        """A tensor (n,) at a noise variance, with what another one (L, n), if any, adds to it."""
        found = self.tensors[base].astype(np.int64)
        rows = self.tensors.get(levels)
        if rows is None:
            return found
        low, w = self._between(v)
        below, above = rows[low].astype(np.int64), rows[low + 1].astype(np.int64)
        return found + rounded_shift(below * ((1 << WEIGHTS) - w) + above * w, WEIGHTS)

    def _between(self, v: float) -> tuple[int, int]:
        """The noise level below v, and the weight of the next one."""
        levels = self.tensors["levels"]
        low = int(np.clip(np.searchsorted(levels, v, side="right") - 1, 0, len(levels) - 2))
        share = (v - float(levels[low])) / float(levels[low + 1] - levels[low])
        return low, round(min(max(share, 0.0), 1.0) * (1 << WEIGHTS))

    def with_tables(self, tables: Tables) -> Self:
        """The same network with other tables, and so another fingerprint."""
        facts = {**self.facts, "tables": tables.to_dict()}
        return dataclasses.replace(self, facts=facts)  # type: ignore[type-var]

    # --- the file ---

    def structure(self) -> dict[str, Any]:
        """All that is not a tensor and decides what the network computes, as plain JSON types.

        What the first files lack is left out where it is as in them.
        """
        fields = dataclasses.fields(self)  # type: ignore[arg-type]
        own = {f.name: getattr(self, f.name) for f in fields if getattr(self, f.name) != f.default}
        own = {k: v for k, v in own.items() if k not in ("layers", "tensors", "facts")}
        if self.VERSION > 1:
            own["version"] = self.VERSION
        layers = [dataclasses.asdict(layer) for layer in self.layers]  # type: ignore[call-overload]
        return {**own, "layers": layers}

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

    @classmethod
    @abstractmethod
    def from_structure(
        cls, structure: dict[str, Any], tensors: Tensors, facts: dict[str, Any]
    ) -> Self:
        """The network of what a file holds; raises TypeError or KeyError for another kind's."""


def rounded_shift(x: Int64, bits: int | Int64) -> Int64:
    """floor(x / 2^bits + 1/2)."""
    half = (np.int64(1) << np.asarray(bits, np.int64)) >> 1
    return np.asarray((x + half) >> bits)
