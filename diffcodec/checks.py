"""Numbers that callers give, checked before any work: where a file stops, its seed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from diffcodec.errors import OptionError


def whole(value: Any) -> bool:
    """Whether this is a whole number, of Python's or numpy's."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def real(value: Any) -> bool:
    """Whether this is a number, of Python's or numpy's."""
    return whole(value) or isinstance(value, float | np.floating)


def check_stop(
    *,
    max_bytes: Any = None,
    bpp: Any = None,
    max_steps: Any = None,
    psnr: Any = None,
) -> None:
    """Raises OptionError unless at most one is given, and that one is a number above 0: of bytes
    and of steps a whole one."""
    given = {
        name: value
        for name, value in (
            ("max_bytes", max_bytes),
            ("bpp", bpp),
            ("max_steps", max_steps),
            ("psnr", psnr),
        )
        if value is not None
    }
    if len(given) > 1:
        raise OptionError(f"{' and '.join(given)} each say where the file stops: give one of them")
    for name, value in given.items():
        if name in ("max_bytes", "max_steps"):
            if not (whole(value) and value > 0):
                raise OptionError(f"{name} is {value!r}: it must be a whole number above 0")
        elif not (real(value) and math.isfinite(value) and value > 0):
            raise OptionError(f"{name} is {value!r}: it must be a number above 0, and finite")


def check_seed(seed: Any) -> None:
    """Raises OptionError unless the seed has a place in a file."""
    if not (whole(seed) and 0 <= seed < 1 << 32):
        raise OptionError(f"the seed is {seed!r}: it must be a whole number from 0 to 2^32 - 1")
