"""x_0 given the last state, by a model that learns while it codes: one strip of an image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diffcodec.bitstream.sample_format import SampleFormat
from diffcodec.bitstream.types import Int32, Pixels

LEVELS = ("fast", "default", "best")  # how much model; the number is in the file


@dataclass(frozen=True)
class Side:
    """What both sides know of a strip besides its pixels.

    means: x0_hat in 1/GRID grey level, states: y in the same units, clamped to
    [-peak GRID, 2 peak GRID]; both (C, h, w). sigma: noise of the state in grey levels.
    """

    means: Int32
    states: Int32
    sigma: float


@dataclass(frozen=True)
class Coded:
    """The code of a strip; bits: -log2 of the probability that the model gave to its pixels."""

    data: bytes
    bits: float


def encode_strip(planes: Pixels, side: Side | None, level: int, format: SampleFormat) -> Coded:
    """The code of planes (C, h, w); side: None where there is no state."""
    data = np.ascontiguousarray(planes.transpose(1, 2, 0)).tobytes()
    return Coded(data, 8.0 * len(data))


def decode_strip(
    data: bytes, size: tuple[int, int], side: Side | None, level: int, format: SampleFormat
) -> tuple[Pixels, int]:
    """Planes (C, h, w) of a strip of size (h, w), and how many of its pixels are surely right.

    Pixels are counted row by row, all channels of each: h w of them unless the data was cut. Never
    raises, whatever the bytes.
    """
    height, width = size
    values = np.zeros(height * width * format.channels, format.dtype)
    there = np.frombuffer(data[: values.size], format.dtype)
    values[: there.size] = there
    planes = values.reshape(height, width, format.channels).transpose(2, 0, 1)
    return np.ascontiguousarray(planes), there.size // format.channels
