"""The header of a .dfa archive: what all of its groups share. FORMAT-archive.md specifies it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

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

VERSIONS = (1, 2)  # that are read
PLAIN = 2  # the first version whose groups may hold plain images


@dataclass(frozen=True)
class ArchiveHeader:
    """What all groups share: the network, the chain, the bins a deviation, the side of tiles.

    nodes: noise levels of the chain; 0, with version 2 only: no network, all images are plain.
    version: of the format; 1 where no image is plain.
    """

    fingerprint: bytes
    chain: ChainKind
    nodes: int
    bins: int
    tile: int
    version: int = 1

    @property
    def chain_name(self) -> str:
        """The chain as diffcodec.theory.chain.choose_chain calls it."""
        return name_of_chain(self.chain, self.nodes)

    def pack(self) -> bytes:
        """The header's bytes; its CRC-16 last."""
        start = bytes([self.version, CHAINS.index(self.chain), self.bins])
        body = ARCHIVE_MAGIC + start + self.fingerprint
        body += pack_varint(self.nodes) + pack_varint(self.tile)
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
        known = " and ".join(map(str, VERSIONS))
        raise BitstreamError(
            f"the archive has format version {version}; this diffcodec reads versions {known}"
        )
    nodes, at = parse_varint(data, 15)
    tile, at = parse_varint(data, at)
    if data[at : at + 2] != crc16(data[:at]):
        raise BitstreamError("the archive's header is damaged (its checksum does not match)")
    fewest = 0 if version >= PLAIN else 1
    if data[5] >= len(CHAINS) or not data[6] or not fewest <= nodes <= MAX_NODES or not tile:
        raise BitstreamError("the archive asks for something this diffcodec does not know")
    file.seek(at + 2)
    kind: ChainKind = CHAINS[data[5]]  # type: ignore[assignment]
    return ArchiveHeader(data[7:15], kind, nodes, data[6], tile, version)
