"""How large the activations of a float network are, on noisy images at every noise level."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from diffcodec.bitstream.types import Float64, Progress
from diffcodec.exact.coefficients import coefficients
from diffcodec.exact.floats import FloatNetwork
from diffcodec.exact.listing import FloatLayer
from diffcodec.network.config import NetworkConfig
from diffcodec.network.walk import double
from diffcodec.theory.units import GREY, to_x0

SIGMAS_GREY = np.geomspace(0.5, 1000.0, 23)  # noise, in grey levels
BATCH = 1 << 16  # pixels of a batch
PLACES = 256  # of a batch, whose inputs count for the moments


@dataclass
class Activations:
    """Of what goes into a layer, and comes out of it.

    peak: largest modulus; low, high: of every channel (c_in,), with 0 between them; moments: sum
    a a' (K, K) of what weights meet; out: largest modulus of the output; read: of every channel
    that normalisation or attention reads; weight: what all moments are multiplied by.
    """

    peak: float = 0.0
    low: Float64 = field(default_factory=lambda: np.zeros(1))
    high: Float64 = field(default_factory=lambda: np.zeros(1))
    moments: Float64 = field(default_factory=lambda: np.zeros((1, 1)))
    out: float = 0.0
    read: Float64 = field(default_factory=lambda: np.zeros(1))
    weight: float = 0.0


class _Observer:
    """Collects activations; weight: of the images that are being evaluated."""

    def __init__(self, layers: list[FloatLayer]) -> None:
        self.found = {layer.name: Activations() for layer in layers}
        self.rng, self.weight = np.random.default_rng(0), 1.0

    def __call__(self, layer: FloatLayer, x: Tensor, a: Tensor, out: Tensor) -> None:
        own = self.found[layer.name]
        if layer.norm is not None or layer.attention is not None:
            own.read = np.maximum(own.read, x.abs().amax(dim=(0, 2, 3)).double().numpy())
        own.low = np.minimum(own.low, a.amin(dim=(0, 2, 3)).double().numpy())
        own.high = np.maximum(own.high, a.amax(dim=(0, 2, 3)).double().numpy())
        own.peak = float(max(own.high.max(), -own.low.min()))
        own.out = max(own.out, float(out.abs().max()))
        own.weight += self.weight
        inputs = _inputs(layer, a, self.rng) * math.sqrt(self.weight / PLACES)
        product = (inputs.T @ inputs).numpy()
        if own.moments.shape == product.shape:
            own.moments += product  # in place: with 2,304 inputs it has 42 MB
        else:
            own.moments = product.astype(np.float64)


def measure_ranges(
    network: FloatNetwork, images: NDArray[np.uint8], progress: Progress | None = None
) -> dict[str, Activations]:
    """Activations of every layer, by name, on images (N, H, W, 3); progress(levels done, of)."""
    observer = _Observer(network.layers)
    batch = max(1, BATCH // (images.shape[1] * images.shape[2]))
    for i, sigma in enumerate(SIGMAS_GREY):
        level = (sigma / GREY) ** 2
        observer.weight = importance(network.config, level)
        rng = np.random.default_rng(i)
        for start in range(0, len(images), batch):
            x0 = to_x0(images[start : start + batch])
            y = x0 + math.sqrt(level) * rng.standard_normal(x0.shape)
            v = np.full(len(x0), level)
            with torch.inference_mode():
                network(network_input(network, y, v), v, observer)
        if progress:
            progress(i + 1, len(SIGMAS_GREY))
    return observer.found


def network_input(network: FloatNetwork, y: Float64, v: Float64) -> Tensor:
    """c_in y (N, 3, H, W) with the pixels of a patch as channels."""
    _, _, c_in = coefficients(network.config, v)
    return F.pixel_unshuffle(torch.from_numpy(c_in * y), network.config.patch)


def importance(config: NetworkConfig, level: float) -> float:
    """What squares of errors of the output count at a noise variance.

    A preconditioned output is scaled up as the noise falls, and errors with it. Other ones count
    as they do in bits: errors of x0_hat, in units of the noise.
    """
    if config.predicts == "preconditioned":
        return math.sqrt(1 + config.sigma_data**2 / level)
    _, c_out, _ = coefficients(config, np.array([level]))
    return float(c_out[0, 0, 0, 0]) ** 2 / level


def _inputs(layer: FloatLayer, a: Tensor, rng: np.random.Generator) -> Tensor:
    """What the weights (k, k, c_in) meet at some places: (PLACES, K)."""
    kernel = layer.weight.shape[1]
    if layer.upsample:
        a = double(a)
    n, _, height, width = a.shape
    before = 0 if layer.trailing else kernel // 2
    padded = F.pad(a, [before, kernel - 1 - before] * 2)
    image, row, column = (
        torch.from_numpy(rng.integers(0, size, PLACES)) for size in (n, height, width)
    )
    taps = [padded[image, :, row + i, column + j] for i in range(kernel) for j in range(kernel)]
    return torch.cat(taps, dim=1)
