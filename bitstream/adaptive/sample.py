"""One sample: what is known of it, and where experts expect it. What sample.h does, in numpy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diffcodec.bitstream.adaptive.learnt import Learnt
from diffcodec.bitstream.adaptive.level import LANES, Level
from diffcodec.bitstream.adaptive.strip import (
    ABOVE,
    BEFORE,
    BORDER,
    ESTIMATE,
    INNOVATION,
    MISS,
    RESIDUAL,
    RING,
    Strip,
)
from diffcodec.bitstream.adaptive.vector import (
    ONE,
    ZERO,
    Single,
    in_order,
    inverse_root,
    sum_in_order,
    sum_of,
    within,
    within1,
)
from diffcodec.bitstream.types import Float32

NEAR = np.array(BEFORE[:12])
WEIGHTS = np.array([1.0, 1.0, 0.6, 0.6, 0.5, 0.5, 0.3, 0.3, 0.3, 0.3, 0.2, 0.2], np.float32)
TOTAL = 5.8  # of the weights
HERE = 1.5  # weight of a channel that is coded already


class Sample:
    """A sample of a channel, before it is coded. Arrays (lanes,) are of the experts."""

    mean: Float32  # (lanes,) grey levels
    energy: Float32  # (lanes,) their square
    inverse: Float32  # (lanes,) 1.81 / scale
    class_of: NDArray[np.int32]  # (lanes,) of their energies
    base: Single
    blend: Single
    spread: Single  # mean square of the fits around the blend
    scale: Single  # of the blend
    centre: Single
    root: Single  # inverse one of the blend's energy
    features: Float32  # (16,) of the scale
    misses: Float32  # (16,) of the filter
    around: int  # class of the texture, 0 .. 14
    side: int  # of the blend that neighbours lie on, 0 .. 15
    marks: Float32  # (14,) values that tables compare a split with

    def __init__(self, s: Strip, level: Level, x: Learnt, channel: int, row: int, column: int):
        self.s, self.l, self.x = s, level, x
        self.channel, self.row, self.column = channel, row, column
        self.at = (row + ABOVE) * s.stride + BORDER + column  # in a plane
        c = channel
        self.w, self.n = value(self, c, 0, -1), value(self, c, -1, 0)
        self.nw, self.ne = value(self, c, -1, -1), value(self, c, -1, 1)
        self.ww, self.nn = value(self, c, 0, -2), value(self, c, -2, 0)
        self.nne = value(self, c, -2, 1)


def there(p: Sample, kind: int, channel: int, row: int, column: int) -> Single:
    """What a plane holds at a place from the sample."""
    s = p.s
    at = (kind * s.channels + channel) * s.size + p.at + row * s.stride + column
    found: Single = s.flat[at]
    return found


def value(p: Sample, channel: int, row: int, column: int) -> Single:
    """A sample that is coded, of a channel and a place."""
    return there(p, RESIDUAL, channel, row, column) + there(p, ESTIMATE, channel, row, column)


def along(p: Sample, neighbour: Single, q: int, row: int, column: int) -> Single:
    """The difference of two channels continued: x_c here is x_q here and their difference there."""
    return neighbour + value(p, q, 0, 0) - value(p, q, row, column)


def median(w: Single, n: Single, nw: Single) -> Single:
    """Of the left, the upper one and the plane through all three."""
    most, least = (w, n) if w > n else (n, w)
    return least if nw >= most else most if nw <= least else w + n - nw


def classic_means(p: Sample) -> list[Single]:
    """Means of classic predictors."""
    c, q = p.channel, min(max(p.channel - 1, 0), 1)
    w, n, nw, ne = p.w, p.n, p.nw, p.ne
    means = [0.5 * (w + n) + 0.25 * (ne - nw), median(w, n, nw)]
    if c == 0:
        means += [w, ne, n + ne - p.nne, nw, w, n]
    else:
        steps = w - value(p, 0, 0, -1) + n - value(p, 0, -1, 0)
        means += [value(p, 0, 0, 0) + 0.5 * steps, ne]
        if c == 1:
            means += [along(p, ne, 0, -1, 1), along(p, nw, 0, -1, -1)]
        else:
            means += [along(p, w, q, 0, -1), along(p, n, q, -1, 0)]
        means += [along(p, w, 0, 0, -1), along(p, n, 0, -1, 0)]
    if p.s.with_state:
        means[3] = p.base + 0.5 * (there(p, RESIDUAL, c, 0, -1) + there(p, RESIDUAL, c, -1, 0))
    means += [2.0 * n - p.nn, 2.0 * w - p.ww]
    return means[: p.l.classic]


def find_energies(p: Sample) -> None:
    """The experts' squared errors around: weighted means over 12 neighbours and coded channels."""
    errors, total = p.s.errors, Single(TOTAL)
    rows, columns = (p.row + NEAR[:, 0]) % RING, p.column + BORDER + NEAR[:, 1]
    energy = in_order(WEIGHTS[:, None] * errors[rows, p.channel, columns])
    for c in range(p.channel):
        energy = energy + HERE * errors[p.row % RING, c, p.column + BORDER]
        total = total + HERE
    p.energy = energy * (ONE / total) + 0.001


