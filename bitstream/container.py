"""The header of a .dfc file: what it takes to decode, in at most 32 bytes for usual images.

FORMAT.md is the specification. Truncated and damaged are different things: a prefix of a file is a
file (IncompleteHeader if not even the header is there), anything else that does not fit is a
BitstreamError.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Literal

from diffcodec.bitstream.errors import BitstreamError, IncompleteHeader
from diffcodec.bitstream.narrowing import Narrowing
from diffcodec.bitstream.sample_format import SAMPLE_FORMATS, SampleFormat
from diffcodec.bitstream.step_codes import STEP_CODES, STEP_CODES_OF_VERSION_1, StepCode

MAGIC = b"\x89dfc"
ARCHIVE_MAGIC = b"\x89dfa"
VERSIONS = (1, 2, 3)  # that are read
PLAIN, EXTENDED = 2, 3  # that are written: the latter for what only it can say
CHAINS = ("own", "linear", "cosine")  # where the noise levels come from, by code
MAX_PIXELS = 1 << 26
MAX_NODES = 1000
assert len(SAMPLE_FORMATS) <= 2 and len(STEP_CODES) <= 16 and len(CHAINS) <= 4  # bits of the flags
LOSSLESS = 0x40  # flag: the encoder continued to the exact pixels, and the file's length is stated
# Bits of version 3's second byte of flags.
DEEP, ALPHA, OPAQUE, FRONT, BACK, NARROW, NETWORK = 1, 2, 4, 8, 16, 32, 64
# Bits of the byte that NETWORK announces.
PROMISED, LABELLED = 1, 2
MAX_LABEL = (1 << 32) - 1

ChainKind = Literal["own", "linear", "cosine"]


@dataclass(frozen=True)
class Header:
    """Everything a decoder must know before the first payload byte.

    fingerprint: 8 bytes naming the network; code: of the steps' messages; chain, nodes: which noise
    levels; seed: of the shared randomness; total_bytes: length of the whole file, None if the
    encoder stopped before the exact pixels; version: of the format, which says what the payload
    may hold.

    In version 3 only: format has alpha, or 16 bits; narrowing: of the 16 bits of the colours, if
    they come from fewer; opaque: alpha is so everywhere, and not in the file; front, back: bytes of
    the sections (sections.py) before and after the payload; promised: the network's numbers are
    floats, so that exact pixels given a state are promised only where they come out alike, and a
    checksum of the state guards them; label: the image's class, by number, for the network.
    """

    width: int
    height: int
    format: SampleFormat
    fingerprint: bytes
    code: StepCode
    chain: ChainKind
    nodes: int
    seed: int = 0
    total_bytes: int | None = None
    version: int = PLAIN
    narrowing: Narrowing | None = None
    opaque: bool = False
    front: int = 0
    back: int = 0
    promised: bool = False
    label: int | None = None

    @property
    def extended(self) -> bool:
        """Whether it says something that only version 3 can say."""
        rare = self.front or self.back or self.narrowing or self._network_flags()
        return bool(rare or self.format not in SAMPLE_FORMATS)

    @property
    def coded(self) -> SampleFormat:
        """Of what the payload codes: the colours, narrowed."""
        colour = self.format.colour
        return SampleFormat(colour.channels, self.narrowing.bits) if self.narrowing else colour

    @property
    def chain_name(self) -> str:
        """As users name it: "25" for an optimised schedule, "ddpm:50", "cosine:50"."""
        return name_of_chain(self.chain, self.nodes)

    @property
    def dims(self) -> int:
        """Number of sub-pixels D of what the payload codes."""
        return self.width * self.height * self.coded.channels

    def pack(self) -> bytes:
        """The header's bytes; its CRC-16 last."""
        assert self.version >= EXTENDED or not self.extended
        code = STEP_CODES.index(self.code)
        flags = (self.format.colour.channels == 3) | (code & 7) << 1 | (code & 8) << 4
        flags |= CHAINS.index(self.chain) << 4
        flags |= LOSSLESS if self.total_bytes is not None else 0
        body = MAGIC + bytes([self.version, flags])
        numbers = [self.width, self.height, self.nodes, self.seed]
        if self.total_bytes is not None:
            numbers.append(self.total_bytes)
        if self.version >= EXTENDED:
            body += bytes([self._more_flags()])
            body += bytes([self.narrowing.byte]) if self.narrowing else b""
            body += bytes([self._network_flags()]) if self._network_flags() else b""
            body += b"" if self.label is None else pack_varint(self.label)
            numbers += [size for size in (self.front, self.back) if size]
        body += self.fingerprint + b"".join(map(pack_varint, numbers))
        return body + crc16(body)

    def _more_flags(self) -> int:
        return (
            DEEP * (self.format.depth == 16)
            | ALPHA * self.format.alpha
            | OPAQUE * self.opaque
            | FRONT * (self.front > 0)
            | BACK * (self.back > 0)
            | NARROW * (self.narrowing is not None)
            | NETWORK * (self._network_flags() > 0)
        )

    def _network_flags(self) -> int:
        return PROMISED * self.promised | LABELLED * (self.label is not None)


