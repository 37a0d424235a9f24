"""The directory of an archive's group: which images it holds, by name and shape.

FORMAT-archive.md, section 1, is the specification.
"""

from __future__ import annotations

import json
import re
import zlib
from dataclasses import dataclass
from itertools import groupby

from diffcodec.bitstream.container import MAX_PIXELS
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.sample_format import SAMPLE_FORMATS, SampleFormat, archived

MAX_HEAD = 1 << 24  # bytes of a head, packed or unpacked


@dataclass(frozen=True)
class ImageInfo:
    """An image's name, as a relative path with slashes, and its shape."""

    name: str
    height: int
    width: int
    channels: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""
        return self.height, self.width, self.channels

    @property
    def format(self) -> SampleFormat:
        """Of its pixels."""
        return archived(self.channels)


def pack_directory(images: list[ImageInfo]) -> bytes:
    """JSON, compressed: shapes by runs; "" for a name that is the one before counted up by one."""
    names, before = [], ""
    for image in images:
        names.append("" if image.name == next_name(before) else image.name)
        before = image.name
    shapes = [[*shape, len(list(run))] for shape, run in groupby(p.shape for p in images)]
    text = json.dumps([shapes, names], ensure_ascii=False, separators=(",", ":"))
    return zlib.compress(text.encode(), 9)


def parse_directory(data: bytes) -> tuple[ImageInfo, ...]:
    """The images of a directory; raises BitstreamError for what no writer makes."""
    try:
        unpacker = zlib.decompressobj()
        text = unpacker.decompress(data, MAX_HEAD)
        shapes, names = json.loads(text)
        if sum(count for *_, count in shapes) != len(names):
            raise ValueError("another number of names than of shapes")
        sizes = [(int(h), int(w), int(c)) for h, w, c, count in shapes for _ in range(count)]
        images, before = [], ""
        for name, (height, width, channels) in zip(names, sizes, strict=True):
            before = str(name) or next_name(before)
            images.append(ImageInfo(before, height, width, channels))
    except (zlib.error, ValueError, TypeError, RecursionError, OverflowError) as error:
        raise BitstreamError("a group's list of images makes no sense") from error
    for image in images:
        area = image.height * image.width
        if not 0 < area <= MAX_PIXELS or image.format not in SAMPLE_FORMATS or image.height < 0:
            raise BitstreamError(f"the archive claims an impossible size for {image.name!r}")
        if not is_safe(image.name):
            raise BitstreamError(f"the archive has a name that leads elsewhere: {image.name!r}")
    return tuple(images)


def next_name(name: str) -> str:
    """The name with its last number one higher, of the same width if it fits."""
    parts = re.split(r"([0-9]+)(?=[^0-9]*$)", name, maxsplit=1)
    if len(parts) != 3 or len(parts[1]) > 18:
        return ""
    return f"{parts[0]}{int(parts[1]) + 1:0{len(parts[1])}}{parts[2]}"


def is_safe(name: str) -> bool:
    """Is it a relative path that stays below the folder it is put into?"""
    parts = name.split("/")
    return not any(p in ("", ".", "..") for p in parts) and not re.search(r"[\x00-\x1f\\]", name)
