"""Checksums of payloads, made anew, so that a change inside one gets behind them."""

from __future__ import annotations

import zlib
from contextlib import suppress
from random import Random

from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.layers import LayerReader
from diffcodec.bitstream.payload import CRC
from diffcodec.bitstream.payload_parser import parse_payload
from diffcodec.bitstream.plan import Plan


class LayerWriter(LayerReader):
    """Reads layers, and makes each checksum right before it is read."""

    def close(self, at: int) -> bool:
        """As LayerReader has it."""
        self._put(at, zlib.crc32(self.data[self.layer : at], self.crc))
        return super().close(at)

    def close_apart(self, at: int) -> bool | None:
        """As LayerReader has it."""
        self._put(at, zlib.crc32(self.data[self.layer : at]))
        return super().close_apart(at)

    def _put(self, at: int, crc: int) -> None:
        if len(self.data) >= at + CRC:
            assert isinstance(self.data, bytearray)
            self.data[at : at + CRC] = crc.to_bytes(CRC, "little")


def mended(payload: bytes, plan: Plan, total: int | None) -> bytes:
    """A payload whose checksums match, as far as it can be taken apart; total: as it is parsed."""
    data = bytearray(payload)
    with suppress(BitstreamError):
        parse_payload(data, plan, total, None, LayerWriter)  # type: ignore[arg-type]
    return bytes(data)


def crc32(data: bytes) -> bytes:
    """As it stands in files."""
    return zlib.crc32(data).to_bytes(CRC, "little")


def often(dice: Random) -> bool:
    """Whether a checksum is made right: mostly, and else the program has to notice."""
    return dice.random() < 0.95
