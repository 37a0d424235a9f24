"""What the integers of a network cost: x0_hat beside the float network's, on noisy images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffcodec.bitstream.types import Float32, Progress
from diffcodec.exact.denoiser import ExactDenoiser
from diffcodec.exact.stored import AnyGraph
from diffcodec.network.checkpoint import Checkpoint
from diffcodec.network.denoiser import NetworkDenoiser
from diffcodec.theory.units import GREY, to_x0

Denoiser = NetworkDenoiser | ExactDenoiser

SIGMAS_GREY = (1.0, 5.0, 25.0, 100.0)  # noise, in grey levels


@dataclass(frozen=True)
class Cost:
    """PSNR of x0_hat at a noise, in dB, by the float network and by its integers.

    Over all pixels; x0_hat is not rounded to grey levels.
    """

    sigma_grey: float
    float_db: float
    exact_db: float

    def __str__(self) -> str:
        change, sigma = self.exact_db - self.float_db, self.sigma_grey
        return f"{change:+.3f} dB of {self.float_db:.2f} dB at noise {sigma:g}"


def measure_cost(
    checkpoint: Checkpoint,
    graph: AnyGraph,
    images: Sequence[NDArray[np.uint8]],
    progress: Progress | None = None,
) -> list[Cost]:
    """The cost on images (H, W, 3) at SIGMAS_GREY; both see the same noise.

    progress(evaluations done, of).
    """
    networks: tuple[Denoiser, ...] = NetworkDenoiser(checkpoint), ExactDenoiser(graph)
    squares = np.zeros((len(SIGMAS_GREY), len(networks)))
    rng, done = np.random.default_rng(0), 0
    for image in images:
        x0 = to_x0(image[None])[0]
        for level, sigma in enumerate(SIGMAS_GREY):
            noise = rng.standard_normal(x0.shape) * (sigma / GREY)
            y: Float32 = (x0 + noise).astype(np.float32)
            for which, network in enumerate(networks):
                error = network(y, (sigma / GREY) ** 2) - x0
                squares[level, which] += np.mean(error**2) / len(images)
            done += 1
            if progress:
                progress(done, len(images) * len(SIGMAS_GREY))
    psnr = -10 * np.log10(squares / 4)  # x0 lies in -1 .. 1
    return [Cost(s, float(a), float(b)) for s, (a, b) in zip(SIGMAS_GREY, psnr, strict=True)]
