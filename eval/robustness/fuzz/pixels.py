"""Targets that decode exact pixels, without the checksums that stand before them in files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from random import Random

import numpy as np

from diffcodec.bitstream import adaptive, graphics, pixels
from diffcodec.bitstream.sample_format import SampleFormat
from diffcodec.bitstream.types import Int32, Pixels
from diffcodec.eval.robustness.fuzz import corpus
from diffcodec.eval.robustness.fuzz.mutation import mutated, noise, packed
from diffcodec.eval.robustness.fuzz.png_parts import varied_png
from diffcodec.eval.robustness.fuzz.target import Target
from diffcodec.image import to_bytes
from diffcodec.image.png_chunks import SIGNATURE

# In front of the code stand four bytes that say how it is taken: an input needs no file around it.
HEAD = 4
DEPTHS = (8, 9, 12, 16)


def decode_residual(data: bytes) -> None:
    """Adaptive strips of all kinds: level, format, size, with a state or without, cut or whole."""
    kind, rows, columns, about = data[:HEAD].ljust(HEAD, b"\0")
    height, width = 1 + rows % 12, 1 + columns % 20
    format = SampleFormat((1, 3)[kind & 1], DEPTHS[kind >> 1 & 3])
    level, complete = about % len(adaptive.LEVELS), bool(kind & 8)
    side = _side(format, height, width, about) if kind & 16 else None
    planes, done = adaptive.decode_strip(
        data[HEAD:], complete, (height, width), side, level, format
    )
    assert planes.shape == (format.channels, height, width)
    assert 0 <= done <= height * width and (done == height * width or not complete)
    assert planes.size and int(planes.max()) <= format.peak


def _side(format: SampleFormat, height: int, width: int, about: int) -> adaptive.Side:
    """Means and states within their bounds, at them, and beyond by what states may be."""
    rng = np.random.default_rng(about)
    shape, top = (format.channels, height, width), format.peak * 32
    means = rng.integers(0, top + 1, shape, np.int32)
    states = rng.integers(-top, 2 * top + 1, shape, np.int32)
    if about & 64:
        means[:], states[:] = rng.choice((0, top)), rng.choice((-top, 2 * top))
    return adaptive.Side(means, states, float(2.0 ** rng.uniform(-3, 8)))


def decode_gaussian(data: bytes) -> None:
    """A block of the discretized Gaussian, cut or whole."""
    kind, size, index, about = data[:HEAD].ljust(HEAD, b"\0")
    count = 1 + 5 * size
    means = _means(count, about)
    found = pixels.decode_block(data[HEAD:], bool(kind & 1), means, index % pixels.SIGMAS)
    assert len(found) == count if kind & 1 else len(found) <= count


def _means(count: int, about: int) -> Int32:
    rng = np.random.default_rng(about)
    means = rng.integers(0, 255 * pixels.GRID + 1, count, np.int32)
    return np.full(count, means[0]) if about & 64 else means


def decode_graphics(data: bytes) -> None:
    """A strip that is a PNG or a WebP file, or two of them."""
    kind, rows, columns, _ = data[:HEAD].ljust(HEAD, b"\0")
    format = SampleFormat((1, 3)[kind & 1], DEPTHS[kind >> 1 & 3])
    found = graphics.decode_strip(data[HEAD:], rows, columns, format)
    assert found.shape == (rows, columns, format.channels)


# --- seeds and changes --------------------------------------------------------------------------


def _residuals() -> list[bytes]:
    """A strip of each level, depth and number of channels."""
    found = []
    for number in range(24):
        kind, about = number % 8 | 8 | 16 * (number % 3 > 0), number % 3 | number % 2 * 64
        height, width = 3 + number % 10, 2 + number % 19
        format = SampleFormat((1, 3)[kind & 1], DEPTHS[kind >> 1 & 3])
        side = _side(format, height, width, about) if kind & 16 else None
        samples = corpus.image(height, width, format.channels, 16).astype(np.int64)
        planes = (samples >> (16 - format.depth)).transpose(2, 0, 1).astype(format.dtype)
        coded = adaptive.encode_strip(planes, side, about % len(adaptive.LEVELS), format)
        found.append(bytes([kind, height - 1, width - 1, about]) + coded.data)
    return found


def _gaussians() -> list[bytes]:
    """Blocks of several sizes and deviations."""
    found = []
    for size, index, about in ((0, 40, 1), (9, 0, 2), (40, 30, 3), (130, 50, 64), (250, 95, 5)):
        means = _means(1 + 5 * size, about)
        noisy = means / pixels.GRID + np.random.default_rng(size).normal(0, 2, len(means))
        code = pixels.encode_block(noisy.clip(0, 255).astype(np.uint8), means, index)
        found.append(bytes([1, size, index, about]) + code)
    return found


def _graphics(write: Callable[[Pixels], bytes]) -> list[bytes]:
    """Strips of one or three channels and all depths, by what writes an image of 8 bits."""
    found = []
    for kind, (rows, columns) in enumerate(((1, 1), (12, 9), (30, 50), (7, 200), (16, 16), (9, 3))):
        channels, depth = (1, 3)[kind & 1], DEPTHS[kind >> 1 & 3]
        if depth == 8:
            code = write(corpus.graphics(rows, columns, channels))
        else:
            samples = corpus.graphics(rows, columns, channels, 16) >> (16 - depth)
            upper = write((samples >> 8).astype(np.uint8))
            code = packed(len(upper)) + upper + write((samples & 255).astype(np.uint8))
        found.append(bytes([kind, rows, columns, 0]) + code)
    return found


def _varied(data: bytes, dice: Random, others: Sequence[bytes]) -> bytes:
    """Another head, another code or both; or bytes of chance as code."""
    head, code = data[:HEAD], data[HEAD:]
    if dice.random() < 0.3:
        head = noise(dice, HEAD)
    if dice.random() < 0.1:
        return head + noise(dice, dice.randrange(1, 400))
    return head + mutated(code, dice, [other[HEAD:] for other in others])


def _varied_graphics(data: bytes, dice: Random, others: Sequence[bytes]) -> bytes:
    """Images of other sizes and kinds as well, their own checksums right."""
    head, code = bytearray(data[:HEAD]), data[HEAD:]
    if dice.random() < 0.2:
        head[dice.randrange(3)] = dice.randrange(256)
    others = [other[HEAD:] for other in others]
    at = code.find(SIGNATURE)
    if at > 0 and dice.random() < 0.6:  # the first of two files, behind its length
        end = code.find(SIGNATURE, at + 1)
        first = varied_png(code[at:end], dice, others)
        return bytes(head) + packed(len(first)) + first + code[end:]
    return bytes(head) + varied_png(code, dice, others)


TARGETS = (
    Target("residual", "strips of the adaptive coder", decode_residual, _residuals, _varied, 80),
    Target(
        "gaussian", "blocks of the discretized Gaussian", decode_gaussian, _gaussians, _varied, 60
    ),
    Target(
        "graphics-png",
        "strips of graphics as PNG",
        decode_graphics,
        partial(_graphics, to_bytes),
        _varied_graphics,
        40,
    ),
    Target(
        "graphics-webp",
        "strips of graphics as WebP",
        decode_graphics,
        partial(_graphics, graphics.encode_strip),
        _varied_graphics,
        40,
    ),
)
