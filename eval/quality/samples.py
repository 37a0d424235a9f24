"""Sets of samples as measurements draw them."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from diffcodec.bitstream.types import Pixels
from diffcodec.eval.common.progress import progress_bar
from diffcodec.sampling.batches import drawn
from diffcodec.sampling.method import Method
from diffcodec.sampling.starts import new
from diffcodec.theory.denoiser import BatchDenoiser

BATCH = 32  # images in a call of the network


def samples(
    denoiser: BatchDenoiser, method: Method, size: int, count: int, seed: int, label: str
) -> Pixels:
    """(count, size, size, 3) uint8, from the same noise whatever the method.

    label: of the progress bar.
    """
    return _rows(denoiser, method, size, count, seed, label, ())[0]


def on_the_way(
    denoiser: BatchDenoiser, method: Method, size: int, count: int, seed: int, kept: Collection[int]
) -> list[Pixels]:
    """x0_hat of such samples at the visited states `kept` (0, 1, ...), in order, a set for each."""
    return _rows(denoiser, method, size, count, seed, "sampling", kept)[: len(kept)]


def _rows(
    denoiser: BatchDenoiser,
    method: Method,
    size: int,
    count: int,
    seed: int,
    label: str,
    kept: Collection[int],
) -> list[Pixels]:
    """A set for each kept state, and that of the last one."""
    walk = new(denoiser, method, (3, size, size), seed)
    total, done = count * len(method.levels), 0
    with progress_bar(label) as progress:

        def seen(images: int) -> None:
            nonlocal done
            done += images
            if progress is not None:
                progress(done, total)

        rows = drawn(walk, range(count), BATCH, seen, kept)
    return [np.stack(images) for images in zip(*rows, strict=True)]
