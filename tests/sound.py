"""Items of metadata as hypothesis makes them up, each of data that its kind may have."""

from __future__ import annotations

from hypothesis import strategies as st

from diffcodec.bitstream.metadata import Item, Kind
from diffcodec.bitstream.sound_items import SIZES


def items(most: int) -> st.SearchStrategy[Item]:
    """Of all kinds, with so many bytes at most where their kind says nothing of it."""
    return st.sampled_from(Kind).flatmap(
        lambda kind: st.builds(Item, st.just(kind), _of(kind, most))
    )


def _of(kind: Kind, most: int) -> st.SearchStrategy[bytes]:
    if kind == Kind.ORIENTATION:
        return st.integers(1, 8).map(lambda turn: bytes([turn]))
    if kind in SIZES:
        return st.binary(min_size=SIZES[kind].start, max_size=SIZES[kind].stop - 1)
    if kind == Kind.EXIF:
        return st.binary(max_size=most).map(lambda rest: b"MM\0*" + rest)
    if kind == Kind.TEXT:
        words = st.lists(st.text(max_size=most // 4), min_size=4, max_size=4)
        return words.map(lambda parts: "\0".join(parts).encode("utf-8", "replace"))
    return st.binary(max_size=most)
