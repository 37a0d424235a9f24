"""Archives of images: .dfa files, written group by group; reading.py reads them.

Writing goes to OUT.part and ends with a rename, or, to a pipe, straight on: groups follow each
other. What was interrupted resumes where it stopped, to the same bytes: a group that is in the part
file is kept if its images are still the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Literal

from diffcodec import api
from diffcodec.archive.account import Written
from diffcodec.archive.ending import adaptive_end
from diffcodec.archive.groups import Elsewhere, encoders, progress_within
from diffcodec.archive.model import BINS
from diffcodec.archive.part import Left, output_file, resumable, writing
from diffcodec.archive.source import Source
from diffcodec.bitstream.archive import pack_end
from diffcodec.bitstream.archive_header import ArchiveHeader
from diffcodec.bitstream.archive_metadata import size_of
from diffcodec.bitstream.directory import ImageInfo, is_safe
from diffcodec.bitstream.metadata_items import MAX_BYTES
from diffcodec.bitstream.types import Progress
from diffcodec.codec import Codec
from diffcodec.errors import ImageError, OptionError
from diffcodec.executors import executor
from diffcodec.image import Picture
from diffcodec.progressive.residual import RESIDUAL, Residual, check_residual
from diffcodec.theory.chain import choose_chain

GROUP_VALUES = 3 << 18  # sub-pixels in a group: 256 images of CIFAR-10, or one photograph
GROUP_METADATA = 1 << 24  # bytes of metadata in a group
TILE = 128  # side of the tiles; with 64, photographs take 2 % more
SHORT = 50  # levels up to which half the bins are enough with the Gaussian
# By what ends it. Of CIFAR-10 100 levels take 2 % less than 50, in twice the time; of photographs,
# whose bits-back coding ends early with the adaptive coder, only 41 of them are used.
CHAINS: dict[Residual, str] = {"adaptive": "100", "gaussian": "50"}

# Which images the network codes: all of them; those that take fewer bytes so; or none.
Network = Literal["always", "auto", "never"]


def make_header(
    codec: Codec | None,
    chain: str | None = None,
    tile: int = TILE,
    bins: int | None = None,
    network: Network = "auto",
    residual: Residual = RESIDUAL,
) -> ArchiveHeader:
    """The header of a new archive, which says how its images are coded.

    network: which images it codes; "never" needs no codec, and no network to extract them. bins: in
    a latent's standard deviation. Half as many ask for about 2 bits/dim less on the stack, and cost
    about 1e-5 bits/dim a level: with the Gaussian that pays where levels are few, as the tiles that
    fill the stack are dear. residual: what bits-back coding ends with, "adaptive" or "gaussian"
    (as in DDPM). Raises OptionError for a chain that the network has not, for tiles of a side that
    none has, for another residual, and for a network of floats.
    """
    if not 8 <= tile <= 1 << 12:
        raise OptionError(f"tiles have sides of 8 to 4096 pixels, not {tile}")
    check_residual(residual)
    if network == "never":
        return ArchiveHeader(bytes(8), "own", 0, BINS, tile, plain=True)
    assert codec is not None, "only an archive without a network needs none"
    if codec.promised:  # a latent that comes off the stack another one loses all images below it
        raise OptionError(
            f"bits-back coding needs every bit of what a network says, and {codec.name} is made of "
            "floats: run diffcodec export on it, encode images one by one, or leave the network "
            "out (--network never)"
        )
    levels = choose_chain(chain or CHAINS[residual], codec.tables)
    end = adaptive_end(levels) if residual == "adaptive" else None
    bins = bins or (BINS // 2 if end is None and len(levels.v) <= SHORT else BINS)
    plain = network == "auto"
    return ArchiveHeader(codec.fingerprint, levels.kind, len(levels.v), bins, tile, plain, end)


def write_archive(
    codec: Codec | None,
    sources: Sequence[Source],
    target: str | Path | BinaryIO,
    header: ArchiveHeader,
    *,
    stop_on_error: bool = False,
    strict: bool = False,
    resume: bool = False,
    processes: int = 1,
    pool: Executor | None = None,
    model: str | None = None,
    backend: str | None = None,
    left: Left | None = None,
    progress: Progress | None = None,
) -> Written:
    """Archive images, those of one size beside each other, to a file or a stream.

    An image that cannot be read is skipped and named in the result, or, with stop_on_error,
    raises; strict: so is one that has something that no archive keeps. resume: keep what an
    interrupted call left; left: is told of what this one leaves. processes: groups at a time, each
    with its own copy of the network `model`, evaluated by `backend`; pool: where to code them
    instead, an executor. Neither changes a bit. codec: may be None for a header without a network.
    Images with alpha, 16 bits or metadata, or of files with times and permissions, make the header
    one of version 4. Raises OptionError for an empty set, for names twice or that lead elsewhere,
    ImageError and OSError from reading and writing.
    """
    if not header.nodes:
        codec = model = None
    target = Path(target) if isinstance(target, str) else target
    written = Written()
    plan, rich = _plan(sources, written, stop_on_error, strict)
    deep = any(image.depth > 8 for group in plan for _, image in group)
    header = replace(header, rich=header.rich or rich, guarded=deep)
    total = sum(len(group) for group in plan)
    with (
        _elsewhere(codec, pool, processes, model, backend) as elsewhere,
        output_file(target, resume, plan, left, lambda: written.file_bytes) as file,
    ):
        written.resumed = resumable(file, header, plan) if resume else 0
        name = target if isinstance(target, Path) else Path("standard output")
        if not written.resumed:
            _start(file, header, name, resume)
        written.file_bytes = file.tell() if written.resumed else len(header.pack())
        done = sum(len(group) for group in plan[: written.resumed])
        within = progress_within(progress, done, total)
        coder = encoders(codec, header, elsewhere, within)
        for group, (data, head_bytes, spent, clock) in zip(
            plan[written.resumed :], coder(plan[written.resumed :]), strict=True
        ):
            _append(file, data, name, written)
            written.include(head_bytes, spent, clock)
            done += len(group)
            if progress:
                progress(done, total)
        ending = pack_end(len(plan), total)
        _append(file, ending, name, written)
    written.images, written.groups = total, len(plan)
    written.head_bytes += len(header.pack()) + len(ending)
    return written


@contextmanager
def _elsewhere(
    codec: Codec | None,
    pool: Executor | None,
    processes: int,
    model: str | None,
    backend: str | None,
) -> Iterator[Elsewhere | None]:
    """Where groups are coded; None for here, as is a network that no worker could load."""
    if model is None and codec is not None:
        yield None
    elif pool is not None:
        yield Elsewhere(pool, model, backend)
    elif processes == 1:
        yield None
    else:
        with executor(processes) as own:
            yield Elsewhere(own, model, backend)


def _start(file: BinaryIO, header: ArchiveHeader, name: Path, again: bool) -> None:
    """The header, in front of nothing."""
    with writing(name):
        if again:
            file.seek(0)
            file.truncate()
        file.write(header.pack())


def _append(file: BinaryIO, data: bytes, name: Path, written: Written) -> None:
    with writing(name):
        file.write(data)
        file.flush()
    written.file_bytes += len(data)


def _plan(
    sources: Sequence[Source], written: Written, stop_on_error: bool, strict: bool
) -> tuple[list[list[tuple[Source, ImageInfo]]], bool]:
    """Groups of images, every one of which is read once to see that it can be; and whether they
    take version 4."""
    readable, rich = list[tuple[Source, ImageInfo, int]](), False
    for source in sources:
        try:
            picture = _checked(source, strict)
        except (ImageError, OSError) as error:
            if stop_on_error and isinstance(error, ImageError):
                raise ImageError(f"{error}; go on without it: --on-error skip") from error
            if stop_on_error:
                raise
            reason = error.strerror if isinstance(error, OSError) else str(error)
            written.skipped.append((source.name, reason or str(error)))
            continue
        if picture.lost:
            written.lost.append((source.name, picture.lost))
        readable.append((source, source.info(picture.pixels), size_of(picture.metadata)))
        rich = rich or readable[-1][1].rich or bool(picture.metadata)
    if not readable:
        raise OptionError("there is no image to archive")
    if len({image.name for _, image, _ in readable}) < len(readable):
        raise OptionError("two images have the same name")
    readable.sort(key=lambda entry: (entry[1].shape, entry[1].depth))
    groups: list[list[tuple[Source, ImageInfo]]] = []
    values = more = 0
    for source, image, metadata in readable:
        size = image.height * image.width * image.channels
        if not groups or values + size > GROUP_VALUES or more + metadata > GROUP_METADATA:
            groups.append([])
            values = more = 0
        groups[-1].append((source, image))
        values, more = values + size, more + metadata
    return groups, rich


def _checked(source: Source, strict: bool) -> Picture:
    """The picture, if it can be archived; raises ImageError, OSError or OptionError."""
    if not is_safe(source.name):
        raise OptionError(f"an image cannot be called {source.name!r}, which leads elsewhere")
    picture = source.picture()
    if source.time != source.modified:
        lost = (*picture.lost, "its time of modification")
        picture = Picture(picture.pixels, picture.metadata, lost)
    if strict and picture.lost:
        raise ImageError(f"{source.name}: {', '.join(picture.lost)} cannot be kept")
    if size_of(picture.metadata) > MAX_BYTES // 2:
        raise ImageError(f"{source.name} has too much metadata; leave it out with --strip")
    return picture


def default_model(sources: Sequence[Source]) -> str:
    """The shipped network for a set: that of its first readable image.

    Raises what reading the first one does if there is no such image, and OptionError of none at
    all.
    """
    errors = list[Exception]()
    for source in sources:
        try:
            return api.default_model(source.read())
        except (ImageError, OSError) as error:
            errors.append(error)
    raise errors[0] if errors else OptionError("there is no image to archive")
