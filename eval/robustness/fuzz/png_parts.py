"""A PNG taken apart into its chunks, changed, and put together with checksums that match."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from contextlib import suppress
from random import Random

from diffcodec.eval.robustness.fuzz.checksums import often
from diffcodec.eval.robustness.fuzz.metadata_parts import repacked
from diffcodec.eval.robustness.fuzz.mutation import mutated, number, some
from diffcodec.image.png_chunks import SIGNATURE, assemble, chunk, chunks

KINDS = (
    *(b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"cHRM", b"gAMA", b"iCCP", b"sBIT", b"sRGB"),
    *(b"cICP", b"mDCV", b"cLLI", b"tEXt", b"zTXt", b"iTXt", b"bKGD", b"pHYs", b"eXIf", b"tIME"),
    *(b"acTL", b"fcTL", b"fdAT", b"hIST", b"sPLT", b"caBX", b"\0\0\0\0"),
)
COMPRESSED = (b"IDAT", b"iCCP", b"zTXt", b"iTXt")


def varied_png(data: bytes, dice: Random, others: Sequence[bytes]) -> bytes:
    """A PNG with other chunks in it; of anything else, bytes that are changed anyhow."""
    if not data.startswith(SIGNATURE) or not often(dice) or dice.random() < 0.2:
        return mutated(data, dice, others)
    parts = [(part.kind, bytes(part.body)) for part in chunks(data, truncated=True)]
    for _ in range(some(dice)):
        _vary(parts, dice)
    return assemble(chunk(kind, body) for kind, body in parts)


def _vary(parts: list[tuple[bytes, bytes]], dice: Random) -> None:
    at = dice.randrange(len(parts)) if parts else 0
    kind, body = parts[at] if parts else (b"IDAT", b"")
    way = dice.randrange(7)
    if way == 0:
        body = mutated(body, dice, ())
    elif way == 1:
        kind = dice.choice(KINDS)
    elif way == 2 and kind == b"IHDR" and len(body) == 13:
        body = _header(body, dice)
    elif way == 3 and kind in COMPRESSED:
        body = _compressed(body, dice)
    elif way == 4:
        parts.insert(at, (dice.choice(KINDS), body))
        return
    elif way == 5 and len(parts) > 1:
        dice.shuffle(parts)
        return
    else:
        parts[at : at + 1] = [(kind, body)] * dice.choice((0, 2, 3))
        return
    parts[at : at + 1] = [(kind, body)]


def _header(body: bytes, dice: Random) -> bytes:
    fields = list(struct.unpack(">IIBBBBB", body))
    place = dice.randrange(7)
    if place < 2:
        fields[place] = dice.choice((0, 1, fields[place] + 1, number(dice) & 0xFFFFFFFF))
    else:
        fields[place] = dice.choice((0, 1, 2, 3, 4, 6, 8, 16, 255))
    return struct.pack(">IIBBBBB", *(field & 0xFFFFFFFF for field in fields))


def _compressed(body: bytes, dice: Random) -> bytes:
    """What a chunk holds compressed, changed: behind the name that some begin with."""
    at = 0 if body[:1] == b"\x78" else body.find(b"\0") + 2
    with suppress(zlib.error):
        plain = zlib.decompressobj().decompress(body[at:], 1 << 20)
        return body[:at] + repacked(mutated(plain, dice, ()), dice)
    return mutated(body, dice, ())
