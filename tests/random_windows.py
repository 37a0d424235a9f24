"""Integer networks that normalise and attend inside windows, with random numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from diffcodec.exact.attention import Attention, exp2_table
from diffcodec.exact.graph import Graph
from diffcodec.exact.normalisation import SQUARE, Norm
from tests.random_layers import FRACTION, LEVELS, Builder


class WindowBuilder(Builder):
    """Adds layers that look at windows."""

    def normalised(
        self, sources: tuple[int, ...], c_out: int, norm: Norm, told: bool = False, **how: Any
    ) -> int:
        """A layer that normalises; told: with factors that depend on the noise level."""
        name, rng = f"layer{len(self.layers)}", self.rng
        channels = sum(self.widths[i] for i in sources)
        scale = np.sqrt(norm.count(channels)) * 2.0 ** (FRACTION + norm.gain + SQUARE / 2)
        for kind, unit in (("scale", scale), ("offset", 2.0 ** (FRACTION + norm.gain))):
            gamma = rng.normal(0, 1, channels)
            self.tensors[f"{name}.{kind}"] = np.rint(gamma * unit).astype(np.int64)
            if told:
                rows = rng.normal(0, 0.5, (LEVELS, channels))
                self.tensors[f"{name}.{kind}_levels"] = np.rint(rows * unit).astype(np.int64)
        return self.conv(sources, c_out, norm=norm, **how)

    def attending(self, x: int, norm: Norm, heads: int, window: int, finer: int = 2) -> int:
        """Queries, keys and values of a stream, and what they make of it."""
        width = self.widths[x]
        read = self.normalised((x,), 3 * width, norm, kernel=1)
        attention = Attention(heads, window, 2500, 2000, 3000, shift=9, finer=finer)
        self.tensors["exp2"] = exp2_table()
        # conv() counts the channels of the sources, of which attention leaves a third.
        self.widths[read] = width
        return self.conv((read,), width, kernel=1, add=x, attention=attention)


def random_windows(seed: int, patch: int = 1) -> Graph:
    """A U-Net of two levels, with windows of 4 and of 2 pixels, or of as many more."""
    rng = np.random.default_rng(seed)
    net, width, side = WindowBuilder(rng, 3 * patch**2), 2 * int(rng.integers(2, 6)), 4
    groups = int(rng.choice([1, 2, width]))

    def norm(channels: int, window: int, **how: int) -> Norm:
        n = window**2 * (channels // groups)
        eps = max(1, int(n * 4.0**FRACTION * 1e-5))
        stated = {"groups": groups, "window": window, "shift": 0, "limit": 40000, "gain": 16}
        return Norm(**{**stated, "eps": eps, **how})

    first = net.conv((0,), width, limit=4095)
    h = net.normalised((first,), width, norm(width, side), silu=True)
    skip = net.normalised((h,), width, norm(width, side, shift=2), told=True, silu=True, add=first)
    if seed % 2:
        skip = net.attending(skip, norm(width, side), heads=2, window=side)
    low = net.conv((skip,), width, stride=2, trailing=seed % 3 != 0)
    low = net.attending(low, norm(width, 2), heads=1, window=2, finer=seed % 4)
    grown = net.conv((low,), width, upsample=True)
    h = net.normalised((grown, skip), width, norm(2 * width, side), silu=bool(seed % 2), kernel=1)
    net.normalised((h,), 3 * patch**2, norm(width, side, limit=900), silu=True)
    return net.graph(patch, side * patch)
