"""Images by number, some at a time: how many at a time changes none of them.

That holds to the bit for integer networks; for float ones up to the rounding of a batch's sums.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from diffcodec.bitstream.types import Float64, Pixels
from diffcodec.sampling.walk import Walk
from diffcodec.theory.units import from_unit

LAST = -1


def drawn(
    walk: Callable[[Sequence[int]], Walk],
    numbers: Sequence[int],
    batch: int,
    seen: Callable[[int], None] = lambda count: None,
    kept: Collection[int] = (),
) -> list[list[Pixels]]:
    """For each number x0_hat of the visited states `kept` (0, 1, ...), and of the last one.

    walk: of the images with some numbers; batch: how many at a time; seen(images) after each state.
    Pixels are (H, W, C) uint8.
    """
    found: list[list[Pixels]] = []
    for start in range(0, len(numbers), batch):
        part = numbers[start : start + batch]
        rows: list[list[Pixels]] = [[] for _ in part]
        for index, at in enumerate(walk(part)):
            if index in kept:
                _append(rows, at.x0_hat)
            seen(len(part))
        _append(rows, at.x0_hat)
        found += rows
    return found


def _append(rows: list[list[Pixels]], x0_hat: Float64) -> None:
    for row, image in zip(rows, x0_hat, strict=True):
        row.append(from_unit(image))
