"""Thousands of calls in one process: memory, open files and threads stay as they are."""

from __future__ import annotations

import ctypes
import gc
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from itertools import cycle, islice
from typing import Any

from diffcodec.archive.archive import make_header, write_archive
from diffcodec.archive.groups import Source
from diffcodec.archive.reading import extract
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.codec import Codec
from diffcodec.golden import FOLDER, NETWORK
from diffcodec.image import to_bytes

WARM = 10  # a tenth of the calls comes before the first look: libraries and caches fill up once
LOOKS = 5  # at the last tenth of the calls
MORE = 8 << 20  # bytes that memory may grow by: pages that threads keep come and go
FEW = 20  # calls for each object more that there may be: caches fill up
ENDING = 2  # threads that may just be ending

FILES = (
    "adaptive.dfc",
    "butterfly-grey.dfc",
    "alpha.dfc",
    "deep.dfc",
    "narrow.dfc",
    "metadata.dfc",
)
ARCHIVES = ("plain.dfa", "archive.dfa", "rich.dfa")


@dataclass(frozen=True)
class Held:
    """What this process has: bytes of memory, Python's objects, open files, threads."""

    memory: int
    objects: int
    files: int
    threads: int

    @classmethod
    def now(cls) -> Held:
        """By what the system says, without garbage, and what the allocator keeps of threads."""
        gc.collect()
        with suppress(AttributeError, OSError):  # not every C library has it
            ctypes.CDLL(None).malloc_trim(0)
        with open("/proc/self/statm", encoding="ascii") as file:
            pages = int(file.read().split()[1])
        tasks, files = (len(os.listdir(f"/proc/self/{name}")) for name in ("task", "fd"))
        return cls(pages * os.sysconf("SC_PAGE_SIZE"), len(gc.get_objects()), files, tasks)


def repeated(name: str, count: int, calls: Iterator[Callable[[], object]]) -> dict[str, Any]:
    """So many calls, and what the process has after a tenth of them, and later.

    Its memory then is the least of some looks at the last calls, as threads that have just ended
    keep some for a while.
    """
    for call in islice(calls, max(1, count // WARM)):
        call()
    before, rest, least = Held.now(), count - count // WARM, sys.maxsize
    late = rest // WARM // LOOKS
    for part in (rest - LOOKS * late, *[late] * LOOKS):
        for call in islice(calls, part):
            call()
        after = Held.now()
        least = min(least, after.memory)
    after = replace(after, memory=least)
    return {
        "calls": name,
        "count": count,
        "before": asdict(before),
        "after": asdict(after),
        "leaks": after.memory > before.memory + MORE
        or after.objects > before.objects + count / FEW
        or after.files > before.files
        or after.threads > before.threads + ENDING,
    }


def decodes(codec: Codec) -> Iterator[Callable[[], object]]:
    """Of whole files, of beginnings, of damaged ones, without end."""
    whole = [(FOLDER / name).read_bytes() for name in FILES]
    cut = [data[: len(data) * 2 // 3] for data in whole]
    damaged = [data[:-20] + bytes(20) for data in whole] + [data[:9] for data in whole]

    def decode(data: bytes) -> None:
        with suppress(BitstreamError):
            to_bytes(codec.decode(data).pixels, "png")

    for data in cycle([*whole, *cut, *damaged]):
        yield lambda data=data: decode(data)  # type: ignore[misc]


def encodes(codec: Codec) -> Iterator[Callable[[], object]]:
    """Of the images of these files."""
    images = [codec.decode((FOLDER / name).read_bytes()).pixels for name in FILES]
    for pixels in cycle(images):
        yield lambda pixels=pixels: codec.encode(pixels, effort="fast")  # type: ignore[misc]


def archives(codec: Codec) -> Iterator[Callable[[], object]]:
    """Written, of a few images, without end."""
    images = [codec.decode((FOLDER / name).read_bytes()).pixels for name in FILES[:2]]
    sources = [Source(f"{i}.png", pixels) for i, pixels in enumerate(images)]
    header = make_header(codec, "6", 16)
    while True:
        yield lambda: write_archive(codec, sources, io.BytesIO(), header)


def extractions(codec: Codec) -> Iterator[Callable[[], object]]:
    """Of whole archives and of one that is cut."""
    data = [(FOLDER / name).read_bytes() for name in ARCHIVES]
    for one in cycle([*data, data[0][:-100]]):
        yield lambda one=one: list(extract(codec, io.BytesIO(one)))  # type: ignore[misc]


def survey(count: int) -> list[dict[str, Any]]:
    """So many decodes, and a tenth as many encodes, archives and extractions."""
    codec = Codec.from_pretrained(NETWORK, threads=2)
    few = max(2, count // 10)
    return [
        repeated("decode", count, decodes(codec)),
        repeated("encode", few, encodes(codec)),
        repeated("archive", few, archives(codec)),
        repeated("extract", few, extractions(codec)),
    ]
