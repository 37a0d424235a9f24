"""Strips for tests of the adaptive coder: samples, a state, and a start with something in all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from diffcodec.bitstream.adaptive.starts import untrained, views
from diffcodec.bitstream.types import Float32, Int32, UInt16
from tests.synthetic import synthetic_image

IMAGES = Path(__file__).parent / "images"
Coder = Callable[..., tuple[int, int, float]]  # the kernel, or numpy


@dataclass(frozen=True)
class Case:
    """A strip (h, w, C); sigma: of the state in grey levels, 0 without one."""

    level: int
    size: tuple[int, int, int]
    content: str = "waves"
    sigma: float = 0.0
    shift: int = 0
    period: int = 1
    grid: int = 0


@dataclass(frozen=True)
class Outcome:
    """What a coder returned, and all that it wrote."""

    done: int
    size: int
    bits: float
    samples: UInt16
    learnt: Float32
    data: bytes


def samples_of(case: Case) -> UInt16:
    """(h, w, C) of a case."""
    height, width, channels = case.size
    rng = np.random.default_rng(len(case.content))
    if case.content in ("flowers", "city"):
        image = np.asarray(Image.open(IMAGES / f"{case.content}.png"))
        values = image.reshape(*image.shape[:2], -1)[3:, 5:][:height, :width, :channels]
    elif case.content == "noise":
        values = rng.integers(0, 256, case.size, np.uint8)
    elif case.content == "board":
        values = (np.indices(case.size).sum(axis=0) % 2 * 255).astype(np.uint8)
    elif case.content == "flat":
        values = np.full(case.size, 77, np.uint8)
    else:
        values = synthetic_image(height, width, channels, seed=case.level)
    fine = values.astype(np.uint16) << case.shift
    return fine + rng.integers(0, 1 << case.shift, fine.shape, np.uint16)


def known_of(case: Case, samples: UInt16) -> tuple[Int32, Int32]:
    """x0_hat and the state (C, h, w) in 1/32 sample; empty without a state."""
    if not case.sigma:
        return np.empty(0, np.int32), np.empty(0, np.int32)
    rng = np.random.default_rng(1)
    values, step, top = samples.transpose(2, 0, 1), 1 << case.shift, (256 << case.shift) - 1
    noise = case.sigma * step * rng.standard_normal((2, *values.shape))
    estimate = np.rint(32 * np.clip(values + 0.4 * noise[0], 0, top)).astype(np.int32)
    state = np.rint(32 * np.clip(values + noise[1], -top, 2 * top)).astype(np.int32)
    return estimate, state


def start_of(level: int, channels: int) -> Float32:
    """(channels, learnt_size): an untrained start, and noise in everything."""
    run, rng = untrained(level, channels), np.random.default_rng(2)
    parts = views(run, level)
    for name in ("mixer", "last", "correction", "scale", "filter"):
        parts[name][...] += 0.03 * rng.standard_normal(parts[name].shape, np.float32)
    plain = parts["plain"]
    plain[..., 0] = 0.2 * rng.standard_normal(plain.shape[:-1], np.float32)
    plain[..., 1] = rng.integers(0, 257, plain.shape[:-1])
    parts["factor"][...] += 0.5 * rng.random(parts["factor"].shape, np.float32)
    return run


def code(
    coder: Coder, case: Case, data: bytes | None = None, *, cut: bool = False, room: int = 1 << 14
) -> Outcome:
    """Encode a case, or decode data as if it were of that case; room: for the code."""
    samples = samples_of(case)
    known = known_of(case, samples)
    height, width, channels = case.size
    learnt, decoding = start_of(case.level, channels), data is not None
    buffer = bytearray(room if data is None else data)
    if decoding:
        samples[:] = 0
    colours, sigma = (case.period, case.grid), case.sigma or 1.0
    what = case.level, (channels, height, width), case.shift, *colours, sigma, *known
    where = samples, learnt, buffer, len(buffer), decoding, cut, None
    done, size, bits = coder(*what, *where)
    return Outcome(done, size, bits, samples, learnt, bytes(buffer if decoding else buffer[:size]))
