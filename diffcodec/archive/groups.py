"""The groups of an archive, coded here or in several processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path

from diffcodec.accounting.trace import Balance, Clock
from diffcodec.archive.group import GroupCoder, Spent
from diffcodec.bitstream.archive import ArchiveHeader, pack_group
from diffcodec.bitstream.directory import ImageInfo
from diffcodec.bitstream.types import Pixels, Progress
from diffcodec.codec import Codec
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
    codec: Codec,
    header: ArchiveHeader,
    processes: int,
    model: str | None,
    backend: str | None,
    within: Callable[[int], Progress | None],
) -> Callable[[Plan], Iterator[Coded]]:
    """Codes groups in order: here, or in several processes, which load the network anew."""
    if processes == 1 or model is None:
        return lambda plan: (
            encode_group(codec, header, group, within(len(group))) for group in plan
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
    model: str,
    backend: str | None,
    header: ArchiveHeader,
    group: Sequence[tuple[Source, ImageInfo]],
) -> Coded:
    return encode_group(_codec(model, backend), header, group)


@lru_cache(maxsize=1)
def _codec(model: str, backend: str | None) -> Codec:
    return Codec.from_pretrained(model, threads=1, backend=backend)


def encode_group(
    codec: Codec,
    header: ArchiveHeader,
    group: Sequence[tuple[Source, ImageInfo]],
    progress: Progress | None = None,
) -> Coded:
    clock, spent = Clock(), Spent(Balance())
    with clock.measure("total"):
        pixels = [source.read() for source, _ in group]
        for (_, image), now in zip(group, pixels, strict=True):
            if now.shape != image.shape:
                raise ImageError(f"{image.name} changed while it was archived")
        entries, body = GroupCoder(codec, header, clock).encode(pixels, spent, progress)
        data = pack_group([image for _, image in group], entries, body)
    return data, len(data) - len(body), spent, clock
