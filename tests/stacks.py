"""Stacks of random bits, open to be pushed to and popped from, and whether two are the same."""

from __future__ import annotations

import numpy as np

from diffcodec.bitstream.ans import Stack


def stack(size: int = 4000, seed: int = 0) -> Stack:
    """An open stack of `size` words."""
    full = Stack(np.random.default_rng(seed).bytes(4 * size))
    full.open()
    return full


def same(a: Stack, b: Stack) -> bool:
    """Have both, which are open, the same words and states?"""
    assert a.states is not None and b.states is not None
    words = np.array_equal(a.words[: a.count], b.words[: b.count])
    return words and np.array_equal(a.states, b.states)