def name_of_chain(kind: ChainKind, nodes: int) -> str:
    """The chain of `nodes` levels as users name it."""
    return {"own": "", "linear": "ddpm:", "cosine": "cosine:"}[kind] + str(nodes)


def parse_header(data: bytes) -> tuple[Header, int]:
    """Header and its length in bytes; raises BitstreamError in one sentence.

    Nothing is allocated from what the header claims, and claims beyond the limits are refused.
    """
    if isinstance(data, str):
        raise BitstreamError("this is the name of a file, not its bytes: read it first")
    _check_beginning(data)
    fields = _Fields(data)
    flags = fields.take(1)[0]
    more = fields.take(1)[0] if data[4] >= EXTENDED else 0
    narrowing = fields.take(1)[0] if more & NARROW else None
    network = fields.take(1)[0] if more & NETWORK else 0
    label = fields.number() if network & LABELLED else None
    fingerprint = fields.take(8)
    width, height, nodes, seed = (fields.number() for _ in range(4))
    total = fields.number() if flags & LOSSLESS else None
    front, back = (fields.number() if more & bit else 0 for bit in (FRONT, BACK))
    stated = crc16(data[: fields.at])
    if fields.take(2) != stated:
        raise BitstreamError("the file's header is damaged (its checksum does not match)")
    code, chain = flags >> 1 & 7 | flags >> 4 & 8, flags >> 4 & 3
    codes = STEP_CODES_OF_VERSION_1 if data[4] == 1 else STEP_CODES
    known = code < len(codes) and chain < len(CHAINS) and seed < 1 << 32
    of_network = network <= (PROMISED | LABELLED) and (label or 0) <= MAX_LABEL
    possible = _possible(more, front, back, total) and bool(network) == bool(more & NETWORK)
    if not (known and of_network and possible):
        raise BitstreamError("the file's header asks for something this diffcodec does not know")
    if not (width and height) or width * height > MAX_PIXELS or nodes > MAX_NODES:
        raise BitstreamError(
            f"the file's header claims {width} x {height} pixels in {nodes} steps; the limits are "
            f"{MAX_PIXELS} pixels and {MAX_NODES} steps"
        )
    channels = SAMPLE_FORMATS[flags & 1].channels + bool(more & ALPHA)
    header = Header(
        width=width,
        height=height,
        format=SampleFormat(channels, 16 if more & DEEP else 8),
        fingerprint=fingerprint,
        code=STEP_CODES[code],
        chain=CHAINS[chain],  # type: ignore[arg-type]
        nodes=nodes,
        seed=seed,
        total_bytes=total,
        version=data[4],
        narrowing=None if narrowing is None else Narrowing.of(narrowing),
        opaque=bool(more & OPAQUE),
        front=front,
        back=back,
        promised=bool(network & PROMISED),
        label=label,
    )
    if total is not None and total < fields.at + front + back:
        raise BitstreamError("the file's header is damaged: it states a length below its own")
    if total is not None and len(data) > total:
        raise BitstreamError(
            f"the file is damaged: it has {len(data)} bytes and states {total}; cut it to {total}"
        )
    return header, fields.at


def _check_beginning(data: bytes) -> None:
    """Raises BitstreamError for what is no .dfc file of a known version."""
    if not data:
        raise BitstreamError("the file is empty")
    if data[:4] == ARCHIVE_MAGIC:
        raise BitstreamError("this is a .dfa archive: see diffcodec list and extract")
    if data[:4] != MAGIC[: len(data)]:
        raise BitstreamError("this is not a .dfc file")
    if len(data) > 4 and data[4] not in VERSIONS:
        raise BitstreamError(
            f"the file has format version {data[4]}; this diffcodec reads versions {VERSIONS[0]} "
            f"to {VERSIONS[-1]}"
        )


def _possible(more: int, front: int, back: int, total: int | None) -> bool:
    """Whether version 3's flags, and the lengths that they announce, go together."""
    return not (
        more >= NETWORK << 1
        or (more & OPAQUE and not more & ALPHA)
        or (more & NARROW and not more & DEEP)
        or (more & FRONT and not front)
        or (more & BACK and (not back or total is None))
    )


class _Fields:
    """What follows the version; IncompleteHeader where the data ends."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 5

    def take(self, size: int) -> bytes:
        if len(self.data) < self.at + size:
            raise IncompleteHeader("the file was cut inside its header; no image is left in it")
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self) -> int:
        number, self.at = parse_varint(self.data, self.at)
        return number


def crc16(data: bytes) -> bytes:
    """Low half of CRC-32, little-endian."""
    return (zlib.crc32(data) & 0xFFFF).to_bytes(2, "little")


def pack_varint(number: int) -> bytes:
    """LEB128: seven bits a byte, lowest first, high bit set on all but the last."""
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def parse_varint(data: bytes, at: int) -> tuple[int, int]:
    """Number at `at` and where it ends; IncompleteHeader at the end of data."""
    number = 0
    for i in range(6):
        if at + i >= len(data):
            raise IncompleteHeader("the file was cut inside its header; no image is left in it")
        number |= (data[at + i] & 0x7F) << 7 * i
        if data[at + i] < 0x80:
            return number, at + i + 1
    raise BitstreamError("the file's header is damaged (a number in it does not end)")
