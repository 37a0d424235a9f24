"""x_0 given the last state, by a model that learns while it codes: one strip of an image.

DDPM, section 3.3: the independent decoder of eq. 13 may be replaced by a conditional autoregressive
one. Sample after sample, in rows, the model forms a distribution from x0_hat, the state and what is
coded already: least squares fits and classic predictors are experts, whose chances of binary
decisions are mixed by weights that learn. FORMAT-residual.md specifies it. A compiled kernel and
numpy do the same, bit for bit; DIFFCODEC_PURE=1 forces numpy, which takes a thousand times as long.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diffcodec.bitstream.adaptive.code import code_strip
from diffcodec.bitstream.adaptive.grid import ColourGrid, find_grid
from diffcodec.bitstream.adaptive.starts import start_of
from diffcodec.bitstream.kernel import load_kernel
from diffcodec.bitstream.sample_format import SampleFormat
from diffcodec.bitstream.types import Ask, Float32, Int32, Pixels, UInt16

LEVELS = ("fast", "default", "best")  # how much model; the number is in the file
ROOM = 64  # bytes of a strip's code beyond what its samples take, at most
KERNEL = load_kernel("diffcodec.bitstream.adaptive._kernel")


@dataclass(frozen=True)
class Side:
    """What both sides know of a strip besides its pixels.

    means: x0_hat in 1/GRID grey level, states: y in the same units, clamped to
    [-peak GRID, 2 peak GRID]; both (C, h, w). sigma: noise of the state in grey
    levels of 8 bits.
    """

    means: Int32
    states: Int32
    sigma: float


@dataclass(frozen=True)
class Coded:
    """The code of a strip; bits: -log2 of the probability that the model gave to its pixels."""

    data: bytes
    bits: float


def encode_strip(
    planes: Pixels,
    side: Side | None,
    level: int,
    format: SampleFormat,
    learnt: Float32 | None = None,
    grid: ColourGrid | None = None,
    ask: Ask | None = None,
) -> Coded:
    """The code of planes (C, h, w); side: None where there is no state.

    learnt: in place of the start, to train one; it becomes what the model has learnt at the end.
    grid: in place of the one that is found. What `ask` raises ends the work.
    """
    samples = samples_of(planes)
    grid = grid or find_grid(samples, format.depth)
    room = 2 * samples.size + ROOM
    while True:
        data, start = bytearray(room), start_for(samples, side, level) if learnt is None else learnt
        _, size, bits = _code(samples.copy(), side, level, format, grid, start, data, room, ask=ask)
        if size <= room:
            return Coded(bytes([grid.byte]) + bytes(data[:size]), bits)
        room = size


def decode_strip(
    data: bytes,
    complete: bool,
    size: tuple[int, int],
    side: Side | None,
    level: int,
    format: SampleFormat,
    ask: Ask | None = None,
) -> tuple[Pixels, int]:
    """Planes (C, h, w) of a strip of size (h, w), and how many of its pixels are surely right.

    Pixels are counted row by row, all channels of each: h w of them if the data is complete. Raises
    nothing, whatever the bytes, but what `ask` raises, which ends the work.
    """
    height, width = size
    samples = np.zeros((height, width, format.channels), np.uint16)
    done = 0
    if data or complete:
        grid, code = ColourGrid.of(data[0] if data else 0), bytearray(data[1:])
        learnt, room = start_for(samples, side, level), len(code)
        what = (samples, side, level, format, grid, learnt, code, room)
        done, _, _ = _code(*what, decoding=True, cut=not complete, ask=ask)
    return planes_of(samples, format), done


def _code(
    samples: UInt16,
    side: Side | None,
    level: int,
    format: SampleFormat,
    grid: ColourGrid,
    learnt: Float32,
    data: bytearray,
    size: int,
    *,
    decoding: bool = False,
    cut: bool = False,
    ask: Ask | None = None,
) -> tuple[int, int, float]:
    """Code samples (h, w, C) into data, or decode them: pixels, bytes and bits by the model."""
    known = known_of(samples, side, format, grid)
    coded = (samples, learnt, data, size, decoding, cut, ask)
    if KERNEL is None:
        return code_strip(level, *known, *coded)
    done, length, bits = KERNEL.code(level, *known, *coded)
    return done, length, bits


# --- what the kernel is given; stacked.py asks it for more --------------------------------------

Known = tuple[tuple[int, int, int], int, int, int, float, Int32, Int32]


def known_of(samples: UInt16, side: Side | None, format: SampleFormat, grid: ColourGrid) -> Known:
    """What both sides know of samples (h, w, C), as code_strip takes it after the level."""
    height, width, channels = samples.shape
    estimate = state = np.empty(0, np.int32)
    if side is not None:
        order = _order(channels)
        estimate = np.ascontiguousarray(side.means[order])
        state = np.ascontiguousarray(side.states[order])
    sigma = 1.0 if side is None else side.sigma
    shift = format.depth - 8
    return (channels, height, width), shift, grid.period, grid.known, sigma, estimate, state


def start_for(samples: UInt16, side: Side | None, level: int) -> Float32:
    """What the model of samples (h, w, C) starts from."""
    height, width, channels = samples.shape
    return start_of(level, channels, height * width, None if side is None else side.sigma)


def samples_of(planes: Pixels) -> UInt16:
    """Planes (C, h, w) as the kernel takes them: (h, w, C), channels in coding order."""
    return np.ascontiguousarray(planes[_order(len(planes))].transpose(1, 2, 0), np.uint16)


def planes_of(samples: UInt16, format: SampleFormat) -> Pixels:
    """What `samples_of` took: planes (C, h, w)."""
    planes = samples[:, :, np.argsort(_order(format.channels))].transpose(2, 0, 1)
    return np.ascontiguousarray(planes, format.dtype)


def _order(channels: int) -> list[int]:
    """Green before red: most is known of a pixel once it is there."""
    return [1, 0, *range(2, channels)] if channels > 2 else list(range(channels))
