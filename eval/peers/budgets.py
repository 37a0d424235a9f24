"""Which file of a codec stands for it at a size: the best that fits, or the beginning of one file.

A codec with a quality dial cannot hit a size, so at every budget an image is represented by *the
best of its files that are not larger than the budget*, found by bisection over the dial: no
interpolation, and no better quality setting is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from diffcodec.bitstream.types import Pixels
from diffcodec.eval.common.coded import Decode, File, PeerError, read_again

DIAL = 100  # dials go from 0 (small) to this (good)


def within_budgets(
    at_quality: Callable[[int], File], budgets: Sequence[int], top: int = DIAL
) -> list[File | None]:
    """For each budget (bytes) the best file that bisection over 0..top meets and that fits."""
    seen: dict[int, File] = {}
    for budget in budgets:
        fits = [k for k, file in seen.items() if len(file.data) <= budget]
        low = max(fits, default=-1)  # the largest quality that fits lies in [low, high)
        high = min((k for k in seen if k > low), default=top + 1)
        while high - low > 1:
            middle = (low + high) // 2
            seen[middle] = at_quality(middle)
            fit = len(seen[middle].data) <= budget
            low, high = (middle, high) if fit else (low, middle)
    # Sizes are not quite monotone in quality: what any of the searches met may serve any budget.
    return [
        min(
            (f for f in seen.values() if len(f.data) <= budget),
            key=lambda f: f.point.mse,
            default=None,
        )
        for budget in budgets
    ]


def cuts(
    pixels: Pixels,
    data: bytes,
    decode: Decode,
    budgets: Sequence[int],
    *,
    encode_seconds: float,
) -> list[File | None]:
    """One file cut at every budget (bytes), whole where it fits; None where no image is left.

    decode: raises PeerError for a beginning that holds no image yet.
    """
    found: list[File | None] = []
    for budget in budgets:
        if found and found[-1] is not None and len(found[-1].data) == len(data):
            found.append(found[-1])
            continue
        try:
            found.append(read_again(pixels, data[:budget], decode, encode_seconds))
        except PeerError:
            found.append(None)
    return found
