"""constriction's range coder with its Gaussian model, in Python: the same words, more slowly.

For machines that constriction has no build for. Names and signatures are its own, as far as
pixels.py calls them; FORMAT.md, section 5, has the decoder and the frequencies.
"""

from __future__ import annotations

from bisect import bisect_right
from math import erfc, sqrt

import numpy as np

from diffcodec.bitstream.types import Float64, Int32, UInt32

WORD, STATE, PRECISION = 32, 64, 24  # bits
_SURE = 8.2439  # standard deviations from which on the tail of a Gaussian is left out
_WORDS, _STATES, _LEAST = (1 << WORD) - 1, (1 << STATE) - 1, 1 << (STATE - WORD)


class QuantizedGaussian:
    """Integers least .. most, whose bins are one wide; no bin is empty."""

    def __init__(self, least: int, most: int) -> None:
        self.symbols = range(least, most + 1)
        self.free = float((1 << PRECISION) - len(self.symbols))

    def below(self, symbol: int, mean: float, sigma: float) -> int:
        """The cumulative frequency, out of 2^PRECISION, of symbols below this one."""
        at = symbol - self.symbols.start
        if at == 0:
            return 0
        if at == len(self.symbols):
            return 1 << PRECISION
        z = (symbol - 0.5 - mean) / sigma
        return int(self.free * (1.0 if z > _SURE else 0.5 * erfc(-z / sqrt(2)))) + at

    def find(self, quantile: int, mean: float, sigma: float) -> int:
        """The symbol whose frequencies a quantile, below 2^PRECISION, falls among."""
        above = self.symbols[1:]
        place = bisect_right(above, quantile, key=lambda symbol: self.below(symbol, mean, sigma))
        return self.symbols[place]


class RangeEncoder:
    """Puts out words; those whose carry is not known yet are counted in `held`."""

    def __init__(self) -> None:
        self.words: list[int] = []
        self.low, self.range = 0, _STATES
        self.first, self.held = 0, 0  # the first held word, if no carry comes; the others are ones

    def encode(
        self, symbols: Int32, model: QuantizedGaussian, means: Float64, sigmas: Float64
    ) -> None:
        """Append symbols, each with its mean and standard deviation."""
        for symbol, *gaussian in zip(
            symbols.tolist(), means.tolist(), sigmas.tolist(), strict=True
        ):
            below = model.below(symbol, *gaussian)
            self._narrow(below, model.below(symbol + 1, *gaussian) - below)

    def _narrow(self, below: int, frequency: int) -> None:
        unit = self.range >> PRECISION
        self.range = unit * frequency
        low = (self.low + unit * below) & _STATES
        if self.held and low + self.range <= _STATES:  # the carry is known
            self.words += self._settled(carry=low < self.low)
            self.held = 0
        self.low = low
        if self.range < _LEAST:
            word, self.low = low >> (STATE - WORD), low << WORD & _STATES
            self.range <<= WORD
            if self.held:
                self.held += 1
            elif self.low + self.range <= _STATES:
                self.words.append(word)
            else:
                self.first, self.held = word, 1

    def _settled(self, carry: bool) -> list[int]:
        """The held words; none if there are none."""
        first = [self.first + carry & _WORDS] * min(1, self.held)
        return first + [0 if carry else _WORDS] * (self.held - 1)

    def _seal(self) -> list[int]:
        """The words that end the code here."""
        if self.range == _STATES:
            return []
        point = self.low + _LEAST - 1
        last = point >> (STATE - WORD) & _WORDS
        upper = (self.low + self.range) >> (STATE - WORD) & _WORDS
        return [*self._settled(point > _STATES), last, *([0] if upper == last else [])]

    def num_words(self) -> int:
        """Of the code, if it ends here."""
        return len(self.words) + len(self._seal())

    def get_compressed(self) -> UInt32:
        """The code, if it ends here."""
        return np.array(self.words + self._seal(), np.uint32)


class RangeDecoder:
    """Reads words; what is missing at the end are zeros."""

    def __init__(self, words: UInt32) -> None:
        self.words: list[int] = words.tolist()
        self.low, self.range, self.at = 0, _STATES, 0
        self.point = self._next() << WORD | self._next()

    def _next(self) -> int:
        self.at += 1
        return self.words[self.at - 1] if self.at <= len(self.words) else 0

    def decode(self, model: QuantizedGaussian, means: Float64, sigmas: Float64) -> Int32:
        """As many symbols as means; AssertionError if the words are not of any."""
        gaussians = zip(means.tolist(), sigmas.tolist(), strict=True)
        return np.array([self._symbol(model, *gaussian) for gaussian in gaussians], np.int32)

    def _symbol(self, model: QuantizedGaussian, mean: float, sigma: float) -> int:
        unit = self.range >> PRECISION
        quantile = (self.point - self.low & _STATES) // unit
        if quantile >> PRECISION:
            raise AssertionError("the words are no code")
        symbol = model.find(quantile, mean, sigma)
        below = model.below(symbol, mean, sigma)
        self.low = (self.low + unit * below) & _STATES
        self.range = unit * (model.below(symbol + 1, mean, sigma) - below)
        if self.range < _LEAST:
            self.low, self.range = self.low << WORD & _STATES, self.range << WORD
            self.point = (self.point << WORD | self._next()) & _STATES
        return symbol
