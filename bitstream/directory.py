"""The directory of an archive's group: which images it holds, by name and shape, and from which
files.

FORMAT-archive.md, section 1, is the specification.
"""

from __future__ import annotations

import json
import re
import sys
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from diffcodec.bitstream.container import MAX_PIXELS
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.sample_format import SampleFormat

MAX_HEAD = 1 << 24  # bytes of a head, packed or unpacked
MAX_IMAGES = 1 << 20  # of a group
MAX_LISTS = 2 * MAX_IMAGES + 8  # of its directory: a shape and a mode for each image, at most
MAX_NAMES = 1 << 28  # bytes of memory that its names take: a long one can be counted up for ever
LONG = 255  # characters of a name in a message
DEEP = 16  # added to the channels of images of 16 bits
PERMISSIONS = 0o777  # of a file's mode; setuid and its like are never kept
MAX_TIME = 1 << 63  # nanoseconds from 1970, either way: what file systems count in


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """An image's name, as a relative path with slashes, its shape, and what is known of its file.

    A byte of the name that is not UTF-8 is a lone surrogate, as os.fsdecode has it. depth: bits of
    a sample, 8 or 16. modified: nanoseconds since 1970; mode: permission bits; None if unknown.
    """

    name: str
    height: int
    width: int
    channels: int
    depth: int = 8
    modified: int | None = None
    mode: int | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""
        return self.height, self.width, self.channels

    @property
    def format(self) -> SampleFormat:
        """Of its pixels."""
        return SampleFormat(self.channels, self.depth)

    @property
    def alone(self) -> bool:
        """Whether no network codes such images: those with alpha or 16 bits."""
        return self.format.alpha or self.depth > 8

    @property
    def rich(self) -> bool:
        """Whether archives of versions 1 to 3 cannot hold it so."""
        known = (self.modified, self.mode) != (None, None)
        return self.alone or known or bool(_ODD.search(self.name))


_ODD = re.compile("[\x00-\x1f\\\\\ud800-\udfff]")  # in names, since version 4
_SURROGATE = re.compile("[\ud800-\udfff]")


def pack_directory(images: Sequence[ImageInfo], rich: bool = False) -> bytes:
    """JSON, compressed: shapes by runs; "" for a name that is the one before counted up by one.

    rich: with times, by differences, and modes, by runs, as since version 4.
    """
    names, before = [], ""
    for image in images:
        names.append("" if image.name == next_name(before) else image.name)
        before = image.name
    kinds = [[p.height, p.width, p.channels + DEEP * (p.depth > 8)] for p in images]
    lists: list[Any] = [_runs(kinds), names]
    if rich:
        modes = [[p.mode] for p in images]
        lists += [list(_differences([p.modified for p in images])), _runs(modes)]
    text = json.dumps(lists, ensure_ascii=False, separators=(",", ":"))
    text = _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
    return zlib.compress(text.encode(), 9)


def parse_directory(data: bytes, rich: bool = False) -> tuple[ImageInfo, ...]:
    """The images of a directory; raises BitstreamError for what no writer makes."""
    try:
        lists = _parsed(zlib.decompressobj().decompress(data, MAX_HEAD).decode())
        shapes, names, times, modes = lists if rich else _poor(*lists)
        if len(names) > MAX_IMAGES:
            raise ValueError("more images than a group has")
        kinds = list(_expanded(shapes, 3, len(names)))
        facts = zip(_summed(times), _expanded(modes, 1, len(names)), strict=True)
        images, before, room = list[ImageInfo](), "", MAX_NAMES
        for name, (height, width, kind), (modified, (mode,)) in zip(
            names, kinds, facts, strict=True
        ):
            if type(name) is not str:
                raise ValueError("a name that is none")
            before = name or next_name(before)
            room -= sys.getsizeof(before)
            if room < 0:
                raise ValueError("names that are too long")
            channels, depth = (kind - DEEP, 16) if rich and kind > DEEP else (kind, 8)
            known = None if mode is None else mode & PERMISSIONS
            images.append(ImageInfo(before, height, width, channels, depth, modified, known))
            if not _possible(images[-1], rich):
                name = _shown(before)
                raise BitstreamError(f"the archive claims an impossible size for {name}")
    except BitstreamError:
        raise
    except (zlib.error, ValueError, TypeError, RecursionError, OverflowError) as error:
        raise BitstreamError("a group's list of images makes no sense") from error
    for image in images:
        if not is_safe(image.name):
            name = _shown(image.name)
            raise BitstreamError(f"the archive has a name that leads elsewhere: {name}")
    return tuple(images)


