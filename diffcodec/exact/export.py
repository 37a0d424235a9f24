"""From a trained U-Net to its integer network, which every machine evaluates to the same bits.

Streams all count 2^-11. What is left to choose in each layer is how to spend the 31 bits of an
accumulator: on activations or on weights. Both errors are known before anything is run, so each
layer takes the split that makes their sum smallest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from diffcodec.checkpoint import Checkpoint, CheckpointError
from diffcodec.exact.floats import Float64, FloatLayer, FloatNetwork, Weights, embedding
from diffcodec.exact.graph import INPUT_FRACTION, Graph, Layer
from diffcodec.unet import SIGMA_RANGE

Progress = Callable[[int, int], None]

LEVELS_PER_OCTAVE = 16  # of sigma, at which the noise embedding is kept
SIGMAS_GREY = np.geomspace(0.5, 1000.0, 23)  # noise of the calibration
HEADROOM = 2.0  # room above the largest activation met in calibration
FRACTION = 11  # of the streams: at the ends of the table, +-16, SiLU is 0 and x to the last digit
OUTPUT_FRACTION = 14
PEAK = 32767  # of int16
ROOM = 2**31 - 1  # of an accumulator
SCALE = 24  # most bits of a weight's fraction
BATCH = 1 << 16  # pixels of a calibration batch


@dataclass
class Range:
    """What calibration saw of a layer's activations: largest modulus, mean and mean square."""

    peak: float = 0.0
    square: float = 0.0
    mean: Float64 | float = 0.0  # of each channel
    weight: int = 0


def export(
    checkpoint: Checkpoint,
    pictures: Sequence[NDArray[np.uint8]],
    progress: Progress | None = None,
) -> Graph:
    """The integer network of a checkpoint, calibrated on pictures (H, W, 3) uint8 of one size.

    progress(noise levels done, of). Raises CheckpointError for a network that has no exact form.
    """
    recipe, weights = checkpoint.recipe, checkpoint.weights
    network = FloatNetwork(recipe, weights, torch.float32)
    ranges = calibrate(network, np.stack(pictures), progress)
    levels = noise_levels()
    layers, tensors = [], {"silu": silu_table(FRACTION), "levels": levels}
    for number, layer in enumerate(network.layers):
        bits = (
            INPUT_FRACTION if number == 0 else FRACTION,
            OUTPUT_FRACTION if layer is network.layers[-1] else FRACTION,
        )
        rows = None
        if layer.block is not None:
            rows = embedding(weights, layer.block, recipe.network.channels, levels)
        made, found = _quantise(layer, ranges[layer.name], bits, rows)
        layers.append(made)
        tensors |= {f"{layer.name}.{key}": tensor for key, tensor in found.items()}
    return Graph(
        layers=tuple(layers),
        tensors=tensors,
        patch=recipe.network.patch,
        stride=recipe.network.stride,
        sigma_data=recipe.network.sigma_data,
        fraction=FRACTION,
        output=OUTPUT_FRACTION,
        facts={
            "recipe": recipe.to_dict(),
            "tables": checkpoint.tables,
            "card": checkpoint.card,
        },
    )


def noise_levels() -> Float64:
    """Noise variances at which biases are kept, increasing."""
    low, high = SIGMA_RANGE
    count = math.ceil(math.log2(high / low) * LEVELS_PER_OCTAVE) + 1
    return np.geomspace(low, high, count) ** 2


def silu_table(fraction: int) -> NDArray[np.int16]:
    """SiLU of every int16 that counts 2^-fraction, in the same unit."""
    x = np.arange(-32768, 32768) / 2.0**fraction
    return np.rint(x / (1 + np.exp(-x)) * 2**fraction).astype(np.int16)


# --- calibration ---


