"""Strips on a stack of bits (ans.py), where what was pushed last is popped first.

A sender's model learns from the strip's first sample on, and its decisions are recorded; they are
pushed from the last to the first, so that a receiver's model pops them in the order in which it
learns. FORMAT-archive.md specifies it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diffcodec.bitstream.adaptive import KERNEL, Side, known_of, planes_of, samples_of
from diffcodec.bitstream.adaptive import code as numpy_code
from diffcodec.bitstream.adaptive.grid import ColourGrid
from diffcodec.bitstream.adaptive.stack import CHANCE, DecisionStack, push_decisions, recorded
from diffcodec.bitstream.ans import Stack, StackEmpty
from diffcodec.bitstream.sample_format import SampleFormat
from diffcodec.bitstream.types import Float32, Pixels, UInt16, UInt32

GRIDDED = 1 << 13  # the chance that colours lie on a grid, in 1/65536
HALF = 1 << CHANCE - 1
NO_GRID = ColourGrid(1, 0)
ROOM = 9  # decisions of a sample that there is room for at first


@dataclass(frozen=True)
class Recorded:
    """The decisions of a strip in the model's order; bits: -log2 of their probability."""

    decisions: UInt32
    bits: float

    def push(self, stack: Stack) -> None:
        """Put them on a stack, the last one first."""
        assert stack.states is not None
        stack.reserve(len(self.decisions))
        push = push_decisions if KERNEL is None else KERNEL.push
        stack.count = push(self.decisions, stack.states, stack.words, stack.count)


def record_strip(
    planes: Pixels,
    side: Side | None,
    level: int,
    format: SampleFormat,
    learnt: Float32,
    grid: ColourGrid,
) -> Recorded:
    """The decisions of planes (C, h, w).

    learnt: what the model starts from; it becomes what it has learnt at the end. grid: of colours.
    """
    samples = samples_of(planes)
    before = _grid_decisions(grid)
    known, room = known_of(samples, side, format, grid), ROOM * samples.size
    record = numpy_code.record_strip if KERNEL is None else KERNEL.record
    while True:
        run, decisions = learnt.copy(), np.empty(room, np.uint32)
        count, bits = record(level, *known, samples, run, decisions)
        if count <= room:
            break
        room = count
    learnt[...] = run
    return Recorded(np.concatenate([before, decisions[:count]]), bits + _bits(before))


def pop_strip(
    stack: Stack,
    size: tuple[int, int],
    side: Side | None,
    level: int,
    format: SampleFormat,
    learnt: Float32,
) -> Pixels:
    """The planes (C, h, w) of size (h, w) that were recorded and pushed; learnt: as there.

    Raises StackEmpty if the stack does not hold them.
    """
    assert stack.states is not None
    samples: UInt16 = np.zeros((*size, format.channels), np.uint16)
    decisions = DecisionStack(stack.states, stack.words, stack.count)
    grid = _pop_grid(decisions)
    known = known_of(samples, side, format, grid)
    pop = numpy_code.pop_strip if KERNEL is None else KERNEL.pop
    left = (stack.states, stack.words, decisions.count, decisions.place)
    count = -1 if decisions.empty else pop(level, *known, samples, learnt, *left)
    if count < 0:
        raise StackEmpty("the stack is empty: the stream is damaged")
    stack.count = count
    return planes_of(samples, format)


def _grid_decisions(grid: ColourGrid) -> UInt32:
    """Whether there is a grid, and the byte that says which one, its highest bit first."""
    if grid == NO_GRID:
        return np.array([recorded(GRIDDED, 0)], np.uint32)
    bits = [recorded(HALF, grid.byte >> k & 1) for k in reversed(range(8))]
    return np.array([recorded(GRIDDED, 1), *bits], np.uint32)


def _pop_grid(decisions: DecisionStack) -> ColourGrid:
    """What `_grid_decisions` says."""
    if not decisions.pop(GRIDDED):
        return NO_GRID
    byte = 0
    for _ in range(8):
        byte = byte << 1 | decisions.pop(HALF)
    return ColourGrid.of(byte)


def _bits(decisions: UInt32) -> float:
    """What decisions take."""
    bit, chance = np.divmod(decisions.astype(np.int64), 1 << CHANCE)
    return float(-np.log2(np.where(bit, chance, (1 << CHANCE) - chance) / (1 << CHANCE)).sum())
