"""A codec without training: a Gaussian source, its optimal denoiser, and its exact tables."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diffcodec.bitstream.types import Float32
from diffcodec.codec import Codec
from diffcodec.network.tables import optimise
from diffcodec.theory.chain import Tables
from diffcodec.theory.denoiser import GaussianDenoiser

SIZE = (3, 32, 32)
SPREAD = 0.25  # of x0: pixels stay inside 0..255 nearly always


def source() -> GaussianDenoiser:
    """A stationary source with a falling spectrum, like an image's."""
    rows, columns = np.meshgrid(np.arange(32), np.arange(32), indexing="ij")
    spectrum = 1 / (1 + 0.3 * (rows**2 + columns**2))
    variance = np.stack([spectrum, 0.2 * spectrum, 0.2 * spectrum])
    return GaussianDenoiser(0.0, SPREAD**2 * variance / variance.mean(), basis="dct")


def tables(denoiser: GaussianDenoiser) -> Tables:
    """D(v) in closed form and the chains that follow from it."""
    v = (np.geomspace(0.8, 1000, 40) / 127.5) ** 2
    mse = np.array([denoiser.mse(level) for level in v])
    pixel_bpd = np.where(v < (4 / 127.5) ** 2, 0.5 * np.log2(2 * np.pi * np.e * v) + 7, np.inf)
    bare = Tables((0.0, 0.0, 0.0), float(denoiser.variance.mean()), v, mse, {})
    return Tables(bare.prior_mean, bare.prior_variance, v, mse, optimise(bare, pixel_bpd))


class AnySize:
    """The optimal denoiser for whole images; for others one that knows only the spread."""

    def __init__(self) -> None:
        self.whole, self.other = source(), GaussianDenoiser(0.0, SPREAD**2)

    def __call__(self, y: Float32, v: float) -> Float32:
        return (self.whole if y.shape == SIZE else self.other)(y, v)

    def batch(self, y: Float32, v: float | NDArray[np.float64]) -> Float32:
        return (self.whole if y.shape[1:] == SIZE else self.other).batch(y, v)


def gaussian_codec() -> Codec:
    """The codec of this source."""
    return Codec(AnySize(), tables(source()), name="gaussian", fingerprint=b"gaussian", workers=1)


def gaussian_image(seed: int = 0) -> NDArray[np.uint8]:
    """An image drawn from the source, (32, 32, 3) uint8."""
    x0 = source().sample(1, SIZE, np.random.default_rng(seed))[0]
    grey = np.rint(np.clip((x0 + 1) * 127.5, 0, 255)).astype(np.uint8)
    return np.ascontiguousarray(grey.transpose(1, 2, 0))
