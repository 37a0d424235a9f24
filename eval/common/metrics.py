"""Distortion and rate, on what a user holds: 8-bit pixels and whole files.

Two conventions of "mean PSNR" are in use and differ by decibels, so both are named: the *mean of
PSNRs* averages the images' decibels (what CompressAI tables hold, "psnr-rgb" in results), the
*pooled PSNR* is the PSNR of all samples' squared errors taken together ("psnr-rgb-pooled"), which
the worst images dominate. Rates are means over images of bits per pixel.

An exact image has no PSNR: None stands for it, so that no Infinity can enter a JSON file. Other
measures than the squared error, MS-SSIM for one, are in similarity.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from diffcodec.bitstream.types import Pixels

PEAK = 255.0


def mse(a: Pixels, b: Pixels) -> float:
    """Mean squared error in grey levels squared of two (H, W, C) uint8 images."""
    if a.dtype != np.uint8 or b.dtype != np.uint8:
        raise TypeError("the error is measured on 8-bit pixels, as they would be saved")
    if a.shape != b.shape:
        raise ValueError(f"images of different shape: {a.shape} and {b.shape}")
    difference = a.astype(np.int32) - b  # at most 255, squared and summed exactly below
    return float(np.mean(np.square(difference), dtype=np.float64))


def rmse_grey(mse_grey2: float) -> float:
    """Root of an MSE: the typical error of a sample in grey levels (0..255)."""
    return math.sqrt(mse_grey2)


def psnr(mse_grey2: float) -> float | None:
    """PSNR in dB of an MSE in grey levels squared, peak 255; None for an exact image."""
    return 10 * math.log10(PEAK**2 / mse_grey2) if mse_grey2 > 0 else None


def mean_psnr(mses: Sequence[float]) -> float | None:
    """Mean of the images' PSNRs in dB; None if one of them is exact, as the mean is infinite."""
    decibels = [psnr(m) for m in mses]
    finite = [d for d in decibels if d is not None]
    return math.fsum(finite) / len(finite) if finite and len(finite) == len(decibels) else None


def pooled_psnr(mses: Sequence[float], samples: Sequence[int]) -> float | None:
    """PSNR in dB of all images' squared errors together; None if all are exact.

    `samples`: height * width * channels of each image, its weight.
    """
    return psnr(_pooled(mses, samples))


def pooled_rmse(mses: Sequence[float], samples: Sequence[int]) -> float:
    """RMSE in grey levels (0..255) of all images' squared errors together."""
    return rmse_grey(_pooled(mses, samples))


def _pooled(mses: Sequence[float], samples: Sequence[int]) -> float:
    return math.fsum(m * n for m, n in zip(mses, samples, strict=True)) / sum(samples)


def bpp(file_bytes: float, shape: tuple[int, ...]) -> float:
    """Bits per pixel of an image of shape (H, W, C): the whole file, header and all."""
    return 8 * file_bytes / (shape[0] * shape[1])


def bpd(file_bytes: float, shape: tuple[int, ...]) -> float:
    """Bits per dimension, that is per sub-pixel, of shape (H, W, C): the whole file."""
    return 8 * file_bytes / math.prod(shape)


def mean_and_error(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean over images and its standard error; None for a single image."""
    mean = math.fsum(values) / len(values)
    if len(values) < 2:
        return mean, None
    variance = math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1)
    return mean, math.sqrt(variance / len(values))
