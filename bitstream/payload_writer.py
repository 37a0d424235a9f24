"""Writes the payload of a .dfc file; payload_parser.py takes it apart."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

from diffcodec.bitstream.bits import BitWriter, write_change, write_skip
from diffcodec.bitstream.container import pack_varint
from diffcodec.bitstream.payload import CRC, LAYER
from diffcodec.bitstream.plan import Plan, Step
from diffcodec.bitstream.strips import Coding, apart


@dataclass(frozen=True)
class PixelCode:
    """The exact pixels as they are written.

    kind: a sigma index, or STORED, GRAPHICS, ADAPTIVE; coding: of the strips, with ADAPTIVE only;
    state_crc: of the state that they are coded given, where the file is to say so.
    ideal_bits: -log2 of each block's probability; gaussian_bits: the same by the discretized
    Gaussian around x0_hat (DDPM's L_0). Both are empty where nobody asked, or none is known.
    """

    kind: int
    blocks: list[bytes]
    coding: Coding | None = None
    ideal_bits: list[float] = field(default_factory=list)
    gaussian_bits: list[float] = field(default_factory=list)
    state_crc: int | None = None

    @property
    def size(self) -> int:
        """Bytes of all blocks."""
        return sum(map(len, self.blocks))


class PayloadWriter:
    """Writes a payload, step by step."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.done = bytearray()  # closed layers, and whole bytes of the open one
        self.layer = 0  # where the open layer begins
        self.crc = 0
        self.bits = BitWriter()
        self.offset = 0
        self.last_side_bits = 0  # what the last step spent besides its message

    @property
    def length(self) -> int:
        """Bytes so far, the last one perhaps not full."""
        return len(self.done) + -(-self.bits.length // 8)

    def copy(self) -> PayloadWriter:
        """Another writer that continues from here."""
        other = PayloadWriter(self.plan)
        other.done, other.layer, other.crc = self.done.copy(), self.layer, self.crc
        other.bits.parts, other.bits.length = self.bits.parts.copy(), self.bits.length
        other.offset = self.offset
        return other

    def add_step(self, step: Step) -> None:
        """Append a step."""
        before = self.bits.length
        if step.end > step.start + 1:
            write_skip(self.bits, step.end - step.start - 1)
        write_change(self.bits, step.offset - self.offset)
        self.offset = step.offset
        self.last_side_bits = self.bits.length - before
        self.bits.write(step.bits)
        if self.bits.length >= 8 * LAYER:
            self._close()

    def switch(self, end: int) -> None:
        """Say, unless the last node is reached, that the pixels follow now."""
        if end < self.plan.nodes - 1:
            write_skip(self.bits, self.plan.nodes - 1 - end)

    def lossy(self) -> bytes:
        """The payload of a file that ends here."""
        return bytes(self.done + self.bits.take())

    def finish(self, code: PixelCode, pixel_crc: int) -> bytes:
        """The whole payload, with the exact pixels."""
        self.done += self.bits.take() + bytes([code.kind])
        if code.coding is not None:
            self.done += bytes([code.coding.number])
        if code.state_crc is not None:
            self.done += code.state_crc.to_bytes(CRC, "little")
        if code.coding is not None and apart(self.plan.dims, len(code.blocks)):
            return self._finish_apart(code.blocks, pixel_crc)
        for block in code.blocks[:-1]:
            self.done += pack_varint(len(block)) + block
            self._close()
        self.done += code.blocks[-1] + pixel_crc.to_bytes(CRC, "little")
        self._close()
        return bytes(self.done)

    def _finish_apart(self, strips: list[bytes], pixel_crc: int) -> bytes:
        """The whole payload: first the strips' lengths, then each with a checksum of its own."""
        self.done += b"".join(pack_varint(len(strip)) for strip in strips[:-1])
        self._close()
        for strip in [*strips[:-1], strips[-1] + pixel_crc.to_bytes(CRC, "little")]:
            self.crc = 0
            self.done += strip
            self._close()
        return bytes(self.done)

    def _close(self) -> None:
        self.done += self.bits.take()
        self.crc = zlib.crc32(self.done[self.layer :], self.crc)
        self.done += self.crc.to_bytes(CRC, "little")
        self.layer = len(self.done)
