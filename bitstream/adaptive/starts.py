"""What the model starts from: trained on photographs, by level, noise of the state and size.

A start is a run of singles for each channel in coding order (level.py says what they are). The
trained ones, in starts.npz, are part of the format: `python -m diffcodec.training.starts` made
them.
"""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffcodec.bitstream.adaptive.level import LANES, LEVELS, layout, learnt_size
from diffcodec.bitstream.types import Float32

FILE = Path(__file__).parent / "starts.npz"
NOISES = (0.8, 1.6, 3.2, 6.4)  # grey levels of the state that starts are trained for
BETWEEN = (1.13, 2.26, 4.53)  # where the next one is nearer
SMALL = 64 * 64  # pixels of a strip up to which it starts as small ones do
SMALL_LEVEL = 2  # the only level that has such starts

FRESH_RATE = 0.03  # of mixing weights that have seen nothing,
RATE = 0.003  # and of those that start trained
TRUST = 0.2  # weight of a table at first
SEEN = 20  # how often at most an entry of a trained table was met
# What is stored as a whole number of so much, at most 127 of them; and how, where it differs.
STEPS = {"mixer": 1 / 100, "last": 1 / 128, "correction": 1 / 16, "plain": 1 / 16}


def start_of(level: int, channels: int, pixels: int, sigma: float | None) -> Float32:
    """(channels, learnt_size) to begin a strip with; sigma: of the state in grey levels, or None.

    Channels beyond the third start as the first one. A start knows sums of regressors of three
    channels only.
    """
    small = pixels <= SMALL and level == SMALL_LEVEL
    start = _trained(start_name(level, small, sigma))
    run = start[[c if c < 3 else 0 for c in range(channels)]]
    if channels != 3:
        views(run, level)["gram"][...] = 0
    return run


def start_name(level: int, small: bool, sigma: float | None) -> str:
    """As the file names it."""
    noise = "none" if sigma is None else str(sum(sigma >= edge for edge in BETWEEN))
    return f"{level}-{'small' if small else 'large'}-{noise}"


def untrained(level: int, channels: int) -> Float32:
    """(channels, learnt_size): the experts' mean, and nothing in the tables."""
    model = LEVELS[level]
    run = np.zeros((channels, learnt_size(model)), np.float32)
    parts = views(run, level)
    tables = LANES * model.experts
    parts["mixer"][..., : model.fits + 2] = 1 / (model.fits + 2)
    parts["mixer"][..., tables : tables + model.tables] = TRUST
    parts["rate"][...] = FRESH_RATE
    parts["power"][...] = 0.2
    parts["last"][..., : model.sets] = 1 / model.sets
    parts["correction"][...] = _identity()
    parts["factor"][...] = 1
    parts["scale"][..., 1] = 1
    return run


def views(run: Float32, level: int) -> dict[str, Float32]:
    """The parts of a run (channels, learnt_size), each (channels, ...)."""
    return {
        name: run[:, at : at + math.prod(shape)].reshape(len(run), *shape)
        for name, (at, shape) in layout(LEVELS[level]).items()
    }


def pack(run: Float32, level: int) -> dict[str, NDArray[Any]]:
    """A trained run in few bits: whole numbers of STEPS, halves, singles for the sums."""
    parts = {name: part.copy() for name, part in views(run, level).items() if name != "rate"}
    parts["correction"] -= _identity()
    seen = np.minimum(parts["plain"][..., 1], SEEN).astype(np.uint8)
    packed: dict[str, NDArray[Any]] = {"seen": seen, "gram": parts.pop("gram")}
    parts["plain"] = parts["plain"][..., 0]
    for name, part in parts.items():
        if name in STEPS:
            packed[name] = np.clip(np.rint(part / STEPS[name]), -127, 127).astype(np.int8)
        else:
            packed[name] = part.astype(np.float16)
    return packed


def unpack(packed: dict[str, NDArray[Any]], level: int) -> Float32:
    """What `pack` made, (3, learnt_size)."""
    run = untrained(level, 3)
    parts = views(run, level)
    parts["rate"][...] = RATE
    parts["plain"][..., 1] = packed["seen"]
    for name, values in packed.items():
        if name == "plain":
            parts[name][..., 0] = values * np.float32(STEPS[name])
        elif name != "seen":
            parts[name][...] = values * np.float32(STEPS.get(name, 1))
    parts["correction"] += _identity()
    return run


@lru_cache(maxsize=4)
def _trained(name: str) -> Float32:
    """The start of that name, read-only."""
    with np.load(FILE) as file:
        packed = {k.partition("/")[2]: file[k] for k in file.files if k.startswith(name + "/")}
    run = unpack(packed, int(name[0]))
    run.flags.writeable = False
    return run


def _identity() -> Float32:
    """What a correction says before it has learnt."""
    return ((np.arange(33) - 16) * 0.5).astype(np.float32)
