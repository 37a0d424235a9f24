"""What a step's energy index i stands for: sigma^2 = 2^(i / 16), the same on every machine.

From it both sides know the number of bits of a step and the decoder's scale.
"""

import math
from functools import lru_cache

from diffcodec.bitstream.decimals import in_decimals, ln2, power_of_two


@lru_cache(maxsize=1024)
def energy_of(log2_energy16: int) -> float:
    """sigma^2 = 2^(log2_energy16 / 16), rounded to a double."""
    return float(power_of_two(log2_energy16, 16))


@lru_cache(maxsize=1024)
@in_decimals
def scale_for(log2_energy16: int) -> float:
    """sqrt(1 + sigma^2), the factor from codeword to mu plus noise, rounded to a double."""
    return float((1 + power_of_two(log2_energy16, 16)).sqrt())


@lru_cache(maxsize=1024)
@in_decimals
def half_log2(log2_energy16: int) -> int:
    """round(2^40 * 0.5 log2(1 + sigma^2)): the ideal of a coordinate, in 2^-40 bits."""
    half_log2 = (1 + power_of_two(log2_energy16, 16)).ln() / (2 * ln2())
    return round(half_log2 * (1 << 40))


def in_12_bits(x: float) -> float:
    """x, rounded so that the last digit of a libm or of a long sum does not show."""
    mantissa, exponent = math.frexp(x)
    return math.ldexp(round(4096 * mantissa), exponent - 12)
