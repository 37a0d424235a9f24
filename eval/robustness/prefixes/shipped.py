"""Prefixes of files of shipped networks: all of small ones, random ones of large ones."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from diffcodec.bitstream.types import Pixels
from diffcodec.codec import Codec
from diffcodec.eval.robustness.prefixes.prefix import every, measure, summary


@dataclass(frozen=True, eq=False)
class Large:
    """An image (H, W, C) to encode with a network, and how many of its file's prefixes are decoded,
    drawn from a seed; None: all.
    """

    name: str
    model: str
    pixels: Pixels
    count: int | None
    seed: int = 0


def sizes_of(codec: Codec, data: bytes, count: int, seed: int) -> list[int]:
    """Random sizes, without the whole: any, more short ones, and some beside the ends of steps."""
    rng = np.random.default_rng(seed)
    ends = codec.open(data).step_ends or [len(data)]
    chosen = set[int]()
    while len(chosen) < min(count, len(data) - 1):
        way = len(chosen) % 3
        if way == 0:
            size = int(rng.integers(1, len(data)))
        elif way == 1:
            size = int(len(data) ** float(rng.uniform()))
        else:
            size = int(rng.choice(ends)) + int(rng.integers(-2, 3))
        chosen |= {size} if 0 < size < len(data) else set()
    return sorted(chosen)


@lru_cache(maxsize=1)
def codec_of(model: str) -> Codec:
    """Of one thread, once in a process."""
    return Codec.from_pretrained(model, threads=1)


def shipped_row(job: Large) -> dict[str, Any]:
    """Random prefixes, each by itself, or all of them; and the whole."""
    codec = codec_of(job.model)
    data = codec.encode(job.pixels, effort="fast")
    otherwise = list[int]()
    if job.count is None:
        prefixes, otherwise = every(codec, data, range(len(data) + 1), job.pixels)
    else:
        sizes = [*sizes_of(codec, data, job.count, job.seed), len(data)]
        prefixes = [measure(codec, data, size, job.pixels) for size in sizes]
    about = {"name": job.name, "model": job.model, "shape": list(job.pixels.shape)}
    return {**about, **summary(data, prefixes), "otherwise": otherwise}


def centre(pixels: Pixels, side: int) -> Pixels:
    """The middle (side, side, C), or what there is."""
    height, width = (min(side, length) for length in pixels.shape[:2])
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    return np.ascontiguousarray(pixels[top : top + height, left : left + width])
