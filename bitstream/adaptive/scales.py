"""How far from their means experts expect a sample, and what they learn of its value.

What scales.h does, in numpy.
"""

from __future__ import annotations

import numpy as np

from diffcodec.bitstream.adaptive.level import LANES, SCALES
from diffcodec.bitstream.adaptive.sample import (
    Sample,
    along,
    find_classes,
    find_energies,
    find_followers,
    find_means,
    there,
)
from diffcodec.bitstream.adaptive.strip import BORDER, ESTIMATE, INNOVATION, RING
from diffcodec.bitstream.adaptive.vector import (
    ONE,
    ZERO,
    Single,
    exp_2,
    inverse_root,
    log_2,
    logistic,
    sum_of,
    within,
    within1,
)
from diffcodec.bitstream.types import Float32

LEARN_SCALE = 0.0008
LEARN_FILTER = 0.008
LEARN_FACTOR = 0.008


def error_at(p: Sample, channel: int, row: int, column: int) -> Single:
    """The blend's squared error at a place from the sample."""
    found: Single = p.s.errors[(p.row + row) % RING, channel, p.column + column + BORDER, 0]
    return found


def _far(p: Sample) -> Single:
    """The sum of the blend's squared errors in a window."""
    at, total = p.column + BORDER, ZERO
    for row in range(3):
        line = p.s.errors[(p.row - row) % RING, p.channel, at - 3 : at + (4 if row else 0), 0]
        for error in line:
            total = total + error
    return total


def learnt_scale(p: Sample) -> Single:
    """The logarithm of the blend's scale: half those of energies, relative to its own, weighted."""
    s, c, x = p.s, p.channel, p.base
    gx = gy = gl = z = ZERO
    off = x - p.blend
    if s.with_state:
        left, right = there(p, ESTIMATE, c, 0, -1), there(p, ESTIMATE, c, 0, 1)
        up, down = there(p, ESTIMATE, c, -1, 0), there(p, ESTIMATE, c, 1, 0)
        gx, gy, gl = right - left, down - up, (right + left) + (down + up) - 4.0 * x
        z = (there(p, INNOVATION, c, 0, 0) + x - p.blend) / s.sigma
    q = np.ones(LANES, np.float32)
    q[1] = p.energy[0] + 0.02
    q[2] = (error_at(p, c, 0, -1) + error_at(p, c, -1, 0)) * 0.5 + 0.1
    for k in range(min(c, 2)):
        q[3 + k] = error_at(p, k, 0, 0) + 0.1
    q[5] = gx * gx + gy * gy + 0.5
    q[6] = gl * gl + 0.5
    q[7] = p.spread + 0.02
    q[8] = off * off + 0.05
    q[9] = z * z + 0.05
    q[10] = _far(p) * (ONE / Single(17)) + 0.02
    halves = 0.34657359 * log_2(q)
    f = p.features = halves - halves[1]
    f[0] = 1
    f[1] = halves[1]
    f[3 + min(c, 2) : 5] = 0
    f[9] = halves[9] if s.with_state else 0
    f[11:] = 0
    return sum_of(p.x.scale * f)


def find_scales(p: Sample) -> None:
    """The experts' scales: learnt factors of local energies; the blend's own; the state's noise."""
    level = p.l
    classes = (2.0 * log_2(p.energy) + 64.0).astype(np.int32) - 48
    p.class_of = np.minimum(np.maximum(classes, 0), SCALES - 1)
    factor = p.x.factor[p.class_of, np.arange(len(classes))]
    p.inverse = 1.8138 * inverse_root(p.energy * factor + 0.002)
    least = Single(-3.0) - Single(0.69314718) * Single(p.s.shift)
    logarithm = within1(learnt_scale(p), least, 4.5)
    blend = exp_2(logarithm * -1.44269504)
    p.scale = 1.0 / blend
    first = p.inverse[0] = 1.8138 * blend
    p.inverse[level.narrow] = 1.6 * first
    p.inverse[level.broad] = 0.6 * first
    if p.s.with_state:
        p.inverse[level.state] = 1.8138 / p.s.sigma


def find_marks(p: Sample) -> None:
    """What tables compare a split with."""
    c, mean = p.channel, p.mean
    if p.s.with_state:
        trend, last = p.base, there(p, INNOVATION, c, 0, 0) + p.base
    else:
        trend, last = p.w + p.n - p.nw, along(p, p.w, 0, 0, -1) if c > 0 else p.ne
    classic = mean[p.l.first_classic : p.l.first_classic + 3].tolist()
    marks = [p.w, p.n, p.ne, p.nw, p.nn, p.ww, trend, last, *classic[::-1]]
    p.marks = np.array([*marks, p.blend, mean[3], mean[2]], np.float32)


def expect(p: Sample, base: Single, fits: Float32) -> None:
    """Everything that is known before the first decision. fits: what they say above the base."""
    p.base = base
    find_energies(p)
    find_means(p, fits)
    find_classes(p)
    find_followers(p)
    find_scales(p)
    find_marks(p)


def learn_value(p: Sample, found: Single) -> None:
    """The experts' errors, factors, the scale and the filter learn the value, in grey levels."""
    off = found - p.mean
    errors = p.s.errors[p.row % RING, p.channel, p.column + BORDER]
    errors[:] = off * off
    place = p.class_of, np.arange(len(off))
    factor = p.x.factor[place]
    much = errors / ((p.energy + 0.0009) * factor) - 1.0
    p.x.factor[place] = within(factor * (1.0 + LEARN_FACTOR * within(much, -1.0, 6.0)), 0.05, 8.0)
    p.x.scale -= (LEARN_SCALE * within1(_slope(p, found), -3.0, 3.0)) * p.features
    root = inverse_root(p.energy[0] + 0.1)
    share = within1((found - p.mean[p.l.filter]) * root, -3.0, 3.0)
    squares = p.misses * p.misses
    p.x.filter += (LEARN_FILTER * share / (1.0 + sum_of(squares))) * p.misses


def _slope(p: Sample, found: Single) -> Single:
    """The derivative of -ln of the logistic's density, or of its mass on a bin, by ln scale."""
    inverse = 1.8138 / p.scale
    half = 0.5 / p.s.steps
    if p.scale >= 1.2 * half:
        size = abs((found - p.centre) * inverse)
        return 1.0 - size * (2.0 * logistic(size) - 1.0)
    up, down = (found - p.centre + half) * inverse, (found - p.centre - half) * inverse
    mass_up, mass_down = logistic(up), logistic(down)
    change = mass_up * (1.0 - mass_up) * up - mass_down * (1.0 - mass_down) * down
    return change / (mass_up - mass_down + 1e-6)
