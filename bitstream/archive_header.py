"""The header of a .dfa archive: what all of its groups share. FORMAT-archive.md specifies it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

from diffcodec.bitstream.adaptive import LEVELS
from diffcodec.bitstream.container import (
    ARCHIVE_MAGIC,
    CHAINS,
    MAX_NODES,
    ChainKind,
    crc16,
    name_of_chain,
    pack_varint,
    parse_varint,
)
from diffcodec.bitstream.errors import BitstreamError, IncompleteHeader

VERSIONS = (1, 2, 3, 4)  # that are read
PLAIN = 2  # the first version whose groups may hold plain images
ADAPTIVE = 3  # the version whose bits-back coding ends with the adaptive coder
RICH = 4  # the version that holds alpha, 16 bits, metadata, times and permissions
LISTED = 0x80  # flag of version 3: groups list plain images
CHOSEN, ENDED, GUARDED = 1, 2, 4  # flags of version 4
FLAGS = {1: 0, PLAIN: CHOSEN, ADAPTIVE: ENDED, RICH: 0}  # that each version implies
TINY = 32 * 32  # pixels of a tile up to which bits-back coding ends at another level


@dataclass(frozen=True)
class AdaptiveEnd:
    """How bits-back coding ends where x_0 is coded by the adaptive coder.

    level: of bitstream.adaptive.LEVELS; tiny, large: how many of the chain's noise levels tiles of
    at most TINY pixels, and all others, have.
    """

    level: int
    tiny: int
    large: int

    def nodes(self, pixels: int) -> int:
        """Noise levels that a tile of so many pixels has."""
        return self.tiny if pixels <= TINY else self.large


@dataclass(frozen=True)
class ArchiveHeader:
    """What all groups share: the network, the chain, the bins a deviation, the side of tiles.

    nodes: noise levels of the chain; 0, with plain images only: no network. plain: images are plain
    where that takes fewer bytes. end: None where x_0 is coded by the discretized Gaussian. rich:
    groups hold all that pictures have, and what is known of their files. guarded: so that damage to
    what says how their 16 bits were narrowed is noticed; only if rich.
    """

    fingerprint: bytes
    chain: ChainKind
    nodes: int
    bins: int
    tile: int
    plain: bool = False
    end: AdaptiveEnd | None = None
    rich: bool = False
    guarded: bool = False

    @property
    def listed(self) -> bool:
        """Whether groups say which of their images are plain."""
        return self.plain or self.rich

    @property
    def version(self) -> int:
        """Of the format: the first one that has it all."""
        return RICH if self.rich else ADAPTIVE if self.end else PLAIN if self.plain else 1

    @property
    def chain_name(self) -> str:
        """The chain as diffcodec.theory.chain.choose_chain calls it."""
        return name_of_chain(self.chain, self.nodes)

    def pack(self) -> bytes:
        """The header's bytes; its CRC-16 last."""
        start = bytes([self.version, CHAINS.index(self.chain), self.bins])
        body = ARCHIVE_MAGIC + start + self.fingerprint
        body += pack_varint(self.nodes) + pack_varint(self.tile)
        if self.rich:
            ended = ENDED * (self.end is not None)
            body += bytes([CHOSEN * self.plain | ended | GUARDED * self.guarded])
        if self.end is not None:
            body += bytes([self.end.level | LISTED * (self.plain and not self.rich)])
            body += pack_varint(self.end.tiny) + pack_varint(self.end.large)
        return body + crc16(body)


def read_header(file: BinaryIO) -> ArchiveHeader:
    """The header at the beginning of a file, which is then read up to its end.

    Raises BitstreamError in one sentence.
    """
    data = file.read(64)
    if data[:4] != ARCHIVE_MAGIC:
        raise BitstreamError("this is not a .dfa archive")
    if len(data) < 16:
        raise IncompleteHeader("the archive was cut inside its header")
    version = data[4]
    if version not in VERSIONS:
        known = f"{', '.join(map(str, VERSIONS[:-1]))} and {VERSIONS[-1]}"
        raise BitstreamError(
            f"the archive has format version {version}; this diffcodec reads versions {known}"
        )
    nodes, at = parse_varint(data, 15)
    tile, at = parse_varint(data, at)
    flags, level, tiny, large = FLAGS[version], 0, 0, 0
    if version == RICH:
        flags, at = _byte(data, at), at + 1
    if flags & ENDED:
        level, at = _byte(data, at), at + 1
        tiny, at = parse_varint(data, at)
        large, at = parse_varint(data, at)
    if version == ADAPTIVE:
        flags |= CHOSEN * (level >= LISTED)
        level &= ~LISTED
    end = AdaptiveEnd(level, tiny, large) if flags & ENDED else None
    if data[at : at + 2] != crc16(data[:at]):
        raise BitstreamError("the archive's header is damaged (its checksum does not match)")
    fewest = 0 if flags & CHOSEN and end is None else 1
    known_end = end is None or (
        end.level < len(LEVELS) and 0 < end.tiny <= nodes and 0 < end.large <= nodes
    )
    known_chain = data[5] < len(CHAINS) and fewest <= nodes <= MAX_NODES
    if not (known_chain and known_end and data[6] and tile and flags <= CHOSEN | ENDED | GUARDED):
        raise BitstreamError("the archive asks for something this diffcodec does not know")
    file.seek(at + 2)
    kind: ChainKind = CHAINS[data[5]]  # type: ignore[assignment]
    plain, rich, guarded = bool(flags & CHOSEN), version == RICH, bool(flags & GUARDED)
    return ArchiveHeader(data[7:15], kind, nodes, data[6], tile, plain, end, rich, guarded)


def _byte(data: bytes, at: int) -> int:
    if at >= len(data):
        raise IncompleteHeader("the archive was cut inside its header")
    return data[at]
