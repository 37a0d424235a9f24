"""A whole strip, sample by sample: what code.h and kernel.c do, in numpy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from diffcodec.bitstream.adaptive.coder import Coder, Decider, Popper, Recorder
from diffcodec.bitstream.adaptive.contexts import look_around
from diffcodec.bitstream.adaptive.fits import CLASS_TRUSTED, WEIGHT, Fits
from diffcodec.bitstream.adaptive.learnt import Learnt
from diffcodec.bitstream.adaptive.level import CLASSES, LANES, LEVELS, Level
from diffcodec.bitstream.adaptive.regression import predict
from diffcodec.bitstream.adaptive.sample import Sample, there
from diffcodec.bitstream.adaptive.scales import expect, learn_value
from diffcodec.bitstream.adaptive.stack import DecisionStack
from diffcodec.bitstream.adaptive.strip import (
    ESTIMATE,
    MISS,
    RESIDUAL,
    SEGMENT,
    Strip,
    choose_regressors,
)
from diffcodec.bitstream.adaptive.tree import code_value
from diffcodec.bitstream.adaptive.vector import ONE, Single, clip, within1
from diffcodec.bitstream.types import Ask, Float32, Int32, UInt16


def code_strip(
    level: int,
    shape: tuple[int, int, int],
    shift: int,
    period: int,
    grid: int,
    sigma: float,
    estimate: Int32,
    state: Int32,
    samples: UInt16,
    learnt: Float32,
    data: bytearray,
    size: int,
    decoding: bool,
    cut: bool,
    ask: Ask | None,
) -> tuple[int, int, float]:
    """Code samples into data, or decode them: how many pixels, bytes, and bits by the model.

    shape: (channels, height, width); samples (height, width, channels), and learnt (channels,
    learnt_size), are written too. ask: called now and then, and what it raises ends the work.
    """
    coder = Coder(data, size, decoding, cut)
    known = shape, shift, period, grid, sigma, estimate, state
    done, bits = _run(coder, level, *known, samples, learnt, ask)
    if not decoding:
        coder.end_encoding()
    return done, coder.at, bits


def record_strip(*args: Any) -> tuple[int, float]:
    """As code_strip, but what is written is the last argument, decisions as stack.recorded has
    them, in place of data, size, decoding and cut: how many, and bits by the model."""
    *known, decisions = args
    recorder = Recorder(decisions)
    _, bits = _run(recorder, *known)
    return recorder.at, bits


def pop_strip(*args: Any) -> int:
    """As code_strip, but what is read are the last arguments, a stack's states, words and their
    number, and the place of the first decision: how many words are left, -1 if they ran out."""
    *known, states, words, count, place = args
    stack = DecisionStack(states, words, count, place)
    _run(Popper(stack), *known)
    return -1 if stack.empty else stack.count


def _run(
    coder: Decider,
    level: int,
    shape: tuple[int, int, int],
    shift: int,
    period: int,
    grid: int,
    sigma: float,
    estimate: Int32,
    state: Int32,
    samples: UInt16,
    learnt: Float32,
    ask: Ask | None = None,
) -> tuple[int, float]:
    """How many pixels were coded, and bits by the model."""
    lanes = LANES * LEVELS[level].experts
    strip = Strip(shape, shift, (period, grid), sigma, (estimate, state), lanes)
    job = Job(strip, level, learnt)
    with np.errstate(all="ignore"):
        done = job.code(coder, samples, ask)
    for channel in job.learnt:
        channel.close()
    return done, job.bits - math.log2(job.likelihood)


class Job:
    """A strip, and what is learnt of its channels. likelihood: of the last samples; bits: -log2 of
    that of all before."""

    def __init__(self, s: Strip, level: int, learnt: Float32) -> None:
        self.s, self.level = s, LEVELS[level]
        self.likelihood, self.bits = 1.0, 0.0
        bits = 10
        while bits < self.level.hashed and 1 << bits < 2 * s.height * s.width:
            bits += 1
        self.learnt = [Learnt(learnt, c, level, bits) for c in range(s.channels)]
        self.fits = _fits(s, self.level, self.learnt)

    def code(self, coder: Decider, samples: UInt16, ask: Ask | None) -> int:
        """How many pixels were coded, or surely decoded."""
        s = self.s
        for i in range(s.height):
            if ask is not None:  # the kernel, which is faster, does not for every row
                ask()
            s.extend(i, False)
            for j in range(s.width):
                for c in range(s.channels):
                    p = Sample(s, self.level, self.learnt[c], c, i, j)
                    samples[i, j, c] = self._code_sample(coder, p, int(samples[i, j, c]))
                    if self.likelihood < 1e-100:
                        self.bits -= math.log2(self.likelihood)
                        self.likelihood = 1.0
                if coder.decoding and not coder.sure:
                    return i * s.width + j
            s.extend(i, True)
        return s.height * s.width

    def _code_sample(self, coder: Decider, p: Sample, known: int) -> int:
        s, c = self.s, p.channel
        fits, (segment, place) = self.fits[c], divmod(p.column, SEGMENT)
        if place == 0:
            fits.begin_segment(segment)
        bases, chosen, sample = _bases(p), fits.regressors, fits.sample[place]
        sample[:] = 0
        sample[: len(chosen.offset)] = s.flat[p.at + chosen.offset] - bases[chosen.base]
        base: Single = bases[1 + c]
        kinds = self._expect(p, fits, sample, base)
        value, likelihood = code_value(coder, p, look_around(p), known)
        self.likelihood *= likelihood
        found = Single(value) * s.unit
        learn_value(p, found)
        s.put(RESIDUAL, c, p.at, found - base if s.with_state else found)
        s.put(MISS, c, p.at, found - p.blend)
        sample[-1] = found - base
        weight = fits.weight[place] = ONE / (p.energy[0] + WEIGHT)
        for kind, which in enumerate(kinds):
            fits.learn_class(kind, which, sample, weight)
        if place == SEGMENT - 1 or p.column == s.width - 1:
            fits.end_segment(segment, place + 1)
        return value

    def _expect(self, p: Sample, fits: Fits, sample: Float32, base: Single) -> list[int]:
        """What is known of a sample; returns its classes, of the switched fits."""
        expect(p, base, predict(fits.fit, sample))
        kinds = [clip(int(p.class_of[0]) // 2 - 5, 0, CLASSES - 1), p.around][: self.level.switched]
        for kind, which in enumerate(kinds):
            mean = p.blend
            if fits.class_seen[kind][which] >= CLASS_TRUSTED:
                mean = base + predict(fits.class_fit[kind, which, None], sample)[0]
            p.mean[self.level.first_switched + kind] = within1(mean, 0, self.s.top)
        return kinds


def _bases(p: Sample) -> Float32:
    """(1 + channels,) of regressors: 0, and of every channel x0_hat, or the mean of neighbours."""
    bases = np.zeros(1 + p.s.channels, np.float32)
    for q in range(p.s.channels):
        if p.s.with_state:
            bases[1 + q] = there(p, ESTIMATE, q, 0, 0)
        else:
            bases[1 + q] = 0.5 * (there(p, RESIDUAL, q, 0, -1) + there(p, RESIDUAL, q, -1, 0))
    return bases


def _fits(s: Strip, level: Level, learnt: list[Learnt]) -> list[Fits]:
    """Of every channel."""
    chosen = [choose_regressors(s, c, level.fits == 2) for c in range(s.channels)]
    groups = max(2, *(len(r.offset) // LANES + 1 for r in chosen))
    return [Fits(s, level, r, groups, x.gram) for r, x in zip(chosen, learnt, strict=True)]