def calibrate(
    network: FloatNetwork, pictures: NDArray[np.uint8], progress: Progress | None = None
) -> dict[str, Range]:
    """What the activations of each layer look like on pictures (N, H, W, 3) at every noise."""
    ranges = {layer.name: Range() for layer in network.layers}

    def observe(layer: FloatLayer, a: torch.Tensor) -> None:
        r, n = ranges[layer.name], a.numel()
        share = n / (r.weight + n)
        r.peak = max(r.peak, float(a.abs().max()))
        r.square += share * (float(a.square().mean()) - r.square)
        mean = a.mean(dim=(0, 2, 3)).double().numpy()
        r.mean, r.weight = r.mean + share * (mean - r.mean), r.weight + n

    batch = max(1, BATCH // (pictures.shape[1] * pictures.shape[2]))
    for i, sigma in enumerate(SIGMAS_GREY):
        rng = np.random.default_rng(i)
        for start in range(0, len(pictures), batch):
            x0 = pictures[start : start + batch].transpose(0, 3, 1, 2) / 127.5 - 1
            v = np.full(len(x0), (sigma / 127.5) ** 2)
            y = x0 + np.sqrt(v[0]) * rng.standard_normal(x0.shape)
            with torch.inference_mode():
                network(network_input(network, y, v), v, observe)
        if progress:
            progress(i + 1, len(SIGMAS_GREY))
    return ranges


def network_input(network: FloatNetwork, y: Float64, v: Float64) -> torch.Tensor:
    """c_in y (N, 3, H, W) with the pixels of a patch as channels."""
    config = network.recipe.network
    x = torch.from_numpy(y / np.sqrt(v + config.sigma_data**2)[:, None, None, None])
    return torch.nn.functional.pixel_unshuffle(x, config.patch)


# --- one layer ---


def _quantise(
    layer: FloatLayer, seen: Range, bits: tuple[int, int], rows: Float64 | None
) -> tuple[Layer, dict[str, NDArray[Any]]]:
    """The integer form of a layer and its tensors; bits: fractions of the streams in and out."""
    shifts = [0] if layer.name == "stem" else range(bits[0])
    choices = [_Split.of(layer, seen, bits, rows, shift) for shift in shifts]
    best = min((c for c in choices if c is not None), key=lambda c: c.error, default=None)
    if best is None:
        raise CheckpointError(
            f"the weights of {layer.name} do not fit into 31 bits; train the network longer, or "
            "at a lower rate"
        )
    made = Layer(
        name=layer.name,
        sources=layer.sources,
        silu=layer.silu,
        shift=best.shift,
        limit=best.limit,
        upsample=layer.upsample,
        stride=layer.stride,
        add=layer.add,
    )
    return made, best.tensors(layer, seen, bits, rows)


@dataclass(frozen=True)
class _Split:
    """Accumulator bits shared between activations and weights, and the error that follows."""

    shift: int
    limit: int
    scale: NDArray[np.int64]  # fraction of each output channel's weights
    error: float

    @staticmethod
    def of(
        layer: FloatLayer,
        seen: Range,
        bits: tuple[int, int],
        rows: Float64 | None,
        shift: int,
    ) -> _Split | None:
        """The finest weights that the bound allows at an activation shift, if any."""
        fraction = bits[0] - shift
        limit = PEAK
        if layer.name != "stem":
            limit = math.ceil(HEADROOM * seen.peak * 2.0**fraction)
        if not 1 <= limit <= PEAK:
            return None
        size = layer.weight[0].size
        total = np.abs(layer.weight).sum(axis=(1, 2, 3))
        level = np.abs(rows).max(axis=0) if rows is not None else 0.0
        # Everything grows with 2^scale but the rounding of weights and biases.
        grows = limit * total + 2.0**fraction * (np.abs(layer.bias) + level)
        grows = grows + 2.0 ** (fraction - bits[1] - 1)
        room = ROOM - (0.5 * size * limit + 2)
        largest = np.abs(layer.weight).max(axis=(1, 2, 3))
        with np.errstate(divide="ignore"):
            scale = np.minimum(np.log2(room / grows), np.log2(PEAK / largest))
        scale = np.floor(np.minimum(scale, SCALE)).astype(np.int64)
        if (scale + fraction < bits[1]).any():
            return None
        squares = np.square(layer.weight).sum()
        error = 4.0**-fraction * squares * (shift > 0)
        error += float((4.0**-scale).sum()) * size * seen.square
        return _Split(shift, limit, scale, error / 12)

    def tensors(
        self, layer: FloatLayer, seen: Range, bits: tuple[int, int], rows: Float64 | None
    ) -> dict[str, NDArray[Any]]:
        """The layer's integers."""
        scale = 2.0**self.scale
        weight = np.rint(layer.weight * scale[:, None, None, None])
        unit = scale * 2.0 ** (bits[0] - self.shift)
        found: dict[str, NDArray[Any]] = {
            "weight": weight.astype(np.int16),
            "bias": np.rint(layer.bias * unit).astype(np.int32),
            "shift": (bits[0] - self.shift + self.scale - bits[1]).astype(np.uint8),
        }
        if rows is not None:
            found["levels"] = np.rint(rows * unit).astype(np.int32)
        return found
