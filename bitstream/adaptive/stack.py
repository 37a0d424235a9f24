"""Binary decisions on a stack of bits: what stack.h does, in Python's integers.

They are pushed from the last to the first, and popped in the order in which a model that learns
asks for them. Decision i is in lane i mod lanes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diffcodec.bitstream.types import UInt32

CHANCE = 16  # bits of a decision's chance
_MASK = (1 << CHANCE) - 1


def recorded(chance: int, bit: int) -> int:
    """What was decided, and the chance of 1 that it had, in one number."""
    return bit << CHANCE | chance


def push_decisions(decisions: UInt32, states: NDArray[np.uint64], words: UInt32, count: int) -> int:
    """Push decisions as `recorded` makes them; how many words there are then.

    states: (lanes,), in [2^32, 2^64); words: with room for one a decision; count: of words so far.
    """
    for place in reversed(range(len(decisions))):
        bit, chance = divmod(int(decisions[place]), 1 << CHANCE)
        freq, low = (chance, 0) if bit else ((1 << CHANCE) - chance, chance)
        lane = place % len(states)
        x = int(states[lane])
        if x >> 64 - CHANCE >= freq:
            words[count] = x & 0xFFFFFFFF
            count += 1
            x >>= 32
        quotient, rest = divmod(x, freq)
        states[lane] = (quotient << CHANCE) + rest + low
    return count


class DecisionStack:
    """What decisions are popped from. place: of the next one; empty: more was popped than there is.

    states, words, count: as in push_decisions; the states are written.
    """

    def __init__(
        self, states: NDArray[np.uint64], words: UInt32, count: int, place: int = 0
    ) -> None:
        self.states, self.words, self.count, self.place = states, words, count, place
        self.empty = False

    def pop(self, chance: int) -> int:
        """A decision of this chance of 1; where the words end, nothing is sure any more."""
        lane = self.place % len(self.states)
        self.place += 1
        x = int(self.states[lane])
        slot = x & _MASK
        bit = int(slot < chance)
        freq, low = (chance, 0) if bit else ((1 << CHANCE) - chance, chance)
        x = freq * (x >> CHANCE) + slot - low
        if not x >> 32:
            if not self.count:
                self.empty = True
                return bit
            self.count -= 1
            x = x << 32 | int(self.words[self.count])
        self.states[lane] = x
        return bit
