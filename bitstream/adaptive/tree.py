"""The decisions that lead to a sample's value: what tree.h does, in numpy.

The range of values that are left is split near the blend's median, until one is left; every expert
says how its probability divides.
"""

from __future__ import annotations

import numpy as np

from diffcodec.bitstream.adaptive.coder import Decider
from diffcodec.bitstream.adaptive.contexts import Around, find_contexts
from diffcodec.bitstream.adaptive.level import LANES, NODES
from diffcodec.bitstream.adaptive.mixing import OFFSET, Decision
from diffcodec.bitstream.adaptive.sample import Sample
from diffcodec.bitstream.adaptive.vector import (
    ONE,
    ZERO,
    Single,
    at_least,
    exp_2,
    log_2,
    within,
    within1,
)
from diffcodec.bitstream.types import Float32

FLOOR = 0.0015  # of a probability


class Range:
    """Values that are left, least .. beyond - 1 of 0 .. end - 1, and a / (a + b) of both edges.

    An expert's chance that a value lies below an edge is a / (a + b) with b = 1, or 0 at the end.
    """

    def __init__(self, p: Sample) -> None:
        lanes = len(p.mean)
        self.p, self.node, self.depth = p, 1, 0
        self.least, self.beyond = 0, 256 << p.s.shift
        self.end = self.beyond
        self.low, self.high = np.zeros(lanes, np.float32), np.ones(lanes, np.float32)  # a
        self.open = ZERO  # b of the upper edge
        self.here = self.low

    def split(self) -> int:
        """Where the range is split: at the middle of the node by the blend's logistic; where that
        has no more to say, ever further out, and then in two halves."""
        p, least, beyond = self.p, self.least, self.beyond
        if self.depth < 7:
            split = (p.centre + p.scale * OFFSET[self.node]) * p.s.steps + 1.0
            return int(within1(split, least + 1, beyond - 1))
        if self.depth < 12:
            step = (1 + int(p.scale * p.s.steps)) << (self.depth - 7)
            if beyond == self.end and least + step < beyond:
                return least + step
            if least == 0 and beyond - step > 0:
                return beyond - step
        return (least + beyond) >> 1

    def ask(self, edge: Single) -> Float32:
        """(experts + 1, LANES) the experts' logits of a value above an edge; the last are free."""
        p = self.p
        here = exp_2(within((edge - p.mean) * p.inverse, -20.0, 20.0) * 1.44269504)
        lower, upper = 1.0 + self.low, self.high + self.open
        least_mass = FLOOR * (1.0 + here) * (lower * upper)
        masses = np.empty((2, len(here)), np.float32)
        masses[0] = at_least(self.high - here * self.open, 0) * lower + least_mass
        masses[1] = at_least(here - self.low, 0) * upper + least_mass
        up, down = log_2(masses)
        input = np.zeros((p.l.experts + 1, LANES), np.float32)
        input.reshape(-1)[: p.l.used] = (0.69314718 * (up - down))[: p.l.used]
        self.here = here
        return input

    def decide(self, split: int, bit: int) -> None:
        """A value is at least the split, or not."""
        if bit:
            self.low, self.least = self.here, split
        else:
            self.high, self.open, self.beyond = self.here, ONE, split
        self.node = self.node << 1 | bit
        if self.node >= NODES:
            self.node = 64 | (self.node & 63)
        self.depth += 1


def code_value(coder: Decider, p: Sample, a: Around, known: int) -> tuple[int, float]:
    """The value of a sample, coded or decoded, and the probability that it was given."""
    left, likelihood, unit = Range(p), 1.0, p.s.unit
    while left.beyond - left.least > 1:
        split = left.split()
        edge = (Single(split) - 0.5) * unit
        contexts = find_contexts(p, a, p.x, split, left.node, left.depth, edge)
        decision = Decision(p.x, contexts, left.ask(edge))
        chance = decision.chance
        bit = coder.decide(chance, int(known >= split))
        likelihood *= (chance if bit else 65536 - chance) / 65536
        decision.learn(bit)
        left.decide(split, bit)
    return left.least, likelihood
