"""How alike two images are by other measures than the squared error: all that are reported.

To add one, write it here, give it an entry in SIMILARITIES, a field in `coded.Point` and its name
in `cli/plot.py`: results, mean curves and plots follow.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from diffcodec.bitstream.types import Pixels

SMALLEST = 161  # pixels a side: five scales, halved each time, of an 11-pixel window


@dataclass(frozen=True)
class Similarity:
    """One measure.

    field: of `coded.Point` and of records; columns: its name in results, and then in files of
    others; label: of a plot's axis. applies: may an image of this shape (H, W, C) have one?
    of: the value for two (H, W, C) uint8 images, the original first, None where it does not apply;
    drawn: a value as plots show it, None where that is infinite.
    """

    field: str
    columns: tuple[str, ...]
    label: str
    applies: Callable[[tuple[int, ...]], bool]
    of: Callable[[Pixels, Pixels], float | None]
    drawn: Callable[[float], float | None]


def available() -> bool:
    """Is pytorch-msssim installed? It comes with the extra "eval"."""
    return importlib.util.find_spec("pytorch_msssim") is not None


def large_enough(shape: tuple[int, ...]) -> bool:
    """May an image of shape (H, W, C) have an MS-SSIM?"""
    return min(shape[:2]) >= SMALLEST


def ms_ssim(a: Pixels, b: Pixels) -> float | None:
    """MS-SSIM (Wang, Simoncelli and Bovik 2003) of two (H, W, C) uint8 images, 1 where equal.

    The mean over the channels, as CompressAI reports it: pytorch-msssim's. None where a side is
    below SMALLEST pixels, or pytorch-msssim is not installed.
    """
    if not _applies(a.shape):
        return None
    import torch
    from pytorch_msssim import ms_ssim as measure

    pair = [torch.from_numpy(p.transpose(2, 0, 1)[None].astype(np.float32)) for p in (a, b)]
    with torch.no_grad():
        value = float(measure(*pair, data_range=255.0))
    return value if math.isfinite(value) else None


def _applies(shape: tuple[int, ...]) -> bool:
    return large_enough(shape) and available()


def _decibels(value: float) -> float | None:
    return -10 * math.log10(1 - value) if value < 1 else None


SIMILARITIES = {
    "ms-ssim": Similarity(
        "ms_ssim",
        ("ms-ssim-rgb", "ms-ssim"),
        "MS-SSIM, -10 log10(1 - x) [dB]",
        _applies,
        ms_ssim,
        _decibels,
    )
}


def similarities(original: Pixels, image: Pixels) -> dict[str, Any]:
    """All of two (H, W, C) uint8 images, a number or None by field."""
    return {one.field: one.of(original, image) for one in SIMILARITIES.values()}
