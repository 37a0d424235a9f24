"""Metadata whose data are not of their kind: nobody who reads a file stumbles over them."""

from __future__ import annotations

import dataclasses
import io
import zlib

import pytest
from PIL import Image

import diffcodec.pillow  # noqa: F401
from diffcodec import Codec, OptionError, api, image
from diffcodec.beside import parse_beside
from diffcodec.bitstream import archive_metadata, metadata_section
from diffcodec.bitstream.container import pack_varint, parse_header
from diffcodec.bitstream.metadata import Item, Kind
from diffcodec.bitstream.sections import METADATA, pack_sections
from diffcodec.golden import NETWORK
from diffcodec.image.png_chunks import assemble, chunk, chunks
from tests.synthetic import synthetic_image

UNSOUND = [
    (Kind.ORIENTATION, b""),
    (Kind.ORIENTATION, b"\0"),
    (Kind.ORIENTATION, b"\x09"),
    (Kind.ORIENTATION, b"\6\6"),
    (Kind.SRGB, b""),
    (Kind.GAMA, bytes(400)),
    (Kind.CHRM, bytes(31)),
    (Kind.CICP, b"\1"),
    (Kind.SBIT, bytes(5)),
    (Kind.MDCV, bytes(25)),
    (Kind.CLLI, b""),
    (Kind.DENSITY, bytes(8)),
    (Kind.EXIF, b"JJ*\0" + bytes(20)),
    (Kind.TEXT, b"Title\0\0text"),
    (Kind.TEXT, b"Title\0\0\0\xfc"),
]
CHUNKS = {b"sRGB": bytes(3), b"gAMA": bytes(5), b"cHRM": bytes(40), b"cICP": b"\1"}


def packed(kind: Kind, data: bytes) -> bytes:
    return bytes([kind]) + pack_varint(len(data)) + data


def file_with(items: bytes) -> bytes:
    """An image with a section of these items before its pixels, and one behind."""
    codec = Codec.from_pretrained(NETWORK, 1)
    turned = (Item(Kind.ORIENTATION, b"\6"),)
    data = codec.encode(synthetic_image(9, 8, 3, seed=4), metadata=turned, switch="none")
    header, head = parse_header(data)
    block = pack_sections([(METADATA, b"\0" + items)])
    body = data[head + header.front :]
    total = 0
    while True:
        new = dataclasses.replace(header, front=len(block), total_bytes=total).pack()
        if len(new) + len(block) + len(body) == total:
            return new + block + body
        total = len(new) + len(block) + len(body)


@pytest.mark.parametrize(("kind", "data"), UNSOUND)
def test_they_are_passed_over_where_they_are_read(kind: Kind, data: bytes) -> None:
    bad, good = packed(kind, data), packed(Kind.XMP, b"<x/>")
    parsed = metadata_section.parse_metadata(b"\0" + bad + good)
    assert parsed.items == (Item(Kind.XMP, b"<x/>"),) and parsed.unknown == 1
    group = zlib.compress(b"\2" + bad + good + b"\0\2\0\1")
    assert archive_metadata.parse_metadata(group, 1) == [(Item(Kind.XMP, b"<x/>"),)]


@pytest.mark.parametrize(("kind", "data"), UNSOUND)
def test_a_file_that_has_them_is_decoded_shown_and_written(kind: Kind, data: bytes) -> None:
    file = file_with(packed(kind, data))
    assert api.info(file, NETWORK)["metadata_unknown"] == 1
    assert parse_beside(file, *parse_header(file)).metadata == ()
    decoded = api.decode(file, NETWORK)
    assert decoded.lossless and not decoded.damage
    for format in ("png", "tiff", "jpeg", "webp"):
        assert image.to_bytes(decoded.pixels, format, decoded.metadata)
    opened = Image.open(io.BytesIO(file))
    assert opened.size == (8, 9) and "orientation" not in opened.info


@pytest.mark.parametrize(("kind", "data"), UNSOUND)
def test_nobody_writes_them(kind: Kind, data: bytes) -> None:
    codec, pixels = Codec.from_pretrained(NETWORK, 1), synthetic_image(9, 8, 3, seed=4)
    with pytest.raises(OptionError, match=kind.name):
        codec.encode(pixels, metadata=(Item(kind, data),))


def test_a_png_that_has_them_loses_them_and_says_so() -> None:
    head, *rest = chunks(image.to_bytes(synthetic_image(4, 5, 3, seed=0)))
    odd = [chunk(kind, body) for kind, body in CHUNKS.items()]
    picture = image.read_picture(assemble([head, *odd, *rest]))
    assert not picture.metadata
    assert len(picture.lost) == len(CHUNKS)
    assert all("damaged" in phrase for phrase in picture.lost)
