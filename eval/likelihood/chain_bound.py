"""The variational bound of a chain of few levels (diffcodec.archive.bound) of many tiles.

Draws come from numpy's Generator, seeded by the place of a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import cast

import numpy as np

from diffcodec.accounting.trace import Clock
from diffcodec.api import load_codec
from diffcodec.archive.bound import batches, bound
from diffcodec.archive.ending import chain_of_tile
from diffcodec.archive.model import tile_model
from diffcodec.bitstream.archive_header import ArchiveHeader
from diffcodec.bitstream.types import Float64, Pixels, Progress
from diffcodec.codec import Codec
from diffcodec.eval.common.processes import spread
from diffcodec.executors import executor
from diffcodec.theory.chain import choose_chain
from diffcodec.theory.denoiser import BatchDenoiser

Batch = tuple[int, Pixels]  # the number of the first tile; tiles (N, H, W, C) of one shape


def bounds(
    model: str,
    header: ArchiveHeader,
    tiles: Sequence[Pixels],
    processes: int,
    progress: Progress | None,
) -> Float64:
    """Bits of every tile, (H, W, C) uint8 each; neighbours of one shape run as a batch.

    header: of an archive, whose chain and residual they are.
    """
    parts = list(batches(tiles))
    bits = np.full(len(tiles), np.nan)
    with executor(processes) as pool:
        for i, part in spread(partial(_measurer, model, header), parts, pool):
            bits[parts[i][0] :][: len(part)] = part
            if progress is not None:
                progress(int(np.isfinite(bits).sum()), len(bits))
    return bits


def _measurer(model: str, header: ArchiveHeader) -> Callable[[Batch], Float64]:
    """With a network that is read once in a process."""
    return partial(_batch_bounds, load_codec(model, 1), header)


def _batch_bounds(codec: Codec, header: ArchiveHeader, batch: Batch) -> Float64:
    """Bits of each tile of a batch."""
    first, pixels = batch
    n, height, width, channels = pixels.shape
    shape = height, width, channels
    chain = chain_of_tile(header, choose_chain(header.chain_name, codec.tables), shape)
    denoiser = cast(BatchDenoiser, codec.denoiser)
    model = tile_model(denoiser, header, chain, shape, Clock())
    rng = np.random.default_rng([first, n])
    return bound(model, pixels, rng.standard_normal)
