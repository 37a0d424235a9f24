"""The groups of an archive, coded here or in several processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path

from diffcodec.accounting.trace import Balance, Clock
from diffcodec.archive.choice import plain_images
from diffcodec.archive.group import GroupCoder, Spent
from diffcodec.bitstream.archive import Entry, pack_group
from diffcodec.bitstream.archive_header import ArchiveHeader
from diffcodec.bitstream.directory import ImageInfo
from diffcodec.bitstream.types import Pixels, Progress
from diffcodec.codec import Codec
from diffcodec.cores import usable_cores
from diffcodec.errors import ImageError
from diffcodec.image import load


@dataclass(frozen=True)
class Source:
    """An image to be archived. path: of its file, or the pixels themselves."""

    name: str
    path: Path | Pixels

    def read(self) -> Pixels:
        """(H, W, C) uint8; raises ImageError or OSError."""
        return load(self.path) if isinstance(self.path, Path) else self.path


Coded = tuple[bytes, int, Spent, Clock]
Plan = Sequence[Sequence[tuple[Source, ImageInfo]]]


def encoders(
    codec: Codec | None,
    header: ArchiveHeader,
    processes: int,
    model: str | None,
    backend: str | None,
    within: Callable[[int], Progress | None],
) -> Callable[[Plan], Iterator[Coded]]:
    """Codes groups in order: here, or in several processes, which load the network anew."""
    if processes == 1 or (model is None and codec is not None):
        workers = threads_of(codec)
        return lambda plan: (
            encode_group(codec, header, group, within(len(group)), workers) for group in plan
        )

    def run(plan: Plan) -> Iterator[Coded]:
        with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
            futures = []
            for group in plan:  # a few ahead, so that memory stays bounded
                futures.append(pool.submit(_encode_elsewhere, model, backend, header, group))
                if len(futures) > processes:
                    yield futures.pop(0).result()
            for future in futures:
                yield future.result()

    return run


def threads_of(codec: Codec | None) -> int:
    """Threads that plain images are coded in: as many as the network is given."""
    return usable_cores() if codec is None else codec.workers


def progress_within(
    progress: Progress | None, done: int, total: int
) -> Callable[[int], Progress | None]:
    """For each of the next groups, of so many images, what reports how far it is."""
    start = done

    def enter(images: int) -> Progress | None:
        nonlocal start
        before, start = start, start + images
        if progress is None:
            return None
        # The last tile is left to the caller, who says so when the group is done.
        return lambda at, of: progress(before + images * min(at, of - 1) // of, total)

    return enter


def _encode_elsewhere(
    model: str | None,
    backend: str | None,
    header: ArchiveHeader,
    group: Sequence[tuple[Source, ImageInfo]],
) -> Coded:
    return encode_group(None if model is None else _codec(model, backend), header, group)


@lru_cache(maxsize=1)
def _codec(model: str, backend: str | None) -> Codec:
    return Codec.from_pretrained(model, threads=1, backend=backend)


def encode_group(
    codec: Codec | None,
    header: ArchiveHeader,
    group: Sequence[tuple[Source, ImageInfo]],
    progress: Progress | None = None,
    workers: int = 1,
) -> Coded:
    """A group's bytes, how many of them are neither stack nor plain images, and what they cost.

    codec: None for an archive without a network. Raises ImageError if an image has changed.
    """
    clock, spent = Clock(), Spent(Balance())
    with clock.measure("total"):
        pixels = [source.read() for source, _ in group]
        for (_, image), now in zip(group, pixels, strict=True):
            if now.shape != image.shape:
                raise ImageError(f"{image.name} changed while it was archived")
        plain = plain_images(codec, header, pixels, clock, workers)
        for i, code in plain.items():
            spent.plain_images += 1
            spent.plain_bits += code.bits
            spent.plain_ideal += code.ideal_bits
            spent.plain_values += pixels[i].size
        entries, stack = list[Entry](), b""
        stacked = [p for i, p in enumerate(pixels) if i not in plain]
        if stacked:
            assert codec is not None
            entries, stack = GroupCoder(codec, header, clock).encode(stacked, spent, progress)
        parts = {i: code.data for i, code in plain.items()} if header.plain else None
        data = pack_group([image for _, image in group], entries, stack, parts)
    return data, len(data) - len(stack) - spent.plain_bits // 8, spent, clock
