"""x_0 given the last state, or given nothing, by the adaptive coder: strips in their order.

What a cut leaves are whole strips from the left, and the first rows of one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import TypeVar

import numpy as np

from diffcodec.bitstream.adaptive import Coded, Side, decode_strip, encode_strip
from diffcodec.bitstream.payload import Payload, PixelBlock
from diffcodec.bitstream.payload_writer import PixelCode
from diffcodec.bitstream.pixels import best_sigma, ideal_bits
from diffcodec.bitstream.strips import ADAPTIVE, Coding, strips
from diffcodec.bitstream.types import Ask, Pixels
from diffcodec.progressive.gaussian_residual import to_grid
from diffcodec.progressive.shared import Shared
from diffcodec.progressive.steps import Walk

Item = TypeVar("Item")
Result = TypeVar("Result")


def encode_adaptive(
    shared: Shared, walk: Walk | None, planes: Pixels, level: int, *, count: bool = False
) -> PixelCode:
    """The exact pixels of an image (C, H, W) at a level of bitstream.adaptive.LEVELS.

    walk: at the last state; None to code the image without any. count: what the discretized
    Gaussian would take, too.
    """

    def encode(columns: slice, ask: Ask) -> Coded:
        part = np.ascontiguousarray(planes[:, :, columns])
        return encode_strip(part, _side(walk, columns), level, shared.format, ask=ask)

    coded = list(_in_threads(encode, strips(shared.size[1]), shared.workers))
    return PixelCode(
        ADAPTIVE,
        [strip.data for strip in coded],
        Coding(level, walk is None),
        [strip.bits for strip in coded],
        _gaussian_bits(walk, planes) if count and walk is not None else [],
    )


def decode_adaptive(shared: Shared, walk: Walk | None, payload: Payload, planes: Pixels) -> None:
    """Write the pixels that are there over those of (C, H, W); not those of damaged strips."""
    coding = payload.coding
    assert coding is not None and (walk is None or walk.begun)

    def decode(job: tuple[PixelBlock, slice], stopped: Ask) -> None:
        block, columns = job
        if block.damaged or not (block.data or block.complete):
            return

        def ask() -> None:
            stopped()
            shared.deadline.check()

        ask()
        out = planes[:, :, columns]
        size = out.shape[1], out.shape[2]
        side = _side(walk, columns)
        values, count = decode_strip(
            block.data, block.complete, size, side, coding.level, shared.format, ask
        )
        if block.complete:
            out[:] = values
            return
        rows, rest = divmod(count, size[1])
        out[:, :rows] = values[:, :rows]
        out[:, rows : rows + 1, :rest] = values[:, rows : rows + 1, :rest]

    jobs = zip(payload.blocks, strips(shared.size[1]), strict=False)
    list(_in_threads(decode, jobs, shared.workers))


def _side(walk: Walk | None, columns: slice) -> Side | None:
    """What is known of a strip at the last state of a walk."""
    if walk is None:
        return None
    format = walk.shared.format
    means = to_grid(walk.x0_hat[:, :, columns], format.half)
    near = np.clip(walk.state.y[:, :, columns], -3, 3)  # from -peak to 2 peak grey levels
    noise = math.sqrt(walk.state.v) * (format.half / format.grey_level)
    return Side(means, to_grid(near, format.half), noise)


def _gaussian_bits(walk: Walk, planes: Pixels) -> list[float]:
    """L_0 of every strip by the discretized Gaussian around x0_hat, one sigma for the image.

    Of samples of more than 8 bits there is none.
    """
    if walk.shared.format.depth > 8:
        return []
    format, columns = walk.shared.format, strips(walk.shared.size[1])
    values = [planes[:, :, part].reshape(-1) for part in columns]
    means = [to_grid(walk.x0_hat[:, :, part], format.half).reshape(-1) for part in columns]
    sigma = best_sigma(np.concatenate(values), np.concatenate(means), format)
    return [ideal_bits(*part, sigma, format) for part in zip(values, means, strict=True)]


class _Stopped(Exception):
    """Another thread has failed, or the user is tired of waiting."""


def _in_threads(
    work: Callable[[Item, Ask], Result], items: Iterable[Item], workers: int
) -> Iterable[Result]:
    """The results of items, in their order; `work` calls what it is given, and is to end if it
    raises."""
    stop = Event()

    def ask() -> None:
        if stop.is_set():
            raise _Stopped

    if workers == 1:
        return (work(item, ask) for item in items)
    with ThreadPoolExecutor(workers) as pool:
        try:
            return list(pool.map(lambda item: work(item, ask), items))
        finally:
            stop.set()  # otherwise Ctrl-C waits for a strip, which may be thousands of rows high
