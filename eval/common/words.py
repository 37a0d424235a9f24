"""Words that depend on a number."""

from __future__ import annotations


def counted(n: int, one: str, more: str = "") -> str:
    """A number with its noun, "1 image" or "2,000 images"; more: a plural that is not one + "s"."""
    return f"{n:,} {one if n == 1 else more or f'{one}s'}"
