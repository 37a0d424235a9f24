"""A strip of an image, what is known around a sample, and the regressors of its channels.

What strip.h does, in numpy. Values are in 8-bit grey levels whatever the depth. Planes of every
channel, in coding order: residual x - x0_hat (without a state x itself), innovation y - x0_hat,
x0_hat, and the miss of the blend.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffcodec.bitstream.adaptive.regression import MOST
from diffcodec.bitstream.adaptive.vector import Single
from diffcodec.bitstream.types import Int32

BORDER = 8  # columns on both sides
ABOVE = 3  # rows above and below
SEGMENT = 16
RING = 4  # rows of squared errors that are kept

RESIDUAL, INNOVATION, ESTIMATE, MISS, KINDS = range(5)

# Causal neighbours, nearest first, and all others: rows, columns.
BEFORE = (
    *((0, -1), (-1, 0), (-1, -1), (-1, 1), (0, -2), (-2, 0), (-1, -2), (-2, -1)),
    *((-2, 1), (-1, 2), (0, -3), (-3, 0), (-2, -2), (-2, 2), (-3, -1), (-3, 1)),
    *((-1, -3), (-1, 3), (0, -4), (-3, -2), (-2, -3), (-2, 3), (-3, 2), (-1, -4)),
)
AROUND = ((0, -1), (-1, 0), (0, 1), (1, 0), (-1, -1), (-1, 1), (1, -1), (1, 1))


class Strip:
    """planes (KINDS, channels, height + 2 ABOVE, stride), stride = width + 2 BORDER; errors
    (RING, channels, stride, lanes): squared ones of all experts."""

    def __init__(
        self,
        shape: tuple[int, int, int],
        shift: int,
        colours: tuple[int, int],
        sigma: float,
        known: tuple[Int32, Int32],
        lanes: int,
    ) -> None:
        """shift: bits of a sample beyond 8; colours: the period of the grid, and its number in
        GRIDS from 1, or 0; known: x0_hat and y in 1/32 sample, empty without a state."""
        self.channels, self.height, self.width = shape
        self.shift, (self.period, self.grid) = shift, colours
        self.sigma = Single(sigma)
        self.steps = Single(1 << shift)  # of a grey level
        self.unit = Single(1) / self.steps
        self.top = Single((256 << shift) - 1) * self.unit
        self.stride = self.width + 2 * BORDER
        self.with_state = known[0].size > 0
        rows = self.height + 2 * ABOVE
        self.planes = np.zeros((KINDS, self.channels, rows, self.stride), np.float32)
        self.errors = np.zeros((RING, self.channels, self.stride, lanes), np.float32)
        self.flat = self.planes.reshape(-1)
        self.size = rows * self.stride
        self._fill(*known)

    def _fill(self, estimate: Int32, state: Int32) -> None:
        if not self.with_state:
            self.planes[RESIDUAL] = 128
            return
        unit = Single(1) / Single(32 << self.shift)
        border = ((0, 0), (ABOVE, ABOVE), (BORDER, BORDER))
        estimate = estimate.reshape(self.channels, self.height, self.width)
        above = state.reshape(estimate.shape) - estimate
        self.planes[ESTIMATE] = np.pad(estimate, border, "edge").astype(np.float32) * unit
        self.planes[INNOVATION] = np.pad(above, border).astype(np.float32) * unit

    def extend(self, row: int, end: bool) -> None:
        """The border left of a row, which is about to be coded; or right of it, at its end."""
        plane = self.planes[RESIDUAL, :, row + ABOVE]
        errors, above = self.errors[row % RING], self.errors[(row - 1) % RING]
        first, last = BORDER, BORDER + self.width
        if end:
            plane[:, last:] = plane[:, last - 1 : last]
            errors[:, last:] = errors[:, last - 1 : last]
        else:
            plane[:, :first] = self.planes[RESIDUAL, :, row + ABOVE - 1, first : first + 1]
            errors[:, :first] = above[:, first : first + 1]

    def put(self, kind: int, channel: int, at: int, x: Single) -> None:
        """A plane gets what it holds at a place."""
        self.flat[(kind * self.channels + channel) * self.size + at] = x


@dataclass(frozen=True)
class Regressors:
    """Of a channel: where they lie from a sample in the planes, and the base that is subtracted.

    Bases: 0 nothing, 1 + q x0_hat of channel q here, or without a state the mean of its left and
    upper neighbours. nested: the first of them that are fits of their own.
    """

    offset: NDArray[np.intp]
    base: NDArray[np.intp]
    nested: tuple[int, int, int]


Regressor = tuple[int, int, tuple[int, int]]  # kind, channel, place


def choose_regressors(s: Strip, c: int, few: bool) -> Regressors:
    """The regressors of a channel, nearest first; few: without the last fit's."""
    state = s.with_state
    near = _nearest(s, c)
    middle = _in_between(s, c)
    far = _farthest(s, c)[: MOST - 1 - len(near) - len(middle)]
    found = near + middle + ([] if few else far)
    offset, base = [], []
    for kind, channel, (row, column) in found:
        offset.append((kind * s.channels + channel) * s.size + row * s.stride + column)
        base.append(1 + channel if kind == ESTIMATE or not state else 0)
    nested = len(near), len(near + middle), len(near + middle + far)
    return Regressors(np.array(offset, np.intp), np.array(base, np.intp), nested)


def _nearest(s: Strip, c: int) -> list[Regressor]:
    state, others = s.with_state, [q for q in range(s.channels) if q != c]
    found: list[Regressor] = [(RESIDUAL, c, at) for at in BEFORE[:6]]
    for q in others:
        if q < c:
            found.append((RESIDUAL, q, (0, 0)))
        elif state:
            found.append((INNOVATION, q, (0, 0)))
    if state:
        found.append((INNOVATION, c, (0, 0)))
    return found + [(RESIDUAL, q, at) for q in others for at in BEFORE[:2]]


def _in_between(s: Strip, c: int) -> list[Regressor]:
    others = [q for q in range(s.channels) if q != c]
    found: list[Regressor] = [(RESIDUAL, c, at) for at in BEFORE[6:12]]
    found += [(RESIDUAL, q, at) for q in others for at in BEFORE[2:4]]
    if s.with_state:
        found += [(INNOVATION, c, at) for at in AROUND]
        found += [(ESTIMATE, c, at) for at in AROUND[:4]]
    return found


def _farthest(s: Strip, c: int) -> list[Regressor]:
    state, others = s.with_state, [q for q in range(s.channels) if q != c]
    found: list[Regressor] = [(RESIDUAL, c, at) for at in BEFORE[12 : 20 if state else 24]]
    found += [(RESIDUAL, q, at) for q in others for at in ((0, -2), (-2, 0))]
    if not state:
        return found + [(RESIDUAL, q, at) for q in others for at in ((-1, 2), (-1, -2))]
    found += [(INNOVATION, c, at) for at in ((0, 2), (2, 0))]
    found += [(ESTIMATE, c, at) for at in AROUND[4:]]
    return found + [(ESTIMATE, q, at) for q in others for at in AROUND[:4]]
