"""A PNG is a row of chunks: taking it apart, checking it, and building one."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
PIECE = 1 << 20  # bytes that are inflated at a time
# Of an interlaced image: where each pass begins, and its steps, across and down
ADAM7 = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)


class Header(NamedTuple):
    """IHDR."""

    width: int
    height: int
    depth: int
    colour: int
    compression: int
    filter: int
    interlace: int

    @staticmethod
    def parse(body: memoryview) -> Header:
        """Raises struct.error if it is not 13 bytes."""
        return Header(*struct.unpack(">IIBBBBB", body))

    def size(self) -> int:
        """Bytes of all rows with their filters' numbers, before compression."""
        bits = self.depth * CHANNELS.get(self.colour, 1)
        total = 0
        for left, top, across, down in ADAM7 if self.interlace else ((0, 0, 1, 1),):
            columns = max(0, -(-(self.width - left) // across))
            rows = max(0, -(-(self.height - top) // down))
            total += rows * (1 + -(-columns * bits // 8)) if columns else 0
        return total


class Chunk(NamedTuple):
    """Four letters, and what follows them."""

    kind: bytes
    body: memoryview

    def packed(self) -> bytes:
        """As it stands in a file."""
        text = self.kind + self.body
        return struct.pack(">I", len(self.body)) + text + struct.pack(">I", zlib.crc32(text))


def chunk(kind: bytes, body: bytes) -> Chunk:
    """A new one."""
    return Chunk(kind, memoryview(body))


def chunks(data: bytes, truncated: bool = False) -> Iterator[Chunk]:
    """The chunks of a PNG, to IEND. Raises ValueError at one that is cut short or whose checksum
    is wrong; with `truncated` they end there, and checksums do not count.
    """
    view, at = memoryview(data), len(SIGNATURE)
    while True:
        kind = bytes(view[at + 4 : at + 8])
        length = int.from_bytes(view[at : at + 4], "big")
        end = at + 12 + length
        if end > len(view):
            if truncated:
                return
            raise ValueError("it ends within a chunk" if kind else "its end is missing")
        body = view[at + 8 : end - 4]
        if not truncated and zlib.crc32(view[at + 4 : end - 4]) != int.from_bytes(
            view[end - 4 : end], "big"
        ):
            raise ValueError(f"the checksum of its chunk {kind.decode('latin-1')!r} is wrong")
        yield Chunk(kind, body)
        if kind == b"IEND":
            return
        at = end


def check(data: bytes) -> None:
    """Raise ValueError if a checksum is wrong or rows are missing, which Pillow does not see."""
    header, inflated, inflate = None, 0, zlib.decompressobj()
    for kind, body in chunks(data):
        if kind == b"IHDR" and header is None:
            header = Header.parse(body)
        elif kind == b"IDAT" and header and inflated <= header.size():
            rest: bytes | memoryview = body
            while rest and not inflate.eof and inflated <= header.size():
                inflated += len(inflate.decompress(rest, PIECE))
                rest = inflate.unconsumed_tail
    if header is None or inflated < header.size():
        raise ValueError("rows of pixels are missing")


def length(data: bytes) -> int:
    """Bytes up to the end of IEND; what follows is no part of the PNG."""
    return len(SIGNATURE) + sum(12 + len(body) for _, body in chunks(data, truncated=True))


def inflated(data: bytes | memoryview, limit: int) -> bytes:
    """What a chunk holds compressed; raises ValueError beyond the limit, zlib.error if damaged."""
    inflate = zlib.decompressobj()
    text = inflate.decompress(data, limit)
    if not inflate.eof:
        raise ValueError("it is cut short, or too large")
    return text


def without(data: bytes, kinds: Collection[bytes]) -> bytes:
    """A PNG less its whole chunks of some kinds; nothing else of it changes, damaged or not."""
    at, start, kept = len(SIGNATURE), 0, list[bytes]()
    while at + 12 <= len(data):
        kind, size = data[at + 4 : at + 8], 12 + int.from_bytes(data[at : at + 4], "big")
        if kind in kinds and at + size <= len(data):
            kept.append(data[start:at])
            start = at + size
        at += size
        if kind == b"IEND":
            break
    return b"".join([*kept, data[start:]])


def assemble(parts: Iterable[Chunk]) -> bytes:
    """A file of these chunks."""
    return SIGNATURE + b"".join(part.packed() for part in parts)
