"""One file of one image in any format: its bytes, what it decodes to, and how good that is."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from diffcodec.bitstream.types import Pixels
from diffcodec.eval.common import metrics
from diffcodec.eval.common.similarity import SIMILARITIES, similarities

Decode = Callable[[bytes], Pixels]


class PeerError(ValueError):
    """A codec that does not do what is asked of it; says which one, and what it said."""


@dataclass(frozen=True)
class Point:
    """One file: its size, MSE of its pixels in grey levels squared, seconds to make and to read.

    ms_ssim: as in SIMILARITIES, None where it does not apply, or was not measured. part_mses: of
    each image of a stack.
    """

    bytes: int
    mse: float
    encode_seconds: float
    decode_seconds: float
    ms_ssim: float | None = None
    part_mses: tuple[float, ...] = ()


@dataclass(frozen=True, eq=False)
class File:
    """A file with the way to read it, as long as it may still be chosen over others."""

    data: bytes
    decode: Decode
    point: Point


def measure(pixels: Pixels, encode: Callable[[Pixels], bytes], decode: Decode) -> File:
    """Encode (H, W, C) uint8 pixels and decode what comes out."""
    start = time.perf_counter()
    data = encode(pixels)
    return read_again(pixels, data, decode, time.perf_counter() - start)


def read_again(pixels: Pixels, data: bytes, decode: Decode, encode_seconds: float) -> File:
    """A file that exists: decode it and hold it against the pixels that it was made of."""
    start = time.perf_counter()
    decoded = decode(data)
    seconds = time.perf_counter() - start
    return File(
        data, decode, Point(len(data), metrics.mse(pixels, decoded), encode_seconds, seconds)
    )


def finish(file: File, pixels: Pixels, target: Path | None = None) -> Point:
    """The point of a file that was chosen, with SIMILARITIES; its pixels go to `target` (.png).

    What takes longer than MSE is measured here, not for all files that a search meets.
    """
    if target is None and not any(one.applies(pixels.shape) for one in SIMILARITIES.values()):
        return file.point
    decoded = file.decode(file.data)
    if target is not None:
        save(decoded, target)
    return replace(file.point, **similarities(pixels, decoded))


def save(pixels: Pixels, target: Path) -> None:
    """Write a reconstruction, in a folder that is made."""
    from diffcodec.image import save as write

    target.parent.mkdir(parents=True, exist_ok=True)
    write(pixels, target)


def best(*files: File | None) -> File | None:
    """The one with the smallest error; None if there is none."""
    return min((f for f in files if f is not None), key=lambda f: f.point.mse, default=None)
