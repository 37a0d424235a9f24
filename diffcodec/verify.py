"""Whether a file is what was written: all its checksums, and no pixel is decoded.

Of a .dfc file everything is guarded by a checksum but the end of one that was cut, or stops early:
what follows the last complete layer; of an archive everything but, in older ones, the byte that
says how samples of 16 bits were narrowed (FORMAT-archive.md, section 5). Where steps lie in a
payload follows from the network's tables (not its weights). Without them, of a file with steps only
the checksum at its end can be verified, which guards all of the payload unless the adaptive coder's
strips have their own.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Literal

from diffcodec.api import open_file
from diffcodec.archive.contents import contents
from diffcodec.beside import parse_beside, payload_end
from diffcodec.bitstream.archive import Damage
from diffcodec.bitstream.container import (
    ARCHIVE_MAGIC,
    MAGIC,
    Header,
    parse_header,
)
from diffcodec.bitstream.errors import BitstreamError, Damaged, IncompleteHeader
from diffcodec.bitstream.payload import CRC, Payload
from diffcodec.bitstream.payload_parser import parse_payload
from diffcodec.bitstream.plan import Plan
from diffcodec.bitstream.sections import ALPHA, METADATA, Block
from diffcodec.bitstream.strips import strip_count
from diffcodec.limits import OverLimit
from diffcodec.networks import name_of

# whole: all that was written is there, and intact; open: intact, but nothing in the file says where
# it ended; unknown: the network's tables are missing.
State = Literal["whole", "open", "cut", "damaged", "unknown"]
BREAKS_OFF = "the archive breaks off"
NAMES = {METADATA: "metadata", ALPHA: "alpha"}


@dataclass(frozen=True)
class Verdict:
    """What the checksums of a file say.

    kind: "image" or "archive"; bytes: of the file, of total_bytes (None: it does not say);
    guarded: how many of the bytes match a checksum (None of archives, where all others are
    damaged); damage: where, and a sentence.
    """

    kind: str
    state: State
    bytes: int
    total_bytes: int | None = None
    guarded: int | None = None
    damage: tuple[Damage, ...] = ()

    @property
    def good(self) -> bool:
        """Whether nothing is missing or damaged, as far as the file can say."""
        return self.state in ("whole", "open")


def verify(file: BinaryIO, model: str | Path | None = None) -> Verdict:
    """The verdict on a .dfc file or an archive, which is open; model: a network's file or folder,
    for files of one that does not ship. Raises OSError, CheckpointError for no such network, and
    OverLimit for an archive of more images than there is memory for.
    """
    file.seek(0)
    beginning = file.read(len(MAGIC))
    if beginning == ARCHIVE_MAGIC:
        return verify_archive(file)
    return verify_image(beginning + file.read(), model)


def verify_archive(file: BinaryIO) -> Verdict:
    """The verdict on an archive: no network is needed."""
    size = file.seek(0, io.SEEK_END)
    try:
        held = contents(file, check=True)
    except OverLimit:
        raise
    except BitstreamError as error:
        return Verdict("archive", "damaged", size, damage=(Damage(0, str(error)),))
    if not held.damage:
        return Verdict("archive", "whole", size, size)
    cut = any(damage.reason == BREAKS_OFF for damage in held.damage)
    lost = tuple(damage for damage in held.damage if damage.reason != BREAKS_OFF)
    last = held.groups[-1].offset if held.groups else size  # a cut damages what follows, at most
    cut = cut and all(damage.offset >= last for damage in lost)
    return Verdict("archive", "cut" if cut else "damaged", size, damage=held.damage)


def verify_image(data: bytes, model: str | Path | None = None) -> Verdict:
    """The verdict on a .dfc file."""
    size = len(data)
    try:
        header, head = parse_header(data)
    except IncompleteHeader:
        return Verdict("image", "cut", size)
    except BitstreamError as error:
        return Verdict("image", "damaged", size, damage=(Damage(0, str(error)),))
    beside, start = parse_beside(data, header, head), head + header.front
    blocks = [(beside.front, head), (beside.back, payload_end(header) or size)]
    damage = tuple(found for block, at in blocks for found in _sections(block, at))
    guarded = head + sum(_intact(block) for block, _ in blocks)
    found = Verdict("image", "open", size, header.total_bytes, guarded, damage)
    try:
        payload = _payload(data, header, start, model)
    except OverLimit:
        raise
    except BitstreamError as error:
        good = error.at if isinstance(error, Damaged) else 0
        damage += (Damage(start + good, str(error)),)
        return replace(found, state="damaged", damage=damage, guarded=guarded + good)
    if payload is None:
        return _without_tables(found, data[start : payload_end(header)])
    damage += tuple(_strips(payload, header, start))
    found = replace(found, damage=damage, guarded=guarded + payload.verified)
    if damage:
        return replace(found, state="damaged")
    if header.total_bytes is None:
        return found
    return replace(found, state="whole" if size == header.total_bytes else "cut")


def _sections(block: Block, at: int) -> Iterator[Damage]:
    """What of a block that begins at a byte is damaged."""
    for section in block.sections:
        if section.intact is False:
            name = NAMES.get(section.kind, f"a section of kind {section.kind}")
            yield Damage(at, f"{name} does not match its checksum")
        at += section.head + section.size + CRC
    if block.damaged:
        yield Damage(at, "what stands before or after the pixels makes no sense from here on")


def _intact(block: Block) -> int:
    """Bytes of the sections that match their checksums."""
    return sum(s.head + s.size + CRC for s in block.sections if s.intact)


def _strips(payload: Payload, header: Header, start: int) -> Iterator[Damage]:
    """The strips of exact pixels that are damaged; all before the first one are verified."""
    at, count, damaged = start + payload.verified, strip_count(header.width), False
    for number, block in enumerate(payload.blocks, 1):
        damaged = damaged or block.damaged
        if block.damaged:
            where = f"strip {number} of {count} of the exact pixels"
            yield Damage(at, f"{where} does not match its checksum")
        at += (len(block.data) + CRC) * damaged


def _payload(data: bytes, header: Header, start: int, model: str | Path | None) -> Payload | None:
    """The payload taken apart; None where that takes the tables of a network that is not there.

    Raises BitstreamError for damage, CheckpointError for a `model` that is another one.
    """
    end = payload_end(header)
    strips = strip_count(header.width) if header.version >= 2 else 0
    plan = Plan(
        header.dims,
        header.code,
        header.nodes,
        _asked,
        strips,
        header.coded.sample_bytes,
        header.promised,
    )
    try:
        return parse_payload(data[start:end], plan, None if end is None else end - start, None)
    except TablesNeeded:
        pass
    if model is None:
        try:
            model = name_of(header.fingerprint)
        except BitstreamError:
            return None
    return open_file(data, model).payload


class TablesNeeded(Exception):
    """A step follows, and where it ends only the network's tables say."""


def _asked(start: int, end: int) -> int:
    raise TablesNeeded


def _without_tables(found: Verdict, payload: bytes) -> Verdict:
    """The verdict by the last checksum, which guards all before it if it matches."""
    if found.damage:
        return replace(found, state="damaged")
    if found.total_bytes is not None and found.bytes < found.total_bytes:
        return replace(found, state="cut")
    if found.total_bytes is None or zlib.crc32(payload[:-CRC]) != int.from_bytes(
        payload[-CRC:], "little"
    ):
        return replace(found, state="unknown")
    return replace(found, state="whole", guarded=(found.guarded or 0) + len(payload))
