"""Words that depend on a number, and names that can be shown anywhere."""

from __future__ import annotations

import unicodedata


def counted(n: int, one: str, more: str = "") -> str:
    """A number with its noun, "1 image" or "2,000 images"; more: a plural that is not one + "s"."""
    return f"{n:,} {one if n == 1 else more or f'{one}s'}"


# That turn the order of what follows, from Unicode's bidirectional algorithm.
_TURNING = frozenset(("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"))


def shown(name: str) -> str:
    """A name as results, pages and figures hold it: what is no text in it is U+FFFD.

    No text are bytes that are not UTF-8 (as os.fsdecode has them), control characters, and those
    that turn the order of others.
    """
    return "".join("\ufffd" if _no_text(c) else c for c in name)


def encodable(text: str) -> str:
    """Text that UTF-8 can hold: as `shown`, but control characters stay."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _no_text(c: str) -> bool:
    return unicodedata.category(c) in ("Cc", "Cs") or unicodedata.bidirectional(c) in _TURNING
