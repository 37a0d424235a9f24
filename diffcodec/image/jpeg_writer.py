"""JPEG, which loses a little: little enough that nobody sees it."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from diffcodec.bitstream.metadata import Kind, Metadata
from diffcodec.bitstream.types import Pixels
from diffcodec.image.exif import PREFIX
from diffcodec.image.gathered import per_inch_or_centimetre
from diffcodec.image.jpeg_metadata import ICC, LARGEST, RESOURCES, XMP, with_segments

QUALITY = 95


def jpeg_bytes(pixels: Pixels, metadata: Metadata) -> bytes:
    """A JPEG of (H, W, 1) or (H, W, 3) uint8, colours as fine as brightness, with its items."""
    stream = io.BytesIO()
    plane = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    made = Image.fromarray(np.ascontiguousarray(plane))
    made.save(stream, "JPEG", quality=QUALITY, subsampling="4:4:4", optimize=True)
    data = stream.getvalue()
    parts: list[tuple[int, bytes]] = []
    for kind, body in metadata:
        if kind == Kind.EXIF:
            parts.append((0xE1, PREFIX + body))
        elif kind == Kind.XMP:
            parts.append((0xE1, XMP + body))
        elif kind == Kind.ICC:
            pieces = _pieces(body, LARGEST - len(ICC) - 2)
            parts += [
                (0xE2, ICC + bytes([i, len(pieces)]) + piece) for i, piece in enumerate(pieces, 1)
            ]
        elif kind == Kind.IPTC:
            pieces = _pieces(body, LARGEST - len(RESOURCES))
            parts += [(0xED, RESOURCES + piece) for piece in pieces]
        elif kind == Kind.TEXT:
            parts.append((0xFE, body.split(b"\0", 3)[3]))
        elif kind == Kind.DENSITY:
            data = _with_density(data, body)
    return with_segments(data, parts)


def _pieces(body: bytes, size: int) -> list[bytes]:
    return [body[i : i + size] for i in range(0, len(body), size)]


def _with_density(jpeg: bytes, body: bytes) -> bytes:
    """In JFIF's own segment, the first one: behind its version, a unit and two numbers."""
    across, down, unit = per_inch_or_centimetre(body)
    numbers = b"".join(min(round(v), 65535).to_bytes(2, "big") for v in (across, down))
    return jpeg[:13] + bytes([unit]) + numbers + jpeg[18:]
