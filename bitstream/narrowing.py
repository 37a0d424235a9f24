"""Samples of 16 bits that come from fewer: images of 8, 10 or 12 bits are stored in 16 often.

Coded as what they come from they take far less: not even a model that learns finds out which of
65,536 values never occur. FORMAT.md says how each rule widens a sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.types import Pixels, UInt16

RULES = ("scaled", "shifted", "repeated")  # by number
RULE = 16  # the number stands above the bits
FEWEST, FULL = 8, 16
SAMPLE = 1 << 12  # samples that are looked at first


@dataclass(frozen=True)
class Narrowing:
    """bits: 8 .. 15, of the samples that are coded. rule: number of the one by which 16 bits follow
    from them: the range is scaled, zeros are appended, or the highest bits once more."""

    bits: int
    rule: int

    @property
    def byte(self) -> int:
        """That says so."""
        return self.bits + RULE * self.rule

    @staticmethod
    def of(byte: int) -> Narrowing:
        """What a byte says; BitstreamError if nothing that is known."""
        rule, bits = divmod(byte, RULE)
        if rule >= len(RULES) or bits < FEWEST:
            raise BitstreamError("the file says that its samples were narrowed in an unknown way")
        return Narrowing(bits, rule)

    @cached_property
    def _wide(self) -> UInt16:
        """What each value stands for."""
        values = np.arange(1 << self.bits, dtype=np.int64)
        top, rule = len(values) - 1, RULES[self.rule]
        if rule == "scaled":
            wide = (2 * 65535 * values + top) // (2 * top)
        else:
            wide = values << (FULL - self.bits)
        if rule == "repeated":
            wide |= values >> (2 * self.bits - FULL)
        return wide.astype("<u2")

    @cached_property
    def _narrow(self) -> UInt16:
        """The value of each sample; of one that does not occur any."""
        found = np.searchsorted(self._wide, np.arange(1 << FULL, dtype=np.uint16))
        return np.minimum(found, len(self._wide) - 1).astype("<u2")

    def narrow(self, samples: Pixels) -> Pixels:
        """Of 16 bits to those that are coded; of any shape."""
        return self._narrow.astype(np.uint8 if self.bits == 8 else "<u2")[samples]

    def widen(self, samples: Pixels) -> Pixels:
        """Back to 16 bits."""
        return np.asarray(self._wide[samples])

    def fits(self, samples: Pixels) -> bool:
        """Whether samples of 16 bits come back."""
        return np.array_equal(self._wide[self._narrow[samples]], samples)


def find_narrowing(samples: Pixels) -> Narrowing | None:
    """The fewest bits that samples of 16 bits come from; None if they need all."""
    flat = samples.reshape(-1)
    some = flat[:: max(1, flat.size // SAMPLE)]
    for narrowing in _narrowings():
        if narrowing.fits(some) and narrowing.fits(flat):
            return narrowing
    return None


@lru_cache(maxsize=1)
def _narrowings() -> tuple[Narrowing, ...]:
    """All of them, with their tables, the fewest bits first."""
    return tuple(Narrowing(bits, r) for bits in range(FEWEST, FULL) for r in range(len(RULES)))
