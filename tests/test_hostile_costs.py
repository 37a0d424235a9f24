"""What hostile files cost: memory and work in proportion to their bytes, or to the images that they
list; counted, not timed."""

from __future__ import annotations

import io
import json
import time
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from diffcodec import api
from diffcodec.archive import names
from diffcodec.archive.contents import contents
from diffcodec.archive.names import file_names
from diffcodec.bitstream import archive, directory
from diffcodec.bitstream.archive import Damage, Group, pack_end, pack_group, read_groups
from diffcodec.bitstream.archive_header import read_header
from diffcodec.bitstream.archive_metadata import parse_metadata as parse_part
from diffcodec.bitstream.container import pack_varint
from diffcodec.bitstream.directory import ImageInfo, next_name, parse_directory
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.metadata import Item, Kind
from diffcodec.bitstream.metadata_section import parse_metadata
from diffcodec.eval.common.results import to_json
from diffcodec.golden import FOLDER
from diffcodec.image.writing import to_bytes
from diffcodec.limits import Limits, OverLimit

MANY = 1 << 14


def peak(work: Callable[[], Any]) -> int:
    """Bytes that work takes at most."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


class TestMetadata:
    def test_equal_items_are_one_object(self) -> None:
        item = bytes([Kind.SRGB, 1, 0])
        data = b"\1" + zlib.compress(MANY * item)
        assert len(data) < 1000
        assert peak(lambda: parse_metadata(data)) < 40 * MANY
        assert parse_metadata(data).items == MANY * (Item(Kind.SRGB, b"\0"),)

    def test_so_they_are_in_archives(self) -> None:
        text = pack_varint(MANY) + MANY * bytes([Kind.SRGB, 1, 0]) + b"\0\1\0"
        data = zlib.compress(text)
        assert peak(lambda: parse_part(data, 1)) < 40 * MANY

    def test_a_list_of_them_is_short(self) -> None:
        item = Item(Kind.XMP, b"<x/>")
        assert peak(lambda: api.listed(MANY * (item,))) < 40 * MANY
        found = {"metadata": api.listed((item, item, Item(Kind.XMP, b"")))}
        assert found["metadata"][::2] == [{"kind": "xmp", "bytes": size} for size in (4, 0)]
        found["metadata"] *= MANY // 16
        text = json.dumps(found, indent=1) + "\n"
        assert to_json(found) == text
        assert peak(lambda: to_json(found)) < 4 * len(text)

    @pytest.mark.parametrize("format", ["png", "jpeg", "tiff"])
    def test_images_hold_one_of_a_kind(self, format: str) -> None:
        """A byte of a file may stand for a colour profile of kilobytes."""
        pixels, profile = np.zeros((2, 2, 3), np.uint8), 3000 * b"profile "
        some = (Item(Kind.ICC, profile), Item(Kind.DENSITY, b"\0\0\1\0\0\0\1\0\1"))
        text = (Item(Kind.TEXT, b"k\0\0\0one"), Item(Kind.TEXT, b"k\0\0\0two"))
        many = tuple(item for item in some for _ in range(50))
        assert to_bytes(pixels, format, many + text) == to_bytes(pixels, format, some + text)
        if format == "png":
            assert b"one" in (data := to_bytes(pixels, format, many + text)) and b"two" in data


def listed(shapes: Any, named: Any, times: Any, modes: Any) -> bytes:
    return zlib.compress(json.dumps([shapes, named, times, modes]).encode())


def counted(name: str, count: int) -> bytes:
    """The directory of images whose names are counted up from one."""
    called = [name, *(count - 1) * [""]]
    return listed([[4, 4, 1, count]], called, count * [None], [[None, count]])


def refused(directory: bytes) -> None:
    with pytest.raises(BitstreamError, match="no sense"):
        parse_directory(directory, rich=True)


class TestLists:
    def test_an_image_takes_what_limits_count_it_as(self) -> None:
        data = counted("a0", MANY)
        assert peak(lambda: parse_directory(data, rich=True)) < 400 * MANY

    def test_long_names_are_not_counted_up_for_ever(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(directory, "MAX_NAMES", 1 << 20)
        assert len(parse_directory(counted(1000 * "a" + "0", 900), rich=True)) == 900
        data = counted(30_000 * "a" + "0", MANY)
        assert peak(lambda: refused(data)) < 16 << 20

    def test_names_count_for_the_limit_of_memory(self) -> None:
        rich = io.BytesIO((FOLDER / "rich.dfa").read_bytes())
        read_header(rich)
        head = rich.getvalue()[: rich.tell()]
        group = pack_group([ImageInfo(5000 * "a", 4, 4, 1)], [], b"", {}, b"")
        hostile = io.BytesIO(head + group + pack_end(1, 1))
        assert len(contents(hostile).images) == 1
        with pytest.raises(OverLimit, match="the list of 1 images"):
            contents(hostile, limits=Limits(max_memory=5000))

    @pytest.mark.parametrize("piece", ["[],", "{},", "1.5,", '{"a":1},'])
    def test_json_of_other_things_is_not_built(
        self, piece: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(directory, "MAX_LISTS", 1000)
        text = f"[[{MANY * piece}1],[],[],[]]"
        data = zlib.compress(text.encode())
        assert peak(lambda: refused(data)) < 6 * len(text)

    def test_brackets_in_names_are_no_lists(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(directory, "MAX_LISTS", 8)
        name = 'a[[[[[[[[[["\\[[[[[[[[['
        data = listed([[4, 4, 1, 1]], [name], [None], [[None, 1]])
        assert parse_directory(data, rich=True)[0].name == name

    @pytest.mark.parametrize(("height", "name"), [(4, 5000 * "a" + "/../b"), (0, 5000 * "a")])
    def test_messages_are_short(self, height: int, name: str) -> None:
        data = listed([[height, 4, 1, 1]], [name], [None], [[None, 1]])
        with pytest.raises(BitstreamError, match=r"aaa\.\.\.") as caught:
            parse_directory(data, rich=True)
        assert len(str(caught.value)) < 400

    def test_a_long_number_before_the_last_one(self) -> None:
        name = 60_000 * "1" + "x1"
        began = time.process_time()
        assert next_name(name) == 60_000 * "1" + "x2"
        assert time.process_time() - began < 1  # seconds, or 10 where every digit is a beginning

    def test_images_of_one_name_are_called_otherwise(self, monkeypatch: pytest.MonkeyPatch) -> None:
        calls, key = [0], names._key

        def counting(name: str) -> str:
            calls[0] += 1
            return key(name)

        monkeypatch.setattr(names, "_key", counting)
        images = 1000 * [ImageInfo("a", 4, 4, 1), ImageInfo("A", 4, 4, 1)]
        found = file_names(images)
        assert calls[0] < 10 * len(images)
        assert found[:4] == ["a.png", "A.2.png", "a.3.png", "A.4.png"]
        assert len({key(name) for name in found}) == len(images)


class Counted(io.BytesIO):
    """A file that knows how much of it was read."""

    read_bytes = 0

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.read_bytes += len(data)
        return data


def walk(data: bytes) -> tuple[list[Group], list[Damage], int]:
    file = Counted(data)
    found = list(read_groups(file, listed=True, rich=True))
    groups = [one for one in found if isinstance(one, Group)]
    return groups, [one for one in found if isinstance(one, Damage)], file.read_bytes


class TestMarks:
    """Of groups where none begins."""

    GROUP = pack_group([ImageInfo("a", 4, 4, 1)], [], b"", {}, b"")

    @pytest.mark.parametrize("claim", [b"", pack_varint(1 << 24) + pack_varint(0)])
    def test_they_cost_what_the_file_has(
        self, claim: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(archive, "SPARE", 1 << 16)
        data = (200_000 // (4 + len(claim))) * (archive.GROUP + claim)
        groups, damage, read = walk(data)
        assert not groups and [one.offset for one in damage] == [0]
        assert read < 4 * (len(data) + archive.SPARE)

    def test_groups_after_them_are_found(self) -> None:
        data = 100 * (archive.GROUP + pack_varint(1 << 20) + b"\0") + b"x" * 9000 + self.GROUP
        groups, damage, _ = walk(data + pack_end(1, 1))
        assert len(groups) == 1 and [one.offset for one in damage] == [0]
