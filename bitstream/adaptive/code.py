"""A whole strip, sample by sample: what kernel.c does, in numpy."""

from __future__ import annotations

from diffcodec.bitstream.types import Float32, Int32, UInt16


def code_strip(
    level: int,
    shape: tuple[int, int, int],
    shift: int,
    period: int,
    grid: int,
    sigma: float,
    estimate: Int32,
    state: Int32,
    samples: UInt16,
    learnt: Float32,
    data: bytearray,
    size: int,
    decoding: bool,
    cut: bool,
) -> tuple[int, int, float]:
    """Code samples into data, or decode them: how many pixels, bytes, and bits by the model."""
    raise NotImplementedError
