"""A decision's chance: the experts' logits and the tables' offsets, mixed by sets of weights that
contexts choose, the sets by a last one; and what all of them learn of the outcome.

What mixing.h does, in numpy.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diffcodec.bitstream.adaptive.contexts import Contexts
from diffcodec.bitstream.adaptive.learnt import Learnt
from diffcodec.bitstream.adaptive.level import NODES
from diffcodec.bitstream.adaptive.vector import (
    ONE,
    Single,
    clip,
    inverse_root,
    log_2,
    logistic,
    sum_in_order,
    sum_lanes,
    sum_of,
    within,
    within1,
)
from diffcodec.bitstream.types import Float32

LEARN = 0.03  # step of the mixing weights at first,
LEARN_LEAST = 0.0019  # and after many decisions
LEARN_FALL = 0.006
LEARN_LAST = 0.0011
LEARN_ENTRY = 0.45  # of a table's entry, after many decisions;
LEARN_ENTRY_FIRST = 6.0  # and a share more at first
LEARN_CORRECTION = 0.02
POWER = 0.0012

SQUASHED = 4096
SIXTH = ONE / Single(6)


def _squash_table() -> Float32:
    """(SQUASHED + 2,) of the logistic function."""
    logits = np.arange(-SQUASHED // 2, SQUASHED // 2 + 2).astype(np.float32)
    return logistic(logits * (ONE / Single(170)))


def _offset_table() -> Float32:
    """(NODES,) quantiles of the logistic at the middles of nodes."""
    offset = np.zeros(NODES, np.float32)
    for depth in range(7):
        count = 1 << depth
        rank = np.arange(1, 2 * count, 2).astype(np.float32)
        offset[count : 2 * count] = log_2(rank / (Single(2 * count) - rank)) * 0.38214
    return offset


SQUASH, OFFSET = _squash_table(), _offset_table()


def squash1(logit: Single) -> Single:
    """The chance of a logit within -11 .. 11."""
    at = logit * 170.0 + SQUASHED / 2
    k = int(at)
    chance: Single = SQUASH[k] + (SQUASH[k + 1] - SQUASH[k]) * (at - Single(k))
    return chance


def squash(logits: Float32) -> Float32:
    """The chances (n,) of logits within -11 .. 11."""
    at = logits * 170.0 + SQUASHED / 2
    k = at.astype(np.intp)
    low = SQUASH[k]
    chances: Float32 = low + (SQUASH[k + 1] - low) * (at - k.astype(np.float32))
    return chances


class Decision:
    """A decision with its contexts, of what the experts say: input (experts + 1, LANES), with room
    for the tables' offsets. chance: in 1/65536, that the value is at least the split."""

    entry: Float32  # (tables, 2)
    weights: Float32  # (sets, experts + 1, LANES)
    logits: Float32  # (8,) of the sets
    mixed: Single
    corrected: NDArray[np.intp]  # (CORRECTIONS,)
    wished: Float32  # (CORRECTIONS,)
    between: Single
    chance: int

    def __init__(self, x: Learnt, contexts: Contexts, input: Float32) -> None:
        self.x, self.contexts, self.input = x, contexts, input
        self._mix()

    def _mix(self) -> None:
        x, contexts, input = self.x, self.contexts, self.input
        self.entry = x.entries[contexts.entries]
        input[-1, : len(self.entry)] = self.entry[:, 0]
        input[-1, -1] = 0.3
        self.weights = x.mixer[contexts.rows]
        products = self.weights * input
        total = products[:, 0]
        for e in range(1, len(input)):
            total = total + products[:, e]
        self.logits = np.zeros(8, np.float32)
        self.logits[: len(total)] = within(sum_lanes(total), -11.0, 11.0)
        self.mixed = within1(sum_of(x.last[contexts.path] * self.logits), -11.0, 11.0)
        place = within1(self.mixed * 2.0 + 16.0, 0, 31.99)
        low = int(place)
        self.between = place - Single(low)
        at = self.corrected = contexts.corrected + low
        wish = x.correction[at]
        self.wished = wish + (x.correction[at + 1] - wish) * self.between
        answer = 0.5 * self.mixed + sum_in_order(self.wished) * SIXTH
        self.chance = clip(int(squash1(within1(answer, -11.0, 11.0)) * 65536.0), 1, 65535)

    def learn(self, outcome: int) -> None:
        """Everything that had a part in the decision learns of its outcome."""
        x, contexts, input, bit = self.x, self.contexts, self.input, Single(outcome)
        miss = bit - squash1(self.mixed)
        x.last[contexts.path] += (LEARN_LAST * miss) * self.logits
        moved = miss * input
        x.power += (moved * moved - x.power) * POWER
        step = input * inverse_root(x.power + 0.004)
        rate = x.rate[contexts.rows]
        share = (bit - squash(self.logits[: len(rate)])) * rate
        x.mixer[contexts.rows] = self.weights + share[:, None, None] * step
        x.rate[contexts.rows] = rate + (LEARN_LEAST - rate) * LEARN_FALL
        share = (bit - squash(within(self.wished, -11.0, 11.0))) * LEARN_CORRECTION
        x.correction[self.corrected] += share * (1.0 - self.between)
        x.correction[self.corrected + 1] += share * self.between
        self._learn_entries(bit)

    def _learn_entries(self, bit: Single) -> None:
        off = bit - logistic(self.input[-1] + self.input[0, 0])
        offset, seen = self.entry.T
        more = offset + off[: len(seen)] * (LEARN_ENTRY_FIRST / (seen + 1.5) + LEARN_ENTRY)
        offset[:] = within(more, -12.0, 12.0)
        seen[:] = np.where(seen < 255, seen + 1.0, Single(255))
        self.x.entries[self.contexts.entries] = self.entry
