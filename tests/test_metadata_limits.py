"""Metadata of hostile files: little is unpacked, few items are made, the unknown is left out."""

from __future__ import annotations

import json
import zlib
from typing import Any

import pytest

from diffcodec.bitstream import archive_metadata, directory, metadata_section
from diffcodec.bitstream.archive_metadata import parse_metadata as parse_part
from diffcodec.bitstream.container import pack_varint
from diffcodec.bitstream.directory import parse_directory
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.metadata import Item, Kind
from diffcodec.bitstream.metadata_items import MAX_BYTES
from diffcodec.bitstream.metadata_section import parse_metadata
from diffcodec.bitstream.sections import MAX_SECTIONS, pack_sections, parse_sections

EMPTY = bytes([Kind.XMP, 0])  # an item


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (metadata_section, archive_metadata):
        monkeypatch.setattr(module, "MAX_ITEMS", 1000)


@pytest.mark.parametrize("item", [EMPTY, b"\x63\0"])  # known and not
def test_items_of_a_section(item: bytes) -> None:
    parsed = parse_metadata(b"\1" + zlib.compress(1000 * item))
    assert len(parsed.items) + parsed.unknown == 1000
    with pytest.raises(BitstreamError, match="more than 1000 items"):
        parse_metadata(b"\1" + zlib.compress(1001 * item))


def test_sections_of_a_block() -> None:
    data = pack_sections([(9, b"")] * (MAX_SECTIONS + 1))
    found = parse_sections(data, len(data))
    assert len(found.sections) == MAX_SECTIONS and found.damaged
    assert not parse_sections(data[6:], len(data) - 6).damaged


def test_lengths_that_lead_far_beyond() -> None:
    for length in (2**20, 2**41):
        section = bytes([1]) + pack_varint(length) + b"data"
        assert parse_sections(section, len(section)).damaged
        with pytest.raises(BitstreamError, match="beyond the end"):
            parse_metadata(b"\0" + section)


def part(items: int, *images: int) -> bytes:
    """So many items, and images that have the first one so many times."""
    text = pack_varint(items) + items * EMPTY
    for count in images:
        text += b"\0" + pack_varint(count) + count * b"\0"
    return zlib.compress(text)


def test_items_of_an_archive() -> None:
    assert [len(own) for own in parse_part(part(1000, 400, 600), 2)] == [400, 600]
    for hostile in (part(1001), part(1, 1001), part(1, 400, 601)):
        with pytest.raises(BitstreamError, match="make no sense"):
            parse_part(hostile, 2)


def test_an_archive_that_inflates_to_more_than_there_may_be() -> None:
    with pytest.raises(BitstreamError, match="make no sense"):
        parse_part(zlib.compress(bytes(MAX_BYTES + 1), 1), 1)


def test_kinds_and_profiles_that_are_unknown_in_an_archive() -> None:
    items = bytes([0, 1, 250]) + bytes([Kind.XMP, 1]) + b"x" + bytes([99, 2]) + b"ab"
    text = b"\3" + items + b"\0\3\0\1\2" + b"\0\1\2"
    assert parse_part(zlib.compress(text), 2) == [(Item(Kind.XMP, b"x"),), ()]


def listed(shapes: Any, names: Any, times: Any, modes: Any) -> bytes:
    return zlib.compress(json.dumps([shapes, names, times, modes]).encode())


@pytest.mark.parametrize("kind", [0, 5, 16, 21, 33, 49])
def test_channels_that_no_image_has(kind: int) -> None:
    with pytest.raises(BitstreamError, match="impossible size"):
        parse_directory(listed([[4, 4, kind, 1]], ["a"], [None], [[None, 1]]), rich=True)


def test_images_of_a_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory, "MAX_IMAGES", 9)
    for count in (9, 10):
        names = ["a0", *(count - 1) * [""]]
        data = listed([[4, 4, 1, count]], names, count * [None], [[None, count]])
        if count == 9:
            assert parse_directory(data, rich=True)[-1].name == "a8"
        else:
            with pytest.raises(BitstreamError, match="no sense"):
                parse_directory(data, rich=True)


def test_lists_that_only_version_4_has() -> None:
    four = listed([[4, 4, 1, 1]], ["a"], [None], [[None, 1]])
    assert parse_directory(four, rich=True)
    with pytest.raises(BitstreamError, match="no sense"):
        parse_directory(four)
    two = zlib.compress(json.dumps([[[4, 4, 1, 1]], ["a"]]).encode())
    assert parse_directory(two)
    with pytest.raises(BitstreamError, match="no sense"):
        parse_directory(two, rich=True)
