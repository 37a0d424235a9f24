"""The payload of a .dfc file: steps of the diffusion chain, then blocks of exact pixels.

FORMAT.md is the specification. A layer is a run of whole steps, or a block of pixels, that ends in
a CRC-32 over the payload so far, so every complete layer can be verified; layers are long enough
for the checksums to stay below 1 % of the file.

Parsing needs integers only (nodes, dims, the step code's lengths and the expected energies of the
network's file), so a file is taken apart, and its layers verified, before any network is run.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from diffcodec.bitstream.bits import (
    BitReader,
    BitWriter,
    OutOfBits,
    read_skip_or_change,
    write_change,
    write_skip,
)
from diffcodec.bitstream.container import pack_varint, parse_varint
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.graphics import GRAPHICS, strip_count
from diffcodec.bitstream.pixels import CHUNK, SIGMAS, STORED
from diffcodec.bitstream.plan import ENERGY, FEWEST_BITS, Plan, Step

LAYER = 512  # a layer ends with the first step that brings it to this many bytes
CRC = 4  # bytes


@dataclass(frozen=True)
class PixelBlock:
    """Code of CHUNK sub-pixels, or of the last ones, or a strip of graphics.

    `complete` is False where it was cut.
    """

    data: bytes
    complete: bool


@dataclass(frozen=True)
class Piece:
    """Bits of a payload that lie together and what they are: a kind of
    diffcodec.accounting.ledger.KINDS.

    step: number of the step that they belong to.
    """

    kind: str
    bits: int
    step: int | None = None


@dataclass
class Payload:
    """A payload taken apart; its pieces, in order, are all bits that were looked at.

    sigma_index: of the code of the pixels, or STORED, GRAPHICS; None where they do not begin.
    """

    steps: list[Step] = field(default_factory=list)
    sigma_index: int | None = None
    blocks: list[PixelBlock] = field(default_factory=list)
    pixel_crc: int | None = None  # None unless the file is whole
    layers: int = 0  # complete ones, all verified
    verified: int = 0  # payload bytes that they cover
    pieces: list[Piece] = field(default_factory=list)


def block_sizes(dims: int) -> list[int]:
    """Sub-pixels in each block."""
    return [min(CHUNK, dims - i) for i in range(0, dims, CHUNK)]


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

    def finish(self, sigma_index: int, blocks: list[bytes], pixel_crc: int) -> bytes:
        """The whole payload, with the exact pixels; sigma_index: of their code, or a plain kind."""
        self.done += self.bits.take() + bytes([sigma_index])
        for block in blocks[:-1]:
            self.done += pack_varint(len(block)) + block
            self._close()
        self.done += blocks[-1] + pixel_crc.to_bytes(CRC, "little")
        self._close()
        return bytes(self.done)

    def _close(self) -> None:
        self.done += self.bits.take()
        self.crc = zlib.crc32(self.done[self.layer :], self.crc)
        self.done += self.crc.to_bytes(CRC, "little")
        self.layer = len(self.done)


def parse_payload(data: bytes, plan: Plan, total: int | None, max_steps: int | None) -> Payload:
    """Take a payload, or any prefix of it, apart and verify its layers.

    total: bytes of the whole payload, None if it has no lossless end. max_steps: stop after so many
    complete steps. Raises BitstreamError where a layer is damaged.
    """
    payload = Payload()
    parser = _Parser(data, plan, total, payload)
    for step in parser.steps():
        payload.steps.append(step)
        if max_steps is not None and len(payload.steps) >= max_steps:
            return payload
    if total is not None and parser.at_pixels:
        parser.pixels(total)
    parser.count("cut", 8 * len(data))
    return payload


class _Parser:
    def __init__(self, data: bytes, plan: Plan, total: int | None, payload: Payload) -> None:
        self.data, self.plan, self.total, self.payload = data, plan, total, payload
        self.reader = BitReader(data, 0)
        self.layer, self.crc = 0, 0  # where the open layer began; checksum of all before it
        self.at_pixels = False
        self.counted = 0  # bits that the pieces make up

    def count(self, kind: str, at: int, step: int | None = None) -> None:
        """The bits up to bit `at` that no piece has yet, as far as they are there."""
        bits = min(at, 8 * len(self.data)) - self.counted
        if bits > 0:
            self.payload.pieces.append(Piece(kind, bits, step))
            self.counted += bits

    def steps(self) -> Iterator[Step]:
        """Steps in order, the last one perhaps incomplete."""
        plan, reader, state, offset, number = self.plan, self.reader, -1, 0, 0
        while state < plan.nodes - 1:
            try:
                skipped, change = read_skip_or_change(reader)
                end = state + 1 + skipped
                if end == plan.nodes:
                    break
                if end < plan.nodes and change is None:
                    skipped, change = read_skip_or_change(reader)
                if end > plan.nodes or change is None:
                    raise _damaged("a step leads nowhere", reader.at // 8)
            except OutOfBits:
                return
            offset += change
            if not ENERGY[0] <= plan.energy(state, end, offset) <= ENERGY[1]:
                raise _damaged("a step has an impossible energy", reader.at // 8)
            head = plan.head(state, end, offset)
            if head.n_bits < FEWEST_BITS:
                if reader.left < FEWEST_BITS:
                    return  # the padding of a file that ends with a step
                raise _damaged("a step carries next to nothing", reader.at // 8)
            self.count("side", reader.at, number)
            bits = reader.read(head.n_bits)
            step = head.with_bits(bits, -(-reader.at // 8))
            self.count("path", reader.at, number)
            yield step
            if not step.complete:
                return
            state, number = end, number + 1
            if reader.at - 8 * self.layer >= 8 * LAYER:
                self.count("padding", 8 * reader.align())
                if not self._close(reader.at // 8):
                    return
        self.at_pixels = True
        self.count("side", reader.at)
        self.count("padding", 8 * reader.align())

    def pixels(self, total: int) -> None:
        """Sigma, blocks and the pixels' checksum."""
        data, payload, at = self.data, self.payload, self.reader.at // 8
        if at >= len(data):
            return
        kind, at = data[at], at + 1
        if kind >= SIGMAS and kind not in (STORED, GRAPHICS):
            raise _damaged("its pixels are coded in an unknown way", at - 1)
        payload.sigma_index = kind
        self.count("sigma", 8 * at)
        sizes = block_sizes(self.plan.dims)
        count = strip_count(self.plan.dims) if kind == GRAPHICS else len(sizes)
        for i in range(count):
            last = i == count - 1
            if last:
                size = total - 2 * CRC - at
            else:
                try:
                    size, at = parse_varint(data, at)
                except BitstreamError as error:
                    if len(data) < total:
                        return
                    raise _damaged("a block of pixels has no length", at) from error
                self.count("length", 8 * at)
            if size < 0 or at + size > total or (kind == STORED and size != sizes[i]):
                raise _damaged("a block of pixels leads beyond the end", at)
            piece = data[at : at + size]
            payload.blocks.append(PixelBlock(piece, len(data) >= at + size))
            self.count("pixels", 8 * (at + size))
            at += size + (CRC if last else 0)
            if last and len(data) >= at:
                payload.pixel_crc = int.from_bytes(data[at - CRC : at], "little")
            if not self._close(at):
                return
            at += CRC

    def _close(self, at: int) -> bool:
        """Verify the layer that ends at byte `at`; False if its checksum is not there."""
        self.count("checksum", 8 * (at + CRC))  # with the one of the pixels, at the end
        if len(self.data) < at + CRC:
            return False
        self.crc = zlib.crc32(self.data[self.layer : at], self.crc)
        if self.crc != int.from_bytes(self.data[at : at + CRC], "little"):
            raise BitstreamError(
                f"the file is damaged: payload bytes {self.layer} to {at + CRC} do not match their "
                "checksum"
            )
        self.payload.layers += 1
        self.payload.verified = self.layer = at + CRC
        self.reader.at = 8 * self.layer
        return True


def _damaged(why: str, at: int) -> BitstreamError:
    return BitstreamError(f"the file is damaged: {why} (payload byte {at})")
