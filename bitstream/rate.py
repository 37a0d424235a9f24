"""How many bits a step of the trellis code takes, in integers that are the same everywhere.

A step's energy is stated as an index i, sigma^2 = 2^(i / 16); from it both sides know the number of
path bits and the decoder's scale.
"""

from functools import lru_cache

from diffcodec.bitstream.decimals import in_decimals, ln2, power_of_two

# What the code loses at low rates, in thousandths of the ideal, by nu; at h bits a coordinate it
# loses 1 / (1 + 0.3 h) of that. And a step loses 1 bit, or the ideal where that is less. Fitted to
# what the code delivers, 0.01 .. 2 bits a coordinate and 8 .. 4096 bits a step.
_LOSS = {8: 163, 10: 109, 12: 85, 14: 69, 16: 58}


def bits_for(dims: int, log2_energy16: int, nu: int) -> int:
    """Bits for a target of sigma^2 = 2^(log2_energy16 / 16) per coordinate, in integers only.

    The ideal is dims * h, h = 0.5 log2(1 + sigma^2); with the code's loss on top, it delivers the
    ideal information on average.
    """
    one, h = 1 << 40, _half_log2(log2_energy16)
    loss = h * _LOSS[nu] * one // (100 * (10 * one + 3 * h))
    return (dims * (h + loss) + min(one, dims * h) + one // 2) // one


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
def _half_log2(log2_energy16: int) -> int:
    """round(2^40 * 0.5 log2(1 + sigma^2))."""
    half_log2 = (1 + power_of_two(log2_energy16, 16)).ln() / (2 * ln2())
    return round(half_log2 * (1 << 40))
