"""How many bits a step of the trellis code takes, in integers that are the same everywhere.

A step's energy is stated as an index i, sigma^2 = 2^(i / 16); from it both sides know the number of
path bits and the decoder's scale. `decimal` is correctly rounded, unlike a libm.
"""

from decimal import Context, Decimal
from functools import lru_cache

# What the code loses at low rates, in thousandths of the ideal, by nu; at h bits a coordinate it
# loses 1 / (1 + 0.3 h) of that. And a step loses 1 bit, or the ideal where that is less. Fitted to
# what the code delivers, 0.01 .. 2 bits a coordinate and 8 .. 4096 bits a step.
_LOSS = {8: 163, 10: 109, 12: 85, 14: 69, 16: 58}
_EXACT = Context(prec=50)


def bits_for(dims: int, log2_energy16: int, nu: int) -> int:
    """Bits for a target of sigma^2 = 2^(log2_energy16 / 16) per coordinate, in integers only.

    The ideal is dims * h, h = 0.5 log2(1 + sigma^2); with the code's loss on top, it delivers the
    ideal information on average.
    """
    one, h = 1 << 40, _half_log2(log2_energy16)
    loss = h * _LOSS[nu] * one // (100 * (10 * one + 3 * h))
    return (dims * (h + loss) + min(one, dims * h) + one // 2) // one


def scale_for(log2_energy16: int) -> float:
    """sqrt(1 + sigma^2), the factor from codeword to mu plus noise, correctly rounded."""
    return float(_EXACT.sqrt(1 + _energy(log2_energy16)))


@lru_cache(maxsize=1024)
def _half_log2(log2_energy16: int) -> int:
    """round(2^40 * 0.5 log2(1 + sigma^2)): ln and exp of `decimal` are correctly rounded."""
    half_log2 = _EXACT.ln(1 + _energy(log2_energy16)) / (2 * _EXACT.ln(Decimal(2)))
    return int((half_log2 * (1 << 40)).to_integral_value())


def _energy(log2_energy16: int) -> Decimal:
    return _EXACT.exp(_EXACT.ln(Decimal(2)) * log2_energy16 / 16)
