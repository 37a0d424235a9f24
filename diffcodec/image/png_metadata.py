"""What the chunks of a PNG say."""

from __future__ import annotations

import re
import struct
import zlib

from diffcodec.bitstream.metadata import Kind
from diffcodec.image.gathered import Gathered, decoded
from diffcodec.image.png_chunks import Header, chunks, inflated, length

PLAIN = {
    b"sRGB": Kind.SRGB,
    b"gAMA": Kind.GAMA,
    b"cHRM": Kind.CHRM,
    b"cICP": Kind.CICP,
    b"sBIT": Kind.SBIT,
    b"mDCV": Kind.MDCV,
    b"cLLI": Kind.CLLI,
    b"pHYs": Kind.DENSITY,
}
WORDS = (b"iCCP", b"tEXt", b"zTXt", b"iTXt")  # which Pillow reads up to a megabyte of
_PIXELS = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"acTL", b"fcTL", b"fdAT", b"hIST"}
_NAMED = {
    b"bKGD": "its background colour",
    b"tIME": "the time of its last change",
    b"sPLT": "its suggested palette",
    b"oFFs": "its offset on a page",
}
XMP = "XML:com.adobe.xmp"
# Photoshop's resources as ImageMagick writes them: in hexadecimal numbers
RESOURCES = ("Raw profile type 8bim", "Raw profile type iptc")


def png_metadata(data: bytes, channels: int, truncated: bool = False) -> Gathered:
    """channels: of the pixels that are made of it; sBIT is to say as many numbers."""
    found = Gathered()
    ended = False
    for kind, body in chunks(data, truncated):
        ended = kind == b"IEND"
        if kind in PLAIN:
            plain = bytes(body)
            found.add(PLAIN[kind], fitted(plain, channels) if kind == b"sBIT" else plain)
        elif kind == b"eXIf":
            found.add_exif(bytes(body))
        elif kind in WORDS:
            try:
                _words(kind, bytes(body), found)
            except (ValueError, zlib.error):
                found.lose(f"its {kind.decode()} chunk, which is damaged or too large")
        elif kind not in _PIXELS:
            found.lose(_NAMED.get(kind, f"its {decoded(kind)} chunk"))
    if ended and (rest := len(data) - length(data)):
        found.lose(f"{rest:,} bytes after its end")
    return found


def _words(kind: bytes, body: bytes, found: Gathered) -> None:
    """A profile or a text: a keyword, zero, and the rest, which may be compressed."""
    keyword, _, rest = body.partition(b"\0")
    name = keyword.decode("latin-1")
    if kind == b"iCCP":
        found.add(Kind.ICC, inflated(rest[1:], found.room))
    elif kind == b"tEXt":
        found.add_text(name, rest.decode("latin-1"))
    elif kind == b"zTXt":
        text = inflated(rest[1:], found.room)
        resources = _raw_profile(text) if name in RESOURCES else None
        if resources:
            found.add(Kind.IPTC, resources)
        else:
            found.add_text(name, text.decode("latin-1"))
    else:
        packed, (language, translated, text) = rest[:1] == b"\1", rest[2:].split(b"\0", 2)
        text = inflated(text, found.room) if packed else text
        if name == XMP:
            found.add(Kind.XMP, text)
        else:
            words = text.decode(), language.decode("latin-1"), translated.decode()
            found.add_text(name, *words)


def _raw_profile(text: bytes) -> bytes | None:
    """Photoshop's resources out of a raw profile: its name, its length, and hexadecimal digits."""
    match = re.fullmatch(rb"\s*\w+\s+(\d+)\s+([0-9a-fA-F\s]*)", text)
    resources = bytes.fromhex(match[2].decode()) if match else b""
    return resources if match and resources.startswith(b"8BIM") else None


def raw_profile(resources: bytes) -> bytes:
    """The inverse."""
    digits = resources.hex()
    lines = [digits[i : i + 72] for i in range(0, len(digits), 72)]
    return "\n".join(["", "8bim", f"{len(resources):8d}", *lines, ""]).encode()


def fitted(bits: bytes, channels: int) -> bytes:
    """sBIT for so many channels: alpha, where it is new, has all 8 bits; where it is gone, none."""
    if not bits:
        return b""
    if channels > 2:
        colours = bits[:3] if len(bits) > 2 else bits[:1] * 3
    else:
        colours = bytes([max(bits[:3])]) if len(bits) > 2 else bits[:1]
    alpha = bits[-1:] if len(bits) in (2, 4) else b"\x08"
    return colours + (alpha if channels in (2, 4) else b"")


def transparent_sample(data: bytes) -> tuple[int, ...] | None:
    """The grey or RGB value, in the PNG's own depth, whose pixels are transparent; None if none."""
    header = None
    for kind, body in chunks(data, truncated=True):
        if kind == b"IHDR":
            header = Header.parse(body)
        elif kind == b"IDAT":
            break
        elif kind == b"tRNS" and header and header.colour in (0, 2):
            count = 1 if header.colour == 0 else 3
            mask = (1 << header.depth) - 1
            values = struct.unpack(f">{count}H", body[: 2 * count])
            scale = 1 if header.depth >= 8 else 255 // mask  # as Pillow widens them
            return tuple((value & mask) * scale for value in values)
    return None
