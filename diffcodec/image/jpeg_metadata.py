"""What the segments of a JPEG say, and putting such segments into one."""

from __future__ import annotations

import re
from collections.abc import Iterator

from diffcodec.bitstream.metadata import Kind
from diffcodec.image.exif import PREFIX
from diffcodec.image.gathered import INCH, METRE, Gathered, decoded

XMP = b"http://ns.adobe.com/xap/1.0/\0"
LONG_XMP = b"http://ns.adobe.com/xmp/extension/\0"
ICC = b"ICC_PROFILE\0"
RESOURCES = b"Photoshop 3.0\0"
LARGEST = 65533  # bytes of a segment
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # in the code of pixels: what ends it


def segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Markers and what follows them, from SOI to EOI; the last is EOI with all that comes after.

    Ends without one where the file does.
    """
    at = 2
    while match := _MARKER.search(data, at):
        marker, at = data[match.start() + 1], match.end()
        if marker == 0xD9:
            yield marker, data[at:]
            return
        size = int.from_bytes(data[at : at + 2], "big")
        yield marker, data[at + 2 : at + size]
        at += max(2, size)


def jpeg_metadata(data: bytes) -> Gathered:
    """Everything but pixels."""
    found = Gathered()
    profile: dict[int, bytes] = {}
    resources = []
    several = False
    for marker, body in segments(data):
        if marker == 0xE0 and body.startswith(b"JFIF\0"):
            _density(body, found)
        elif marker == 0xE1 and body.startswith(PREFIX):
            found.add_exif(body)
        elif marker == 0xE1 and body.startswith(XMP):
            found.add(Kind.XMP, body[len(XMP) :])
        elif marker == 0xE1 and body.startswith(LONG_XMP):
            found.lose("the extension of its XMP data")
        elif marker == 0xE2 and body.startswith(ICC):
            profile[body[len(ICC)] if len(body) > len(ICC) else 0] = body[len(ICC) + 2 :]
        elif marker == 0xE2 and body.startswith(b"MPF\0"):
            several = True
            found.lose("its further images")
        elif marker == 0xED and body.startswith(RESOURCES):
            resources.append(body[len(RESOURCES) :])
        elif marker == 0xFE:
            found.add_comment(body)
        elif 0xE0 <= marker <= 0xEF and not (marker == 0xEE and body.startswith(b"Adobe")):
            found.lose(f"its APP{marker - 0xE0} data ({_name(body)})")
        elif marker == 0xD9 and body.strip(b"\0\xff") and not several:
            found.lose(f"{len(body):,} bytes after its end")
    found.add(Kind.ICC, b"".join(profile[i] for i in sorted(profile)))
    found.add(Kind.IPTC, b"".join(resources))
    return found


def _density(body: bytes, found: Gathered) -> None:
    unit = body[7] if len(body) > 7 else 0
    across, down = (int.from_bytes(body[i : i + 2], "big") for i in (8, 10))
    metres = {1: 1 / INCH, 2: 100.0}.get(unit)
    found.add_density(across * (metres or 1), down * (metres or 1), METRE if metres else 0)
    if len(body) > 13 and body[12] and body[13]:
        found.lose("its JFIF thumbnail")


def _name(body: bytes) -> str:
    """What such data call themselves."""
    word = re.match(rb"[\x21-\x7e]{2,24}", body)
    return decoded(word[0]) if word else f"{len(body):,} bytes"


def with_segments(jpeg: bytes, parts: list[tuple[int, bytes]]) -> bytes:
    """A JPEG with further segments behind its first one, JFIF's."""
    size = int.from_bytes(jpeg[4:6], "big")
    packed = b"".join(
        b"\xff" + bytes([marker]) + (len(body) + 2).to_bytes(2, "big") + body
        for marker, body in parts
    )
    return jpeg[: 4 + size] + packed + jpeg[4 + size :]
