"""Ranges narrower than what was measured, where cutting costs less than coarse steps do.

What goes into most layers is largest where noise is, and there the network averages over many
pixels. At the lowest noise, what the first layers read decides, step by step.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffcodec.bitstream.types import Progress
from diffcodec.exact.activation_ranges import Activations
from diffcodec.exact.bytewise.alone import Alone
from diffcodec.exact.cost import SIGMAS_GREY
from diffcodec.exact.floats import FloatNetwork

SHARES = (1.0, 0.8, 0.65)  # of a layer's ranges
LEAST = 2.0**-12  # range


def narrowed(
    network: FloatNetwork,
    measured: Mapping[str, Activations],
    images: Sequence[NDArray[np.uint8]],
    progress: Progress | None = None,
) -> dict[str, Activations]:
    """With the share of every layer's ranges that costs least: the sum of dB over SIGMAS_GREY.

    images: (H, W, 3) of one size. progress(noise levels done, of).
    """
    layers = network.layers
    costs = np.zeros((len(layers), len(SHARES)))
    for i, sigma in enumerate(SIGMAS_GREY):
        alone = Alone(network, images, sigma)
        for k, layer in enumerate(layers[1:], 1):
            a = network.activations(layer, alone.streams, alone.v)
            for j, share in enumerate(SHARES):
                rounded = in_steps(a, _shared(measured[layer.name], share))
                costs[k, j] += alone.cost(k, network.output(layer, rounded, alone.streams, alone.v))
        if progress:
            progress(i + 1, len(SIGMAS_GREY))
    best = {layer.name: SHARES[j] for layer, j in zip(layers, costs.argmin(axis=1), strict=True)}
    return {name: _shared(found, best[name]) for name, found in measured.items()}


def in_steps(a: Tensor, found: Activations) -> Tensor:
    """Activations (N, c_in, H, W) rounded to what bytes of these ranges stand for."""
    ends = torch.from_numpy(np.stack([found.low, found.high])).to(a.dtype)
    low, high = ends[:, :, None, None]
    step: Tensor = (high - low).clamp(min=LEAST) / 255
    least = torch.round(low / step)
    steps = torch.clamp(torch.round(a / step), least, least + 255)
    return steps * step


def _shared(found: Activations, share: float) -> Activations:
    return dataclasses.replace(found, low=found.low * share, high=found.high * share)
