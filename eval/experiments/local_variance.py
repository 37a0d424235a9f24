"""What a variance of x0_hat for every pixel would save, instead of one for the image.

The residual shows it for free: E|y - x0_hat|^2 = v - D for the conditional mean (Stein), so where
the residual is small, x0_hat is uncertain. Pixels are put into classes by the mean of the residual
around them, which both sides know; each class has a variance of its own, found on the very pixels
that it codes. That is more than a codec could have, so the savings are upper ends of what this
evidence holds.

    python -m diffcodec.eval.experiments.local_variance photo kodak/ --crop 256 \\
        --json local-variance.json
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np

from diffcodec.bitstream.pixels import GRID, best_sigma, ideal_bits
from diffcodec.bitstream.types import Float64, Pixels
from diffcodec.data import digest
from diffcodec.eval.common import options
from diffcodec.eval.common.images import load_pixels
from diffcodec.eval.common.results import Result, provenance, write_result
from diffcodec.theory.chain import CHAIN_LENGTHS, Tables
from diffcodec.theory.denoiser import BatchDenoiser
from diffcodec.theory.gaussian import mi_bpd
from diffcodec.theory.units import GREY, to_x0

CLASSES = 16
REACH = 9  # side of the square, over all channels, whose residuals are averaged
SAMPLE = 8  # steps of a chain that are looked at
HANDOVERS = (0.5, 0.8, 1.2)  # grey levels at which the exact pixels may follow


def classes(y: Float64, x0_hat: Float64) -> Float64:
    """The class of every pixel of (C, H, W), 0 .. CLASSES - 1, equally many in each."""
    from scipy.ndimage import uniform_filter

    energy = uniform_filter((y - x0_hat) ** 2, (len(y), REACH, REACH), mode="nearest")
    edges = np.quantile(energy, np.linspace(0, 1, CLASSES + 1)[1:-1])
    return np.asarray(np.digitize(energy, edges))


def of_steps(denoiser: BatchDenoiser, pixels: Pixels, chain: tuple[float, ...]) -> float:
    """Share of the ideal bits of a chain's steps that classes save, from SAMPLE of its steps."""
    one = many = 0.0
    for i in range(2, len(chain) - 1, max(1, len(chain) // SAMPLE)):
        gain = 1 / chain[i + 1] - 1 / chain[i]
        for y, x0_hat, x_0 in _denoised(denoiser, pixels, chain[i]):
            error, kind = (x0_hat - x_0) ** 2, classes(y, x0_hat)
            parts = [error[kind == c] for c in range(CLASSES)]
            one += float(mi_bpd(gain * error.mean()))
            many += sum(len(e) / error.size * float(mi_bpd(gain * e.mean())) for e in parts)
    return 1 - many / one


def of_pixels(denoiser: BatchDenoiser, pixels: Pixels, sigma_grey: float) -> dict[str, float]:
    """Bits/dim of the exact pixels with one deviation, and with one for each class."""
    one = many = 0.0
    for y, x0_hat, x_0 in _denoised(denoiser, pixels, (sigma_grey / GREY) ** 2):
        truth = np.rint((x_0 + 1) * GREY).astype(np.uint8).reshape(-1)
        means = np.rint((x0_hat + 1) * (GREY * GRID)).astype(np.int32).reshape(-1)
        kind = classes(y, x0_hat).reshape(-1)
        one += ideal_bits(truth, means, best_sigma(truth, means))
        for c in range(CLASSES):
            x, m = truth[kind == c], means[kind == c]
            many += 8 + ideal_bits(x, m, best_sigma(x, m))  # 8 bits for the deviation
    return {
        "handover_grey": sigma_grey,
        "one_bpd": one / pixels.size,
        "classes_bpd": many / pixels.size,
    }


def _denoised(
    denoiser: BatchDenoiser, pixels: Pixels, v: float
) -> Iterator[tuple[Float64, Float64, Float64]]:
    """(y, x0_hat, x_0), each (C, H, W) float64, image by image."""
    rng = np.random.default_rng(0)
    for image in pixels:
        x_0 = to_x0(image[None])
        y = (x_0 + np.sqrt(v) * rng.standard_normal(x_0.shape)).astype(np.float32)
        x0_hat = denoiser.batch(y, v).astype(np.float64).clip(-1, 1)
        yield y[0].astype(np.float64), x0_hat[0], x_0[0]


@options.measurement
@click.argument("model")
@options.data_argument
@options.split_option
@options.count_option(6)
@options.tile_option
@options.crop_option
@options.json_option
def main(
    model: str, data: Path, split: str, count: int, tile: int, crop: int, json_path: Path | None
) -> None:
    """What MODEL's chains and exact pixels would save on DATA by a variance for every pixel."""
    from diffcodec.exact.denoiser import ExactDenoiser
    from diffcodec.zoo import load_graph

    graph = load_graph(model)
    tables = Tables.of(graph.facts["tables"])
    pixels = load_pixels(data, split, count, tile, crop)
    network = ExactDenoiser(graph)
    lengths = [k for k in CHAIN_LENGTHS if k > SAMPLE and str(k) in tables.chains]
    result: Result = {
        "dataset": {"name": data.name, "images": len(pixels), "sha256": digest(list(pixels))},
        "model": {"name": network.name, "fingerprint": network.fingerprint},
        "classes": CLASSES,
        "steps": [
            {"steps": k, "saved": of_steps(network, pixels, tables.chains[str(k)])} for k in lengths
        ],
        "pixels": [of_pixels(network, pixels, sigma) for sigma in HANDOVERS],
        **provenance(__name__, threads=network.threads, processes=1),
    }
    write_result(json_path, result)
    for row in result["steps"]:
        click.echo(f"{row['steps']:4} steps: {row['saved']:.2%} of their bits saved")
    for row in result["pixels"]:
        click.echo(
            "exact pixels from {handover_grey:g} grey levels: {one_bpd:.4f} bits/dim, "
            "with classes {classes_bpd:.4f}".format(**row)
        )


if __name__ == "__main__":
    main()
