"""Independent Gaussian pixels and their optimal denoiser: a source whose bound is known."""

from __future__ import annotations

from typing import Any

import numpy as np

from diffcodec.bitstream.types import Pixels
from diffcodec.eval.likelihood.nll import Terms, evaluate
from diffcodec.eval.likelihood.plan import Settings, images_of
from diffcodec.theory.denoiser import GaussianDenoiser

SETTINGS = Settings(steps=30, sigma2="beta_tilde")
SOURCE = GaussianDenoiser(0.0, (40 / 127.5) ** 2)


def source_images(n: int, shape: tuple[int, int, int] = (4, 4, 3), seed: int = 0) -> list[Pixels]:
    """Independent Gaussian pixels, as SOURCE draws them, rounded."""
    rng = np.random.default_rng((seed, 1))
    x = 127.5 + 40 * rng.standard_normal((n, *shape))
    return list(np.rint(x.clip(0, 255)).astype(np.uint8))


def named(pixels: list[Pixels]) -> list[tuple[str, Pixels]]:
    """With names, as `images_of` takes them."""
    return [(f"image {i}", p) for i, p in enumerate(pixels)]


def terms_of(
    pixels: list[Pixels], settings: Settings = SETTINGS, size: int = 64, **options: Any
) -> Terms:
    """The bound of images under SOURCE, or another denoiser; size: (image, t) pairs in a batch."""
    images = images_of(named(pixels), settings, "00ff")
    terms = evaluate(
        options.pop("denoiser", SOURCE), images, settings, batch=lambda _: size, **options
    )
    assert terms is not None
    return terms
