"""Reads the layers of a payload: what their bits are, and whether their checksums match."""

from __future__ import annotations

import zlib

from diffcodec.bitstream.bits import BitReader
from diffcodec.bitstream.errors import Damaged
from diffcodec.bitstream.payload import CRC, Payload, Piece


class LayerReader:
    """Where a parser stands in a payload, or in a prefix of one."""

    def __init__(self, data: bytes, payload: Payload) -> None:
        self.data, self.payload = data, payload
        self.reader = BitReader(data, 0)
        self.layer, self.crc = 0, 0  # where the open layer began; checksum of all before it
        self.counted = 0  # bits that the pieces make up

    def count(self, kind: str, at: int, step: int | None = None) -> None:
        """The bits up to bit `at` that no piece has yet, as far as they are there."""
        bits = min(at, 8 * len(self.data)) - self.counted
        if bits > 0:
            self.payload.pieces.append(Piece(kind, bits, step))
            self.counted += bits

    def close(self, at: int) -> bool:
        """Verify the layer that ends at byte `at`; False if its checksum is not there.

        Raises Damaged if it does not match.
        """
        self.count("checksum", 8 * (at + CRC))  # with the one of the pixels, at the end
        if len(self.data) < at + CRC:
            return False
        self.crc = zlib.crc32(self.data[self.layer : at], self.crc)
        if self.crc != self._stated(at):
            raise Damaged(
                f"the file is damaged: payload bytes {self.layer} to {at + CRC} do not match their "
                "checksum",
                self.layer,
            )
        self.payload.layers += 1
        self.payload.verified = self.layer = at + CRC
        self.reader.at = 8 * self.layer
        return True

    def close_apart(self, at: int) -> bool | None:
        """Whether the layer that ends at byte `at` matches a checksum of it alone.

        None if its checksum is not there.
        """
        self.count("checksum", 8 * (at + CRC))
        if len(self.data) < at + CRC:
            return None
        start, self.layer = self.layer, at + CRC
        if zlib.crc32(self.data[start:at]) != self._stated(at):
            return False
        self.payload.layers += 1
        if self.payload.verified == start:
            self.payload.verified = self.layer
        return True

    def _stated(self, at: int) -> int:
        return int.from_bytes(self.data[at : at + CRC], "little")


def damaged(why: str, at: int) -> Damaged:
    """An error that says where."""
    return Damaged(f"the file is damaged: {why} (payload byte {at})", at)
