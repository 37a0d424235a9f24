"""Boxes, of which AVIF and JPEG 2000 files consist: what Pillow does not say of them."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from diffcodec.bitstream.metadata import Kind
from diffcodec.image.gathered import Gathered

_XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_ALPHA = (
    b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha",
    b"urn:mpeg:hevc:2015:auxid:1",
)
_USUAL = ((1, 13), (2, 2), (1, 2), (2, 13))  # sRGB, or what is taken for it


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kinds and contents, one after the other; ends where sizes make no sense."""
    at = 0
    while at + 8 <= len(data):
        size, head = int.from_bytes(data[at : at + 4], "big"), 8
        if size == 1:
            size, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        size = size or len(data) - at
        if size < head:
            return
        yield data[at + 4 : at + 8], data[at + head : at + size]
        at += size


def inside(data: bytes, *path: bytes) -> list[bytes]:
    """Contents of all boxes at a path of kinds; that of "meta" begins behind its version."""
    found = [data]
    for kind in path:
        found = [body for outer in found for name, body in boxes(outer) if name == kind]
        found = [body[4:] for body in found] if kind == b"meta" else found
    return found


def avif_depth(data: bytes) -> int:
    """The most bits that a channel of any image in an AVIF has."""
    depth = 8
    for kind, body in boxes(b"".join(inside(data, b"meta", b"iprp", b"ipco"))):
        if kind == b"av1C" and len(body) > 2 and body[2] & 0x40:
            depth = max(depth, 12 if body[2] & 0x20 else 10)
        elif kind == b"pixi":
            depth = max(depth, *body[5:], 8)
    return depth


def avif_extras(data: bytes, found: Gathered) -> None:
    """Colours that are named by numbers, and what cannot be kept: further images."""
    for kind, body in boxes(b"".join(inside(data, b"meta", b"iprp", b"ipco"))):
        if kind == b"colr" and body[:4] == b"nclx" and len(body) >= 11:
            primaries, transfer = struct.unpack(">HH", body[4:8])
            if (primaries, transfer) not in _USUAL and max(primaries, transfer) < 256:
                found.add(Kind.CICP, bytes([primaries, transfer, 0, 1]))
        elif kind == b"auxC" and body[4:].split(b"\0")[0] not in _ALPHA:
            found.lose("its auxiliary images")
        elif kind in (b"clap", b"clli", b"mdcv"):
            found.lose({b"clap": "how it is to be cropped"}.get(kind, "its range of brightness"))
    for body in inside(data, b"meta", b"iref"):
        if any(kind == b"thmb" for kind, _ in boxes(body[4:])):
            found.lose("its thumbnail")
    for body in inside(data, b"meta", b"iinf"):
        if b"tmap" in body:
            found.lose("its gain map")


def jp2_depths(data: bytes) -> set[int]:
    """Bits of the channels of a JPEG 2000 image, by its code; negative ones are signed."""
    start = data.find(b"\xff\x4f\xff\x51")
    if start < 0 or len(data) < start + 42:
        return set()
    count = int.from_bytes(data[start + 40 : start + 42], "big")
    sizes = data[start + 42 : start + 42 + 3 * count : 3]
    return {-((b & 127) + 1) if b & 128 else b + 1 for b in sizes}


def jp2_whole(data: bytes) -> bool:
    """Whether the code of a JPEG 2000 image has its end."""
    code = data if data[:4] == b"\xff\x4f\xff\x51" else b"".join(inside(data, b"jp2c")[:1])
    return code.rstrip(b"\0").endswith(b"\xff\xd9")


def jp2_metadata(data: bytes) -> Gathered:
    """The profile, and XMP; of the rest the names."""
    found = Gathered()
    if data[4:8] != b"jP  ":
        return found
    for kind, body in boxes(b"".join(inside(data, b"jp2h"))):
        if kind == b"colr" and body[:1] in (b"\2", b"\3"):
            found.add(Kind.ICC, body[3:])
    for kind, body in boxes(data):
        if kind == b"uuid" and body[:16] == _XMP:
            found.add(Kind.XMP, body[16:])
        elif kind == b"uuid" and body[:16] == b"JpgTiffExif->JP2":
            found.add_exif(body[16:])
        elif kind not in (b"jP  ", b"ftyp", b"jp2h", b"jp2c"):
            found.lose(f"its {kind.decode('latin-1').strip()} box")
    return found
