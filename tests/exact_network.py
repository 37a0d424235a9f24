"""An integer network too small to be good, with every kind of layer that there is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffcodec.exact.denoiser import ExactDenoiser
from diffcodec.exact.graph import Graph, Layer
from diffcodec.exact.integers import INPUT_FRACTION
from diffcodec.network.tables import measure_tables

FRACTION, OUTPUT = 11, 14  # of the streams, and of the last one
WEIGHT = 8  # fraction of the weights


class _Builder:
    """Collects layers whose weights are random integers."""

    def __init__(self, levels: int, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.levels = levels
        self.layers: list[Layer] = []
        self.tensors: dict[str, NDArray[Any]] = {}
        self.widths: list[int] = []

    def conv(
        self,
        sources: Sequence[int],
        width: int,
        *,
        kernel: int = 3,
        shift: int = 2,
        largest: int = 40,
        levels: bool = False,
        bits: tuple[int, int] = (FRACTION, FRACTION),
        **options: Any,
    ) -> int:
        """Append a layer; returns the number of its stream. bits: fractions of in- and output."""
        name, c_in = f"layer{len(self.layers):02}", sum(self.widths[i] for i in sources)
        layer = Layer(name, tuple(sources), shift=shift, limit=2047, **options)
        shape = (width, kernel, kernel, c_in)
        weight = self.rng.integers(-largest, largest + 1, shape).astype(np.int16)
        bias = self.rng.integers(-9999, 10000, width).astype(np.int32)
        down = bits[0] - shift + WEIGHT - bits[1]
        downs = (down + self.rng.integers(0, 2, width)).astype(np.uint8)  # one per channel
        found = {"weight": weight, "bias": bias, "shift": downs}
        extra = 0
        if levels:
            found["levels"] = self.rng.integers(-9999, 10000, (self.levels, width), np.int32)
            extra = int(np.abs(found["levels"]).max())
        sums = np.abs(weight.astype(np.int64)).sum(axis=(1, 2, 3))
        most = sums * layer.limit + np.abs(bias) + extra + (1 << int(downs.max()) >> 1)
        assert most.max() < 1 << 31
        self.tensors |= {f"{name}.{key}": tensor for key, tensor in found.items()}
        self.layers.append(layer)
        self.widths.append(width)
        return len(self.layers)


def build(name: str, patch: int = 1, width: int = 8, levels: int = 17, seed: int = 0) -> Graph:
    """A U-Net with one level below the first, without tables."""
    b = _Builder(levels, seed)
    b.widths.append(3 * patch * patch)
    first = b.conv([0], width, silu=False, shift=3, bits=(INPUT_FRACTION, FRACTION))
    inner = b.conv([first], width, silu=True, levels=True)
    skip = b.conv([inner], width, silu=True, add=first)
    shrunk = b.conv([skip], width, silu=False, stride=2)
    inner = b.conv([shrunk], 2 * width, silu=True, levels=True)
    around = b.conv([shrunk], 2 * width, silu=False, kernel=1)
    low = b.conv([inner], 2 * width, silu=True, add=around)
    grown = b.conv([low], width, silu=False, upsample=True)
    inner = b.conv([grown, skip], width, silu=True, levels=True)
    around = b.conv([grown, skip], width, silu=False, kernel=1)
    last = b.conv([inner], width, silu=True, add=around)
    b.conv([last], 3 * patch * patch, silu=True, largest=6, bits=(FRACTION, OUTPUT))
    x = np.arange(-32768, 32768) / 2.0**FRACTION
    b.tensors["silu"] = np.rint(x / (1 + np.exp(-x)) * 2**FRACTION).astype(np.int16)
    b.tensors["levels"] = (np.geomspace(0.3, 1000, levels) / 127.5) ** 2
    return Graph(
        layers=tuple(b.layers),
        tensors=b.tensors,
        patch=patch,
        stride=2 * patch,
        sigma_data=0.5,
        fraction=FRACTION,
        output=OUTPUT,
        facts={"recipe": {"name": name}, "tables": {}, "card": {"description": "for tests"}},
    )


def calibrated(graph: Graph, images: Sequence[NDArray[np.uint8]]) -> Graph:
    """The network with tables measured on images (H, W, 3) of one size."""
    return graph.with_tables(measure_tables(ExactDenoiser(graph, threads=1), images))
