"""The payload of a .dfc file: steps of the diffusion chain, then blocks of exact pixels.

FORMAT.md is the specification. A layer is a run of whole steps, or a block of pixels, that ends in
a CRC-32 over the payload so far, so every complete layer can be verified; layers are long enough
for the checksums to stay below 1 % of the file. Only the strips of the adaptive coder have
checksums of their own: one that is damaged costs no other.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from diffcodec.bitstream.graphics import GRAPHICS
from diffcodec.bitstream.pixels import CHUNK, STORED
from diffcodec.bitstream.plan import Step
from diffcodec.bitstream.strips import Coding

LAYER = 512  # a layer ends with the first step that brings it to this many bytes
CRC = 4  # bytes


@dataclass(frozen=True)
class PixelBlock:
    """Code of CHUNK sub-pixels, or of the last ones, or of a strip.

    `complete` is False where it was cut, `damaged` True where a strip does not match its checksum.
    """

    data: bytes
    complete: bool
    damaged: bool = False


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

    sigma_index: of the code of the pixels, or STORED, GRAPHICS, ADAPTIVE; None where they do not
    begin. coding: of the strips, with ADAPTIVE only. state_crc: of the state that they are coded
    given; None where the file does not say, or they need none.
    """

    steps: list[Step] = field(default_factory=list)
    sigma_index: int | None = None
    coding: Coding | None = None
    state_crc: int | None = None
    blocks: list[PixelBlock] = field(default_factory=list)
    pixel_crc: int | None = None  # None unless the file is whole, and no strip damaged
    layers: int = 0  # complete ones that are intact
    verified: int = 0  # payload bytes that they cover, up to the first that is not
    pieces: list[Piece] = field(default_factory=list)

    @property
    def plain(self) -> bool:
        """Whether the pixels have begun, and follow from the file alone, without any state."""
        stateless = self.coding is not None and self.coding.stateless
        return self.sigma_index in (STORED, GRAPHICS) or stateless


def block_sizes(dims: int) -> list[int]:
    """Sub-pixels in each block."""
    return [min(CHUNK, dims - i) for i in range(0, dims, CHUNK)]
