"""A .dfc file taken apart, changed, and put together with lengths and checksums that fit."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from random import Random

from diffcodec.beside import payload_end
from diffcodec.bitstream.container import (
    BACK,
    DEEP,
    EXTENDED,
    FRONT,
    LABELLED,
    LOSSLESS,
    MAGIC,
    NARROW,
    NETWORK,
    Header,
    crc16,
    parse_header,
)
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.metadata_section import DEFLATED, RAW
from diffcodec.bitstream.sections import ALPHA, METADATA, pack_sections, parse_sections
from diffcodec.bitstream.strips import strip_count
from diffcodec.eval.robustness.fuzz.checksums import mended, often
from diffcodec.eval.robustness.fuzz.metadata_parts import varied_section
from diffcodec.eval.robustness.fuzz.mutation import mutated, number, packed, some
from diffcodec.eval.robustness.fuzz.plain_parts import varied_plain
from diffcodec.theory.chain import Tables, chain_of

Sections = list[tuple[int, bytes]]


@dataclass
class Parts:
    """What a header says, by name and as bits, sections before and after, and the payload."""

    numbers: dict[str, int]
    fingerprint: bytes
    front: Sections
    payload: bytes
    back: Sections

    @staticmethod
    def of(data: bytes) -> Parts:
        """Of a file that is taken; of one without its end what there is."""
        header, head = parse_header(data)
        end = payload_end(header)
        front = parse_sections(data[head : head + header.front], header.front)
        back = parse_sections(b"" if end is None else data[end:], header.back)
        return Parts(
            numbers=_numbers(header, data),
            fingerprint=header.fingerprint,
            front=[(section.kind, section.data) for section in front.sections],
            payload=data[head + header.front : end],
            back=[(section.kind, section.data) for section in back.sections],
        )

    def pack(self, cut: int = 0) -> bytes:
        """A file; cut: bytes of its end that are not there, though its length counts them."""
        front, back = pack_sections(self.front), pack_sections(self.back)
        has = self.numbers
        total, size = 0, -1
        while size != total:  # the length's own length counts
            total = size if size > 0 else total
            head = self._head(total, len(front), len(back))
            size = len(head) + len(front) + len(self.payload) + len(back)
            if not has["flags"] & LOSSLESS:
                break
        data = head + front + self.payload + back
        return data[: len(data) - cut]

    def _head(self, total: int, front: int, back: int) -> bytes:
        has = self.numbers
        more = has["more"] if has["version"] >= EXTENDED else 0
        network = has["network"] if more & NETWORK else 0
        body = MAGIC + bytes([has["version"] & 255, has["flags"] & 255])
        body += bytes([more & 255]) if has["version"] >= EXTENDED else b""
        body += bytes([has["narrowing"] & 255]) if more & NARROW else b""
        body += bytes([network & 255]) if more & NETWORK else b""
        body += packed(has["label"]) if network & LABELLED else b""
        body += self.fingerprint
        numbers = [has[name] for name in ("width", "height", "nodes", "seed")]
        numbers += [max(0, total + has["further"])] if has["flags"] & LOSSLESS else []
        numbers += [front] if more & FRONT else []
        numbers += [back] if more & BACK else []
        body += b"".join(map(packed, numbers))
        return body + crc16(body)


def _numbers(header: Header, data: bytes) -> dict[str, int]:
    extended = header.version >= EXTENDED
    return {
        "version": header.version,
        "flags": data[5],
        "more": data[6] if extended else 0,
        "narrowing": header.narrowing.byte if header.narrowing else 0,
        "network": header._network_flags(),
        "label": header.label or 0,
        "width": header.width,
        "height": header.height,
        "nodes": header.nodes,
        "seed": header.seed,
        "further": 0 if header.total_bytes is None else header.total_bytes - len(data),
    }


# --- changes ------------------------------------------------------------------------------------


def varied_header(data: bytes, dice: Random, others: Sequence[bytes]) -> bytes:
    """Another header in front of the same payload, and nothing else wrong with it."""
    parts = Parts.of(data)
    for _ in range(some(dice)):
        _vary_number(parts.numbers, dice)
    return parts.pack(dice.randrange(len(parts.payload) + 1) if dice.random() < 0.2 else 0)


def varied_file(data: bytes, dice: Random, others: Sequence[bytes], tables: Tables) -> bytes:
    """A file changed in one of its parts, or in several, whose checksums match mostly."""
    parts = Parts.of(data)
    right = often(dice)
    if dice.random() < 0.35:
        for _ in range(some(dice)):
            _vary_number(parts.numbers, dice)
    if dice.random() < 0.25:
        _vary_sections(parts, dice)
    if dice.random() < 0.7:
        payloads = [Parts.of(other).payload for other in dice.sample(others, min(2, len(others)))]
        parts.payload = mutated(parts.payload, dice, payloads)
    if right:
        with suppress(BitstreamError):
            parts.payload = _mended(parts, tables)
    return parts.pack(dice.randrange(len(parts.payload) + 1) if dice.random() < 0.2 else 0)


def _mended(parts: Parts, tables: Tables) -> bytes:
    """The payload with checksums that match, for the header as it is by now."""
    data = parts.pack()
    header, head = parse_header(data)
    end = payload_end(header)
    start = head + header.front
    strips = strip_count(header.width) if header.version >= 2 else 0
    plan = chain_of(header, tables).plan(
        header.dims, header.code, strips, header.coded.sample_bytes, header.promised
    )
    return mended(parts.payload, plan, None if end is None else end - start)


def _vary_number(numbers: dict[str, int], dice: Random) -> None:
    name = dice.choice(list(numbers))
    if name in ("flags", "more", "network") and dice.random() < 0.8:
        numbers[name] ^= 1 << dice.randrange(8)
    elif name == "flags":  # another code, another chain
        numbers[name] = dice.randrange(256)
    elif name == "version":
        numbers[name] = dice.choice((0, 1, 2, 3, 4, 255))
    elif name in ("width", "height"):
        numbers[name] = dice.choice((1, 2, 3, 7, 8, 9, 16, 17, 33, 64, number(dice)))
    elif name == "nodes":
        numbers[name] = dice.choice((0, 1, 2, 6, 10, 12, 20, 25, 100, 999, 1000, number(dice)))
    elif name == "narrowing":
        numbers[name] = dice.randrange(256)
        numbers["more"] |= NARROW | DEEP
    elif name == "further":
        numbers[name] = dice.choice((1, 2, 5, 100, -1, -5)) * (dice.random() < 0.5)
        numbers[name] = max(numbers[name], 0) if dice.random() < 0.9 else numbers[name]
    else:
        numbers[name] = number(dice)


def _vary_sections(parts: Parts, dice: Random) -> None:
    """The sections before or after the payload."""
    bit, sections = dice.choice(((FRONT, parts.front), (BACK, parts.back)))
    if not sections or dice.random() < 0.3:
        kind = dice.choice((METADATA, METADATA, ALPHA, dice.randrange(256)))
        plain = bytes([dice.choice((RAW, DEFLATED))]) + dice.randbytes(dice.randrange(30))
        sections.insert(dice.randrange(len(sections) + 1), (kind, plain))
    at = dice.randrange(len(sections))
    kind, data = sections[at]
    if kind == METADATA:
        data = varied_section(data, dice, ())
    elif kind == ALPHA:
        numbers = parts.numbers
        deep = 16 if numbers["more"] & DEEP else 8
        data = varied_plain(data, dice, (numbers["height"], numbers["width"], 1), deep)
    else:
        data = mutated(data, dice, ())
    sections[at] = kind, data
    if dice.random() < 0.1:
        sections *= dice.choice((0, 2, 300))
    parts.numbers["version"] = EXTENDED
    parts.numbers["more"] = parts.numbers["more"] & ~bit | bit * bool(sections)
