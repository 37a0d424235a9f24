"""Targets that do what no input may bring about: tests see whether the harness notices.

The first byte of an input says what happens. They are no part of a run.
"""

from __future__ import annotations

import ctypes
import time

from diffcodec.bitstream.errors import BitstreamError
from diffcodec.eval.robustness.fuzz.target import Target

REFUSED, ERROR, HANG, CRASH, MEMORY = range(1, 6)
_held: list[bytearray] = []


def misbehave(data: bytes) -> None:
    """What the first byte says."""
    kind = data[0] if data else 0
    if kind == REFUSED:
        raise BitstreamError("these bytes make no sense")
    if kind == ERROR:
        raise KeyError(kind)
    if kind == HANG:
        time.sleep(3600)
    if kind == CRASH:
        ctypes.string_at(0)
    if kind == MEMORY:
        _held.append(bytearray(b"\1" * (100 << 20)))


def _target(name: str, *kinds: int) -> Target:
    """Which gets inputs of these kinds."""
    return Target(
        name,
        "planted",
        misbehave,
        lambda: [b"\0"],
        lambda data, dice, others: bytes([dice.choice(kinds)]),
    )


PLANTED = {
    target.name: target
    for target in (
        _target("planted-error", 0, REFUSED, ERROR),
        _target("planted-hang", 0, 0, HANG),
        _target("planted-crash", 0, 0, CRASH),
        _target("planted-memory", 0, 0, MEMORY),
    )
}
