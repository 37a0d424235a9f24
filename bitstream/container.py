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
from diffcodec.bitstream.sample_format import SAMPLE_FORMATS, SampleFormat
from diffcodec.bitstream.step_codes import STEP_CODES, STEP_CODES_OF_VERSION_1, StepCode

MAGIC = b"\x89dfc"
ARCHIVE_MAGIC = b"\x89dfa"
VERSIONS = (1, 2)  # that are read; encoders write the last
CHAINS = ("own", "linear", "cosine")  # where the noise levels come from, by code
MAX_PIXELS = 1 << 26
MAX_NODES = 1000
assert len(SAMPLE_FORMATS) <= 2 and len(STEP_CODES) <= 16 and len(CHAINS) <= 4  # bits of the flags
LOSSLESS = 0x40  # flag: the encoder continued to the exact pixels, and the file's length is stated

ChainKind = Literal["own", "linear", "cosine"]


@dataclass(frozen=True)
class Header:
    """Everything a decoder must know before the first payload byte.

    fingerprint: 8 bytes naming the network; code: of the steps' messages; chain, nodes: which noise
    levels; seed: of the shared randomness; total_bytes: length of the whole file, None if the
    encoder stopped before the exact pixels; version: of the format, which says what the payload
    may hold.
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
    version: int = VERSIONS[-1]

    @property
    def chain_name(self) -> str:
        """As users name it: "25" for an optimised schedule, "ddpm:50", "cosine:50"."""
        return name_of_chain(self.chain, self.nodes)

    @property
    def dims(self) -> int:
        """Number of sub-pixels D."""
        return self.width * self.height * self.format.channels

    def pack(self) -> bytes:
        """The header's bytes; its CRC-16 last."""
        code = STEP_CODES.index(self.code)
        flags = SAMPLE_FORMATS.index(self.format) | (code & 7) << 1 | (code & 8) << 4
        flags |= CHAINS.index(self.chain) << 4
        flags |= LOSSLESS if self.total_bytes is not None else 0
        body = MAGIC + bytes([self.version, flags]) + self.fingerprint
        numbers = [self.width, self.height, self.nodes, self.seed]
        if self.total_bytes is not None:
            numbers.append(self.total_bytes)
        body += b"".join(map(pack_varint, numbers))
        return body + crc16(body)


def name_of_chain(kind: ChainKind, nodes: int) -> str:
    """The chain of `nodes` levels as users name it."""
    return {"own": "", "linear": "ddpm:", "cosine": "cosine:"}[kind] + str(nodes)


def parse_header(data: bytes) -> tuple[Header, int]:
    """Header and its length in bytes; raises BitstreamError in one sentence.

    Nothing is allocated from what the header claims, and claims beyond the limits are refused.
    """
    if not data:
        raise BitstreamError("the file is empty")
    if data[:4] == ARCHIVE_MAGIC:
        raise BitstreamError("this is a .dfa archive: see diffcodec list and extract")
    if data[:4] != MAGIC[: len(data)]:
        raise BitstreamError("this is not a .dfc file")
    if len(data) > 4 and data[4] not in VERSIONS:
        known = " and ".join(map(str, VERSIONS))
        raise BitstreamError(
            f"the file has format version {data[4]}; this diffcodec reads versions {known}"
        )
    if len(data) < 14:
        raise IncompleteHeader("the file was cut inside its header; no image is left in it")
    flags, fingerprint, at = data[5], data[6:14], 14
    numbers = []
    for _ in range(5 if flags & LOSSLESS else 4):
        number, at = parse_varint(data, at)
        numbers.append(number)
    if len(data) < at + 2:
        raise IncompleteHeader("the file was cut inside its header; no image is left in it")
    if data[at : at + 2] != crc16(data[:at]):
        raise BitstreamError("the file's header is damaged (its checksum does not match)")
    width, height, nodes, seed = numbers[:4]
    total = numbers[4] if flags & LOSSLESS else None
    code, chain = flags >> 1 & 7 | flags >> 4 & 8, flags >> 4 & 3
    codes = STEP_CODES_OF_VERSION_1 if data[4] == 1 else STEP_CODES
    if code >= len(codes) or chain >= len(CHAINS) or seed >= 1 << 32:
        raise BitstreamError("the file's header asks for something this diffcodec does not know")
    if not (width and height) or width * height > MAX_PIXELS or nodes > MAX_NODES:
        raise BitstreamError(
            f"the file's header claims {width} x {height} pixels in {nodes} steps; the limits are "
            f"{MAX_PIXELS} pixels and {MAX_NODES} steps"
        )
    header = Header(
        width=width,
        height=height,
        format=SAMPLE_FORMATS[flags & 1],
        fingerprint=fingerprint,
        code=STEP_CODES[code],
        chain=CHAINS[chain],  # type: ignore[arg-type]
        nodes=nodes,
        seed=seed,
        total_bytes=total,
        version=data[4],
    )
    end = at + 2
    if total is not None and total < end:
        raise BitstreamError("the file's header is damaged: it states a length below its own")
    if total is not None and len(data) > total:
        raise BitstreamError(
            f"the file is damaged: it has {len(data)} bytes and states {total}; cut it to {total}"
        )
    return header, end


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
