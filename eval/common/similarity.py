"""MS-SSIM (Wang, Simoncelli and Bovik 2003), as CompressAI reports it: pytorch-msssim's."""

from __future__ import annotations

import importlib.util
import math

import numpy as np
from numpy.typing import NDArray

SMALLEST = 161  # pixels a side: five scales, halved each time, of an 11-pixel window


def available() -> bool:
    """Is pytorch-msssim installed? It comes with the extra "eval"."""
    return importlib.util.find_spec("pytorch_msssim") is not None


def large_enough(shape: tuple[int, ...]) -> bool:
    """May an image of shape (H, W, C) have an MS-SSIM?"""
    return min(shape[:2]) >= SMALLEST


def ms_ssim(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float | None:
    """MS-SSIM of two (H, W, C) uint8 images, 1 where they are equal, mean over the channels.

    None where a side is below SMALLEST pixels, or pytorch-msssim is not installed.
    """
    if not large_enough(a.shape) or not available():
        return None
    import torch
    from pytorch_msssim import ms_ssim as measure

    pair = [torch.from_numpy(p.transpose(2, 0, 1)[None].astype(np.float32)) for p in (a, b)]
    with torch.no_grad():
        value = float(measure(*pair, data_range=255.0))
    return value if math.isfinite(value) else None
