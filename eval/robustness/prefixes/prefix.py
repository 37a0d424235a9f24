"""What a prefix of a file gives, and what all of them say together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.types import Pixels
from diffcodec.codec import Codec

EXACT = 200.0  # dB that stand for exact pixels: no lossy image gets there
APART = 25  # of prefixes that share, every so manieth is decoded by itself, too


@dataclass(frozen=True)
class Prefix:
    """What a prefix of so many bytes gives: psnr in dB, None where it is refused."""

    size: int
    psnr: float | None
    lossless: bool = False


def psnr_of(found: Pixels, original: Pixels) -> float:
    """Of all samples (H, W, C), alpha's too, in dB: EXACT for the same."""
    error = float(np.mean(np.square(found.astype(np.float64) - original)))
    peak = float(np.iinfo(original.dtype).max)
    return EXACT if error == 0 else min(EXACT, 10 * math.log10(peak**2 / error))


def measure(codec: Codec, data: bytes, size: int, original: Pixels) -> Prefix:
    """One prefix, by itself."""
    try:
        decoded = codec.decode(data[:size])
    except BitstreamError:
        return Prefix(size, None)
    return Prefix(size, psnr_of(decoded.pixels, original), decoded.lossless)


def sharing(codec: Codec, data: bytes, sizes: Sequence[int], original: Pixels) -> list[Prefix]:
    """Several prefixes, in increasing order, from the first that is not refused."""
    found = codec.decode_cuts(data, sizes)
    return [
        Prefix(size, psnr_of(one.pixels, original), one.lossless)
        for size, one in zip(sizes, found, strict=True)
    ]


def every(
    codec: Codec, data: bytes, sizes: Sequence[int], original: Pixels
) -> tuple[list[Prefix], list[int]]:
    """Prefixes of these sizes, in increasing order, that share what they can; and the sizes of
    those that are something else by themselves.
    """
    found, rest = list[Prefix](), iter(sizes)
    for size in rest:
        found.append(measure(codec, data, size, original))
        if found[-1].psnr is not None:
            break
    found += sharing(codec, data, list(rest), original)
    tried = [prefix for prefix in found[::APART] if prefix.psnr is not None]
    return found, [p.size for p in tried if measure(codec, data, p.size, original) != p]


def summary(data: bytes, prefixes: Sequence[Prefix]) -> dict[str, Any]:
    """Of prefixes in increasing order: how many are images, and where one is worse than before.

    fall_db: below the best shorter prefix, at most; step_db: below the one before. refused_late:
    prefixes that are refused although a shorter one is an image.
    """
    shown = [prefix for prefix in prefixes if prefix.psnr is not None]
    first = shown[0].size if shown else None
    best = last = -math.inf
    fall, step, where = 0.0, 0.0, None
    for prefix in shown:
        assert prefix.psnr is not None
        if best - prefix.psnr > fall:
            fall, where = best - prefix.psnr, prefix.size
        step = max(step, last - prefix.psnr)
        best, last = max(best, prefix.psnr), prefix.psnr
    return {
        "bytes": len(data),
        "prefixes": len(prefixes),
        "images": len(shown),
        "first_image": first,
        "refused_late": sum(p.psnr is None and p.size > (first or 0) for p in prefixes if first),
        "fall_db": round(fall, 4),
        "fall_at": where,
        "step_db": round(step, 4),
        "lossless": prefixes[-1].lossless,
    }
