"""The groups of an archive, coded here or on any executor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial

from diffcodec import api
from diffcodec.accounting.trace import Balance, Clock
from diffcodec.archive.choice import plain_images
from diffcodec.archive.group import GroupCoder, Spent
from diffcodec.archive.source import Source
from diffcodec.bitstream.archive import Entry, pack_group
from diffcodec.bitstream.archive_header import ArchiveHeader
from diffcodec.bitstream.archive_metadata import pack_metadata
from diffcodec.bitstream.directory import ImageInfo
from diffcodec.bitstream.types import Progress
from diffcodec.codec import Codec
from diffcodec.cores import usable_cores
from diffcodec.errors import ImageError
from diffcodec.executors import run_jobs

__all__ = ["Source", "encode_group", "encoders", "progress_within", "threads_of"]

Coded = tuple[bytes, int, Spent, Clock]
Group = Sequence[tuple[Source, ImageInfo]]
Plan = Sequence[Group]


@dataclass(frozen=True)
class Elsewhere:
    """Where groups are coded but here: an executor, whose workers load the network `model` (None
    for an archive without one), evaluated by `backend`."""

    pool: Executor
    model: str | None
    backend: str | None = None


def encoders(
    codec: Codec | None,
    header: ArchiveHeader,
    elsewhere: Elsewhere | None,
    within: Callable[[int], Progress | None],
) -> Callable[[Plan], Iterator[Coded]]:
    """Codes groups, and gives them in order; where that is done does not change a bit."""
    if elsewhere is None:
        workers = threads_of(codec)
        return lambda plan: (
            encode_group(codec, header, group, within(len(group)), workers) for group in plan
        )
    function = partial(_encode_elsewhere, elsewhere.model, elsewhere.backend, header)
    return lambda plan: in_order(run_jobs(elsewhere.pool, function, plan))


def in_order(results: Iterable[tuple[int, Coded]]) -> Iterator[Coded]:
    """Results by their numbers, as soon as all before them are there."""
    waiting, following = dict[int, Coded](), 0
    for number, result in results:
        waiting[number] = result
        while following in waiting:
            yield waiting.pop(following)
            following += 1


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
    model: str | None, backend: str | None, header: ArchiveHeader, group: Group
) -> Coded:
    codec = None if model is None else api.load_codec(model, 1, backend)
    return encode_group(codec, header, group)


def encode_group(
    codec: Codec | None,
    header: ArchiveHeader,
    group: Group,
    progress: Progress | None = None,
    workers: int = 1,
) -> Coded:
    """A group's bytes, how many of them are neither stack nor plain images, and what they cost.

    codec: None for an archive without a network. Raises ImageError if an image has changed.
    """
    clock, spent = Clock(), Spent(Balance())
    with clock.measure("total"):
        pictures = [source.picture() for source, _ in group]
        for (source, image), picture in zip(group, pictures, strict=True):
            if source.info(picture.pixels) != image:
                raise ImageError(f"{image.name} changed while it was archived")
        pixels = [picture.pixels for picture in pictures]
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
        parts = {i: code.data for i, code in plain.items()} if header.listed else None
        metadata = pack_metadata([p.metadata for p in pictures]) if header.rich else None
        spent.metadata_bits += 8 * len(metadata or b"")
        data = pack_group([image for _, image in group], entries, stack, parts, metadata)
    bodies = len(stack) + (spent.plain_bits + spent.metadata_bits) // 8
    return data, len(data) - bodies, spent, clock