_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"')


def _parsed(text: str) -> Any:
    """The lists that a text holds; ValueError for more than a group has, and for other things.

    Lists and objects may take fifty times the bytes of their text.
    """
    if text.count("[") > MAX_LISTS and _STRING.sub("", text).count("[") > MAX_LISTS:
        raise ValueError("more lists than a group has")
    return json.loads(text, object_pairs_hook=_refused, parse_float=_refused)


def _refused(value: Any) -> Any:
    raise ValueError("neither a list, nor a name, nor a whole number")


def _shown(name: str) -> str:
    """A name in a message, as far as it helps."""
    return repr(name if len(name) <= LONG else f"{name[:LONG]}...")


def _poor(shapes: Any, names: Any) -> tuple[Any, Any, list[None], list[list[Any]]]:
    """All four lists where nothing is known of the images' files."""
    return shapes, names, [None] * len(names), [[None, len(names)]] if names else []


def _possible(image: ImageInfo, rich: bool) -> bool:
    """Is it an image that a writer may have met?"""
    channels = (1, 2, 3, 4) if rich else (1, 3)
    area = image.height * image.width
    return image.height > 0 and 0 < area <= MAX_PIXELS and image.channels in channels


def _runs(rows: list[list[Any]]) -> list[list[Any]]:
    """Each row once, with the number of rows like it that follow each other."""
    return [[*row, len(list(run))] for row, run in groupby(rows)]


def _expanded(runs: Any, width: int, total: int) -> Iterator[list[Any]]:
    """All rows of runs, whose numbers are whole ones or None; ValueError if not `total` of them."""
    left = total
    for *row, count in runs:
        if len(row) != width or type(count) is not int or not 0 < count <= left:
            raise ValueError("another number of names than of shapes")
        if any(value is not None and type(value) is not int for value in row):
            raise ValueError("a number that is none")
        left -= count
        yield from (row for _ in range(count))
    if left:
        raise ValueError("another number of names than of shapes")


def _differences(times: Sequence[int | None]) -> Iterator[int | None]:
    """From the known one before, the first one from 0."""
    before = 0
    for time in times:
        yield None if time is None else time - before
        before = before if time is None else time


def _summed(differences: Any) -> Iterator[int | None]:
    """The times again; ValueError for what is none."""
    time = 0
    for difference in differences:
        if difference is None:
            yield None
            continue
        if type(difference) is not int or not -MAX_TIME <= time + difference < MAX_TIME:
            raise ValueError("a time that is none")
        time += difference
        yield time


_LAST_NUMBER = re.compile("([^0-9]*)([0-9]+)")  # of a name from its end


def next_name(name: str) -> str:
    """The name with its last number one higher, of the same width if it fits."""
    found = _LAST_NUMBER.match(name[::-1])
    if found is None or len(found[2]) > 18:
        return ""
    end = len(name) - len(found[1])
    number = name[end - len(found[2]) : end]
    return f"{name[: end - len(number)]}{int(number) + 1:0{len(number)}}{name[end:]}"


def is_safe(name: str) -> bool:
    """Is it a relative path, of bytes that a file can be called, that stays below its folder?"""
    return "\x00" not in name and _ELSEWHERE.isdisjoint(name.split("/")) and _one_way(name)


_ELSEWHERE = {"", ".", ".."}


def _one_way(name: str) -> bool:
    """Whether bytes are written as such a string, and only so."""
    if name.isascii():
        return True
    try:
        data = name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return data.decode("utf-8", "surrogateescape") == name
