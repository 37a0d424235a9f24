"""Starts of the adaptive residual coder: what its model has learnt after many photographs.

    python -m diffcodec.training.starts --photos photos/train-a --cifar10 cifar10

Image after image is coded, each as a strip of its own, and the mean of what the model had learnt
after each of the later ones is the start. Half of the images are taken through whole luminance and
chrominance numbers first, as most photographs that people have were. Small images are CIFAR-10's,
with its network. The whole takes some 20 minutes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from diffcodec.bitstream.adaptive import Side, encode_strip
from diffcodec.bitstream.adaptive.fits import WHOLE
from diffcodec.bitstream.adaptive.level import GRIDS
from diffcodec.bitstream.adaptive.starts import (
    FILE,
    NOISES,
    SMALL_LEVEL,
    pack,
    start_name,
    untrained,
    views,
)
from diffcodec.bitstream.adaptive.strip import SEGMENT
from diffcodec.bitstream.pixels import GRID
from diffcodec.bitstream.sample_format import RGB8
from diffcodec.bitstream.types import Float32, Pixels
from diffcodec.data import load_images
from diffcodec.exact.denoiser import ExactDenoiser
from diffcodec.zoo import load_graph

LARGE_IMAGES, SMALL_IMAGES = 64, 1600
SAMPLES = {False: 100.0, True: 300.0}  # that the sums of a start count as, by small
SPREAD = 0.35  # octaves of noise around each of NOISES


def gridded(image: Pixels, grid: int) -> Pixels:
    """An image (H, W, 3) whose colours were whole numbers of a transform of GRIDS."""
    to = np.array(GRIDS[grid])[:, [1, 0, 2]]
    whole = np.rint(image @ to.T)
    back: Pixels = np.clip(np.rint(whole @ np.linalg.inv(to).T), 0, 255).astype(np.uint8)
    return back


def side_of(denoiser: ExactDenoiser, planes: Pixels, sigma: float, seed: int) -> Side:
    """A state of planes (3, H, W) at a noise of sigma grey levels, and its x0_hat."""
    rng = np.random.default_rng(seed)
    y = planes.astype(np.float32) / np.float32(127.5) - 1
    y += rng.standard_normal(y.shape, dtype=np.float32) * np.float32(sigma / 127.5)
    x0_hat = np.clip(denoiser(y, (sigma / 127.5) ** 2), -1, 1)
    means, states = (np.rint((a.astype(np.float64) + 1) * (127.5 * GRID)) for a in (x0_hat, y))
    return Side(means.astype(np.int32), states.astype(np.int32), sigma)


def prepared(images: Sequence[Pixels], count: int, seed: int) -> Iterator[Pixels]:
    """Planes (3, H, W) of so many images, half of them on a grid of colours."""
    rng = np.random.default_rng(seed)
    for index in rng.permutation(len(images))[:count]:
        image = images[index]
        if rng.random() < 0.5:
            image = gridded(image, int(rng.choice(len(GRIDS), p=[0.5, 0.1, 0.1, 0.3])))
        yield np.ascontiguousarray(image.transpose(2, 0, 1))


def train(
    images: Sequence[Pixels], denoiser: ExactDenoiser | None, level: int, noise: float, small: bool
) -> Float32:
    """The start (3, learnt_size) of a level at a noise; denoiser: None for no state."""
    count = SMALL_IMAGES if small else LARGE_IMAGES
    run = untrained(level, 3)
    gram = views(run, level)["gram"]
    mean, sums, samples = np.zeros(run.shape), np.zeros(gram.shape), 0.0
    for number, planes in enumerate(prepared(images, count, seed=1)):
        side = None
        if denoiser is not None:
            octaves = np.random.default_rng(number).uniform(-SPREAD, SPREAD)
            side = side_of(denoiser, planes, noise * 2**octaves, number)
        gram[...] = begun = (sums * (SAMPLES[small] / max(1.0, samples))).astype(np.float32)
        encode_strip(planes, side, level, RGB8, learnt=run)
        segments = planes.shape[1] * -(-planes.shape[2] // SEGMENT)
        kept = WHOLE**segments
        sums += gram - kept * begun
        samples += SEGMENT * (1 - kept) / (1 - WHOLE)
        if number >= count // 4:
            mean += run
    start = (mean / (count - count // 4)).astype(np.float32)
    views(start, level)["gram"][...] = sums * (SAMPLES[small] / samples)
    return start


@click.command()
@click.option("--photos", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--cifar10", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--out", type=click.Path(path_type=Path), default=FILE, show_default=True)
def main(photos: Path, cifar10: Path, out: Path) -> None:
    """Train all starts and write them to a file."""
    jobs = [
        (level, small, noise)
        for small in (False, True)
        for level in ((SMALL_LEVEL,) if small else (1, 0, 2))
        for noise in (None, *NOISES)
    ]
    networks = {small: ExactDenoiser(load_graph(["photo", "cifar10"][small])) for small in (0, 1)}
    images = {False: load_images(photos), True: load_images(cifar10, "train-00", tile=32)}
    starts: dict[str, NDArray[Any]] = {}
    for level, small, noise in jobs:
        name = start_name(level, small, noise)
        denoiser = None if noise is None else networks[small]
        start = train(images[small], denoiser, level, noise or 1.0, small)
        starts |= {f"{name}/{part}": value for part, value in pack(start, level).items()}
        click.echo(name)
        np.savez_compressed(out, allow_pickle=False, **starts)


if __name__ == "__main__":
    main()
