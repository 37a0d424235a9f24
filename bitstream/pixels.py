"""The last step: x_0 given the last state, by the discretized decoder of DDPM's eq. 13.

Every sub-pixel is a Gaussian around x0_hat, integrated over the bins of width 1 (the first and the
last extend to infinity), coded by constriction's range coder; range_coder.py does the same where
there is none. Means lie on a grid of 1/32 grey level; one sigma serves the image and is stated in
the stream.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffcodec.bitstream import range_coder
from diffcodec.bitstream.decimals import in_decimals, power_of_two
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.kernel import load_kernel
from diffcodec.bitstream.sample_format import RGB8, SampleFormat
from diffcodec.bitstream.types import Int32, Pixels

GRID = 32  # means are integers in units of 1/GRID grey level
SIGMAS = 96  # sigma index 0 .. 95: sigma = 2^(index / 8 - 5) grey levels, 0.03 .. 117
STORED = 255  # in place of a sigma index: the pixels follow as they are, whole bytes each
CHUNK = 1 << 16  # sub-pixels coded as one block
SMALL = 1 << 13  # sub-pixels up to which a block's last word is trimmed
CUT_RUN = 512  # samples of a cut block are shown in runs of so many (part of the format)

KERNEL: Any = load_kernel("constriction")
_QUEUE: Any = KERNEL.stream.queue if KERNEL else range_coder
_MODEL: Any = KERNEL.stream.model if KERNEL else range_coder


@lru_cache(maxsize=SIGMAS)
@in_decimals
def sigma_of(index: int) -> float:
    """Standard deviation in grey levels, rounded to a multiple of 2^-20."""
    return round(power_of_two(index, 8) * (1 << 15)) / (1 << 20)


def ideal_bits(pixels: Pixels, means: Int32, index: int, format: SampleFormat = RGB8) -> float:
    """-log2 of the probability of all pixels, in bits; at most 24 of each."""
    tails = _tails(index)
    reach = len(tails) // 2

    def above(edge: NDArray[np.int64]) -> NDArray[np.float64]:
        """Probability that a pixel lies so far above its mean, in 1/GRID grey level."""
        return tails[np.clip(edge, -reach, reach) + reach]

    low = GRID * pixels.astype(np.int64) - means - GRID // 2
    high = low + GRID
    below = low + high < 0  # the mirror image has both tails with full precision
    mass = above(np.where(below, -high, low)) - above(np.where(below, -low, high))
    mass = np.where(pixels == format.peak, above(low), np.where(pixels == 0, above(-high), mass))
    return float(-np.log2(np.maximum(mass, 2.0**-24)).sum())


@lru_cache(maxsize=SIGMAS)
def _tails(index: int) -> NDArray[np.float64]:
    """P(X > i / GRID) of a Gaussian of this sigma for i = -reach .. reach, 6 sigma and a bin."""
    scale = 1 / (GRID * sigma_of(index) * math.sqrt(2))
    reach = math.ceil(6 * GRID * sigma_of(index)) + GRID
    upper = [0.5 * math.erfc(i * scale) for i in range(reach + 1)]
    return np.array([1 - tail for tail in reversed(upper[1:])] + upper)


def best_sigma(pixels: Pixels, means: Int32, format: SampleFormat = RGB8) -> int:
    """The sigma index with the shortest code."""
    # In units of 1/GRID: sums of squares are whole numbers, exact in any order.
    squares = sum(
        int(np.sum(np.square(GRID * pixels[i : i + CHUNK].astype(np.int64) - means[i : i + CHUNK])))
        for i in range(0, len(pixels), CHUNK)
    )
    rms = math.sqrt(squares / (GRID * GRID) / max(1, len(pixels)) + 1e-4)
    centre = round(8 * (math.log2(rms) + 5))
    every = max(1, len(pixels) // CHUNK)  # a sample is enough for large images
    near = range(max(0, centre - 10), min(SIGMAS, centre + 5))
    some, of = pixels[::every], means[::every]
    return min(near, key=lambda i: ideal_bits(some, of, i, format), default=0)


def encode_block(pixels: Pixels, means: Int32, index: int, format: SampleFormat = RGB8) -> bytes:
    """Code at most CHUNK samples (n,), given means (n,); big-endian words, tail trimmed."""
    coder = _QUEUE.RangeEncoder()
    coder.encode(pixels.astype(np.int32), _model(format), *_parameters(means, index))
    data = coder.get_compressed().astype(">u4").tobytes()
    return _trim(data, pixels, means, index, format)


def decode_block(
    data: bytes, complete: bool, means: Int32, index: int, format: SampleFormat = RGB8
) -> Pixels:
    """The pixels of a block, or, if `data` is only a prefix of it, the first ones, surely right.

    BitstreamError for a whole block that is no code of pixels.
    """
    if complete:
        return _decode(_decoder(data), means, index, format)
    words = len(data) // 4
    decoder, shadow = _decoder(data[: 4 * words]), _QUEUE.RangeEncoder()
    done = np.empty(0, format.dtype)
    for start in range(0, len(means), CUT_RUN):
        run = means[start : start + CUT_RUN]
        try:
            pixels = _decode(decoder, run, index, format)
        except BitstreamError:
            break
        # Coding the pixels again shows how many words they needed.
        shadow.encode(pixels.astype(np.int32), _model(format), *_parameters(run, index))
        if shadow.num_words() > words:
            break
        done = np.concatenate([done, pixels])
    return done


def _decode(
    decoder: Any,
    means: Int32,
    index: int,
    format: SampleFormat,
) -> Pixels:
    """The next samples; BitstreamError where the words make no sense any more."""
    try:
        symbols = decoder.decode(_model(format), *_parameters(means, index))
    except AssertionError as error:  # constriction's way to say so
        raise BitstreamError(
            "the file is damaged: the code of its pixels makes no sense"
        ) from error
    return np.asarray(symbols, format.dtype)


def _model(format: SampleFormat) -> Any:
    return _MODEL.QuantizedGaussian(0, format.peak)


def _parameters(means: Int32, index: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return means / float(GRID), np.full(len(means), sigma_of(index))


def _decoder(data: bytes) -> Any:
    padded = data + bytes(-len(data) % 4 + 8)
    return _QUEUE.RangeDecoder(np.frombuffer(padded, ">u4").astype(np.uint32))


def _trim(data: bytes, pixels: Pixels, means: Int32, index: int, format: SampleFormat) -> bytes:
    """Leave out last bytes that decode alike when read as zeros (the coder writes whole words).

    It matters to small images only, and costs a few decodings.
    """
    if len(pixels) > SMALL:
        return data
    for keep in range(max(0, len(data) - 8), len(data)):
        kept = data[:keep]
        raised = kept[:-1] + bytes([kept[-1] + 1]) if kept and kept[-1] < 255 else kept
        for short in (kept, raised):
            try:
                if np.array_equal(decode_block(short, True, means, index, format), pixels):
                    return short
            except BitstreamError:  # these words make no sense
                continue
    return data
