"""Takes the exact pixels at a payload's end apart: what they are coded by, blocks or strips."""

from __future__ import annotations

from diffcodec.bitstream.container import parse_varint
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.graphics import GRAPHICS, strip_count
from diffcodec.bitstream.layers import LayerReader, damaged
from diffcodec.bitstream.payload import CRC, PixelBlock, block_sizes
from diffcodec.bitstream.pixels import SIGMAS, STORED
from diffcodec.bitstream.plan import Plan
from diffcodec.bitstream.strips import ADAPTIVE, Coding, apart


def parse_pixels(layers: LayerReader, plan: Plan, total: int) -> None:
    """Add to the payload what there is of its exact pixels.

    total: bytes of the whole payload. Raises BitstreamError for damage, but of strips that have
    checksums of their own: these are marked.
    """
    parser = _PixelParser(layers, plan, total)
    kind, at = parser.kind(layers.reader.at // 8)
    at = parser.state_crc(at, kind)
    if kind is None or at > len(layers.data):
        return
    layers.payload.sigma_index = kind
    sizes = block_sizes(plan.dims)
    if kind == STORED:
        parser.blocks(at, len(sizes), [size * plan.sample_bytes for size in sizes])
    elif kind == GRAPHICS:
        parser.blocks(at, strip_count(plan.dims))
    elif kind != ADAPTIVE:
        parser.blocks(at, len(sizes))
    elif apart(plan.dims, plan.strips):
        parser.strips(at)
    else:
        parser.blocks(at, 1)


class _PixelParser:
    def __init__(self, layers: LayerReader, plan: Plan, total: int) -> None:
        self.layers, self.plan, self.total = layers, plan, total
        self.data, self.payload = layers.data, layers.payload

    def kind(self, at: int) -> tuple[int | None, int]:
        """The sigma index or what stands in its place, and where it ends; None if it is cut."""
        data, payload = self.data, self.payload
        if at >= len(data):
            return None, at
        kind, at = data[at], at + 1
        known = (STORED, GRAPHICS, ADAPTIVE) if self.plan.strips else (STORED, GRAPHICS)
        sigmas = SIGMAS if self.plan.sample_bytes == 1 else 0  # no Gaussian for more than 8 bits
        if kind >= sigmas and kind not in known:
            raise damaged("its pixels are coded in an unknown way", at - 1)
        if kind == ADAPTIVE:
            if at >= len(data):
                return None, at
            payload.coding = Coding.of(data[at])
            if not (payload.steps or payload.coding.stateless):
                raise damaged("its pixels are coded given a state, and there is none", at)
            at += 1
        self.layers.count("sigma", 8 * at)
        return kind, at

    def state_crc(self, at: int, kind: int | None) -> int:
        """Note the state's checksum at a byte, if there is one; where it ends."""
        coding = self.payload.coding
        given = kind not in (None, STORED, GRAPHICS) and not (coding and coding.stateless)
        if not (self.plan.promised and given):
            return at
        self.layers.count("checksum", 8 * (at + CRC))
        self.payload.state_crc = int.from_bytes(self.data[at : at + CRC], "little")
        return at + CRC

    def blocks(self, at: int, count: int, sizes: list[int] | None = None) -> None:
        """Blocks, each with a checksum of all up to it; sizes: that they must have."""
        data, payload, total = self.data, self.payload, self.total
        for i in range(count):
            last = i == count - 1
            if last:
                size = total - 2 * CRC - at
            else:
                length = self._length(at)
                if length is None:
                    return
                size, at = length
            if size < 0 or at + size > total or (sizes and size != sizes[i]):
                raise damaged("a block of pixels leads beyond the end", at)
            piece = data[at : at + size]
            payload.blocks.append(PixelBlock(piece, len(data) >= at + size))
            self.layers.count("pixels", 8 * (at + size))
            at += size
            if last:
                at = self._pixel_crc(at)
            if not self.layers.close(at):
                return
            at += CRC

    def strips(self, at: int) -> None:
        """The strips' lengths, with a checksum, then strips, each with one of its own."""
        data, payload, sizes = self.data, self.payload, list[int]()
        for _ in range(self.plan.strips - 1):
            length = self._length(at)
            if length is None:
                return
            sizes.append(length[0])
            at = length[1]
        if not self.layers.close(at):
            return
        at += CRC
        sizes.append(self.total - at - sum(sizes) - CRC * (len(sizes) + 2))
        if sizes[-1] < 0:
            raise damaged("a strip of pixels leads beyond the end", at)
        for i, size in enumerate(sizes):
            if at >= len(data):
                break
            code, complete = data[at : at + size], len(data) >= at + size
            self.layers.count("pixels", 8 * (at + size))
            at += size
            if i == len(sizes) - 1:
                at = self._pixel_crc(at)
            intact = self.layers.close_apart(at)
            payload.blocks.append(PixelBlock(code, complete, damaged=intact is False))
            at += CRC
        if any(block.damaged for block in payload.blocks):
            payload.pixel_crc = None

    def _length(self, at: int) -> tuple[int, int] | None:
        """Length of a block that is stated at a byte, and where that ends; None if it is cut."""
        try:
            size, at = parse_varint(self.data, at)
        except BitstreamError as error:
            if len(self.data) < self.total:
                return None
            raise damaged("a block of pixels has no length", at) from error
        self.layers.count("length", 8 * at)
        return size, at

    def _pixel_crc(self, at: int) -> int:
        """Note the pixels' checksum at a byte, if it is there; where it ends."""
        if len(self.data) >= at + CRC:
            self.payload.pixel_crc = int.from_bytes(self.data[at : at + CRC], "little")
        return at + CRC
