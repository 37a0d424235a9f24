"""Integer networks of any form with random weights, layer by layer."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffcodec.bitstream.types import Int16
from diffcodec.exact.graph import Graph, Layer

FRACTION = 11
LEVELS = 5


class Builder:
    """A network with random weights of so many bits, stream by stream."""

    def __init__(self, rng: np.random.Generator, channels: int, bits: int = 16) -> None:
        self.rng, self.widths, self.bits = rng, [channels], bits
        self.layers: list[Layer] = []
        self.tensors: dict[str, NDArray[Any]] = {}

    def conv(
        self, sources: tuple[int, ...], c_out: int, kernel: int = 3, tight: bool = False, **how: Any
    ) -> int:
        """Adds a layer; returns its stream. Accumulators reach 2^31 at most: with `tight` only
        just, else outputs are about as large as inputs."""
        name, rng = f"layer{len(self.layers)}", self.rng
        c_in = sum(self.widths[i] for i in sources)
        # Bytes are smaller, and so what sums are shifted by; the lowest byte, -128, is among them.
        deviation, least, most = (160, -511, 511) if self.bits == 16 else (40, -128, 127)
        weight = np.rint(rng.normal(0, deviation, (c_out, kernel, kernel, c_in))).clip(least, most)
        shift = np.full(c_out, round(np.log2(0.6 * deviation * np.sqrt(kernel**2 * c_in))))
        shift += rng.integers(0, 2, c_out)
        how = {"silu": False, "shift": 3, "limit": 2047, **how}
        room = (2**31 - 1 - 2**24 - 2**15) // how["limit"]
        l1 = np.abs(weight).sum((1, 2, 3), keepdims=True)
        if tight or l1.max() > room:
            largest = 32767 if self.bits == 16 else 127
            weight = np.trunc(weight * (room / l1)).clip(-largest, largest)
            shift[:] = self.bits
        self.tensors[f"{name}.weight"] = weight.astype(f"i{self.bits // 8}")
        self.tensors[f"{name}.shift"] = shift.astype(np.uint8)
        for kind, shape in (("bias", (c_out,)), ("levels", (LEVELS, c_out))):
            if kind == "bias" or rng.random() < 0.5:
                size = min(2**23, 200 << int(shift.min()))
                self.tensors[f"{name}.{kind}"] = rng.integers(-size, size, shape, np.int32)
        self.layers.append(Layer(name, sources, **how))
        self.widths.append(c_out)
        return len(self.layers)

    def graph(self, patch: int = 1, stride: int = 1) -> Graph:
        """The network of all layers so far."""
        x = np.arange(-32768, 32768) / 2**FRACTION
        self.tensors["silu"] = np.rint(2**FRACTION * x / (1 + np.exp(-x))).astype(np.int16)
        self.tensors["levels"] = 0.01 * 8.0 ** np.arange(LEVELS)
        return Graph(
            layers=tuple(self.layers),
            tensors=self.tensors,
            patch=patch,
            stride=stride,
            sigma_data=0.5,
            fraction=FRACTION,
            output=FRACTION,
            facts={},
        )


def unet(
    channels: int, multipliers: tuple[int, ...], patch: int, seed: int = 0, bits: int = 16
) -> Graph:
    """The form of diffcodec.network.unet without attention: one block a level, skips."""
    net = Builder(np.random.default_rng(seed), 3 * patch**2, bits)

    def block(sources: tuple[int, ...], c_out: int) -> int:
        h = net.conv(sources, c_out, silu=True)
        one = len(sources) == 1 and net.widths[sources[0]] == c_out
        skip = sources[0] if one else net.conv(sources, c_out, kernel=1, shift=4)
        return net.conv((h,), c_out, silu=True, add=skip)

    net.bits = 16  # of the ends, as exported
    h = net.conv((0,), channels, limit=4095)
    net.bits = bits
    skips = [h]
    for level, m in enumerate(multipliers):
        if level:
            h = net.conv((h,), net.widths[h], stride=2)
            skips.append(h)
        h = block((h,), m * channels)
        skips.append(h)
    for _ in range(2):
        h = block((h,), net.widths[h])
    for level, m in reversed(list(enumerate(multipliers))):
        for _ in range(2):
            h = block((h, skips.pop()), m * channels)
        if level:
            h = net.conv((h,), net.widths[h], upsample=True)
    net.bits = 16
    net.conv((h,), 3 * patch**2, silu=True)
    return net.graph(patch, patch << (len(multipliers) - 1))


def image(rng: np.random.Generator, n: int, height: int, width: int, channels: int) -> Int16:
    """Activations, (n, height, width, channels)."""
    return np.rint(rng.normal(0, 3000, (n, height, width, channels))).astype(np.int16)
