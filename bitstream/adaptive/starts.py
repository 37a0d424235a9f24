"""What the model starts from: trained on photographs, by level and by the noise of the state.

A start is a run of singles for each channel in coding order (level.py says what they are). The
trained ones are part of the format: FORMAT-residual.md names the file.
"""

from __future__ import annotations

import math

import numpy as np

from diffcodec.bitstream.adaptive.level import LANES, LEVELS, layout, learnt_size
from diffcodec.bitstream.types import Float32

RATE = 0.03  # of mixing weights that have seen nothing
TRUST = 0.2  # weight of a table


def untrained(level: int, channels: int) -> Float32:
    """(channels, learnt_size): the experts' mean, and nothing in the tables."""
    model = LEVELS[level]
    run = np.zeros((channels, learnt_size(model)), np.float32)
    parts = views(run, level)
    share = 1 / (model.fits + 2)
    tables = LANES * model.experts
    parts["mixer"][..., : model.fits + 2] = share
    parts["mixer"][..., tables : tables + model.tables] = TRUST
    parts["rate"][...] = RATE
    parts["power"][...] = 0.2
    parts["last"][..., : model.sets] = 1 / model.sets
    parts["correction"][...] = (np.arange(33) - 16) * 0.5
    parts["factor"][...] = 1
    parts["scale"][..., 1] = 1
    return run


def views(run: Float32, level: int) -> dict[str, Float32]:
    """The parts of a run (channels, learnt_size), each (channels, ...)."""
    return {
        name: run[:, at : at + math.prod(shape)].reshape(len(run), *shape)
        for name, (at, shape) in layout(LEVELS[level]).items()
    }


def start_of(level: int, channels: int, sigma: float | None) -> Float32:
    """(channels, learnt_size) to begin with; sigma: of the state in grey levels, None without."""
    return untrained(level, channels)