def find_means(p: Sample, fits: Float32) -> None:
    """Means of the fits and of all that does not follow from the blend; then the blend."""
    level, top = p.l, p.s.top
    mean = p.mean = np.zeros(LANES * level.experts, np.float32)
    shares = ONE / (p.energy * p.energy)
    mean[2 : 2 + level.fits] = within(p.base + fits, 0, top)
    mean[level.estimate] = p.base
    mean[level.state] = p.ne
    if p.s.with_state:
        mean[level.state] = there(p, INNOVATION, p.channel, 0, 0) + p.base
    mean[level.first_classic : level.pool] = classic_means(p)
    total, blend = _weighted(shares, mean, ZERO, ZERO, range(2, 2 + level.fits))
    mean[1] = blend / total
    others = [k for k in range(level.estimate, level.pool) if k != level.filter]
    total, blend = _weighted(shares, mean, 2.0 * total, 2.0 * blend, others)
    p.blend = mean[0] = within1(blend / total, 0, top)
    off = mean[2 : 2 + level.fits] - p.blend
    p.spread = sum_in_order(off * off) * (ONE / Single(level.fits))
    p.root = inverse_root(p.energy[0])


def _weighted(
    shares: Float32, mean: Float32, total: Single, blend: Single, lanes: range | list[int]
) -> tuple[Single, Single]:
    """Shares of lanes, and what they add to a blend, added to those there are."""
    for share, part in zip(shares[lanes], (shares * mean)[lanes], strict=True):
        total, blend = total + share, blend + part
    return total, blend


def find_classes(p: Sample) -> None:
    """The texture around: its direction and strength; on which side of the blend neighbours lie."""
    deviation = p.energy[0] * p.root
    across = abs(p.w - p.ww) + abs(p.n - p.nw) + abs(p.n - p.ne)
    down = abs(p.w - p.nw) + abs(p.n - p.nn) + abs(p.ne - p.nne)
    ratio, strength = (across + 0.5) / (down + 0.5), across + down
    direction = sum(bool(ratio >= Single(limit)) for limit in (0.4, 0.75, 1.33, 2.5))
    strong = (strength >= 4.0 * deviation + 3.0, strength >= 9.0 * deviation + 8.0)
    p.around = 3 * direction + sum(map(bool, strong))
    p.side = bool(p.w > p.blend) | bool(p.n > p.blend) << 1 | bool(p.ne > p.blend) << 2
    p.side |= bool(miss_before(p) > 0) << 3


def miss_before(p: Sample) -> Single:
    """The miss of the first channel here; of it, that of the left sample, of the next if any."""
    if p.channel > 0:
        return there(p, MISS, 0, 0, 0)
    return there(p, MISS, int(p.s.channels > 1), 0, -1)


def find_followers(p: Sample) -> None:
    """What the experts' misses nearby say of this one, and the lanes that follow from the blend."""
    level, c, mean, top = p.l, p.channel, p.mean, p.s.top
    root = inverse_root(p.energy[0] + 0.1)
    misses = [there(p, MISS, c, *at) * root for at in BEFORE[:6]]
    misses += ((mean[2 : 2 + level.fits] - p.blend) * root).tolist()
    misses.append((p.base - p.blend) * root)
    state = ZERO
    if p.s.with_state:
        state = (mean[level.state] - p.blend) * root / (1.0 + p.s.sigma * root)
    misses.append(state)
    misses += [there(p, MISS, q, 0, 0) * root for q in range(min(c, 2))]
    p.misses = np.zeros(LANES, np.float32)
    p.misses[: len(misses)] = misses
    mean[level.filter] = p.blend + sum_of(p.x.filter * p.misses) / root
    shares = ONE / (p.energy * p.energy * p.energy)
    total, blend = _weighted(shares, mean, ZERO, ZERO, range(2, level.pool))
    mean[level.pool] = blend / total
    mean[level.narrow] = mean[level.broad] = p.blend
    p.mean = within(mean, 0, top)
    p.centre = p.mean[0]
