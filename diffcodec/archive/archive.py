"""Archives of images: .dfa files, written group by group; reading.py reads them.

Writing goes to OUT.part and ends with a rename. What was interrupted resumes where it stopped, to
the same bytes: a group that is in the part file is kept if its images are still the same.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

from diffcodec import api
from diffcodec.archive.account import Written
from diffcodec.archive.ending import adaptive_end
from diffcodec.archive.groups import Source, encoders, progress_within
from diffcodec.archive.model import BINS
from diffcodec.archive.part import part_file, resumable
from diffcodec.bitstream.archive import pack_end
from diffcodec.bitstream.archive_header import ArchiveHeader
from diffcodec.bitstream.directory import ImageInfo
from diffcodec.bitstream.types import Progress
from diffcodec.codec import Codec
from diffcodec.errors import ImageError, OptionError
from diffcodec.progressive.residual import RESIDUAL, Residual, check_residual
from diffcodec.theory.chain import choose_chain

GROUP_VALUES = 3 << 18  # sub-pixels in a group: 256 images of CIFAR-10, or one photograph
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
    none has, and for another residual.
    """
    if not 8 <= tile <= 1 << 12:
        raise OptionError(f"tiles have sides of 8 to 4096 pixels, not {tile}")
    check_residual(residual)
    if network == "never":
        return ArchiveHeader(bytes(8), "own", 0, BINS, tile, plain=True)
    assert codec is not None, "only an archive without a network needs none"
    levels = choose_chain(chain or CHAINS[residual], codec.tables)
    end = adaptive_end(levels) if residual == "adaptive" else None
    bins = bins or (BINS // 2 if end is None and len(levels.v) <= SHORT else BINS)
    plain = network == "auto"
    return ArchiveHeader(codec.fingerprint, levels.kind, len(levels.v), bins, tile, plain, end)


def write_archive(
    codec: Codec | None,
    sources: Sequence[Source],
    target: Path,
    header: ArchiveHeader,
    *,
    stop_on_error: bool = False,
    resume: bool = False,
    processes: int = 1,
    model: str | None = None,
    backend: str | None = None,
    progress: Progress | None = None,
) -> Written:
    """Archive images, those of one size beside each other.

    An image that cannot be read is skipped and named in the result, or, with stop_on_error,
    raises. resume: keep what an interrupted call left. processes: groups at a time, each with its
    own copy of the network `model`, evaluated by `backend`; they do not change a bit. codec: may be
    None for a header without a network. Raises OptionError for an empty set and for names twice,
    ImageError and OSError from reading and writing.
    """
    if not header.nodes:
        codec = model = None
    written = Written()
    plan = _plan(sources, written, stop_on_error)
    part = target.with_name(f".{target.name}.part")
    total = sum(len(group) for group in plan)
    with part_file(part, resume) as file:
        written.resumed = resumable(file, header, plan) if resume else 0
        if not written.resumed:
            file.seek(0)
            file.truncate()
            file.write(header.pack())
        done = sum(len(group) for group in plan[: written.resumed])
        within = progress_within(progress, done, total)
        coder = encoders(codec, header, processes, model, backend, within)
        for group, (data, head_bytes, spent, clock) in zip(
            plan[written.resumed :], coder(plan[written.resumed :]), strict=True
        ):
            file.write(data)
            file.flush()
            written.include(head_bytes, spent, clock)
            done += len(group)
            if progress:
                progress(done, total)
        ending = pack_end(len(plan), total)
        file.write(ending)
        file.flush()
        os.fsync(file.fileno())
        written.file_bytes = file.tell()
    written.images, written.groups = total, len(plan)
    written.head_bytes += len(header.pack()) + len(ending)
    os.replace(part, target)
    return written


def _plan(
    sources: Sequence[Source], written: Written, stop_on_error: bool
) -> list[list[tuple[Source, ImageInfo]]]:
    """Groups of images: every one is read once to see that it can be."""
    readable = []
    for source in sources:
        try:
            height, width, channels = source.read().shape
        except (ImageError, OSError) as error:
            if stop_on_error:
                raise
            written.skipped.append((source.name, str(error)))
            continue
        readable.append((source, ImageInfo(source.name, height, width, channels)))
    if not readable:
        raise OptionError("there is no image to archive")
    if len({image.name for _, image in readable}) < len(readable):
        raise OptionError("two images have the same name")
    readable.sort(key=lambda pair: pair[1].shape)
    groups: list[list[tuple[Source, ImageInfo]]] = []
    values = 0
    for source, image in readable:
        size = image.height * image.width * image.channels
        if not groups or values + size > GROUP_VALUES:
            groups.append([])
            values = 0
        groups[-1].append((source, image))
        values += size
    return groups


def default_model(sources: Sequence[Source]) -> str:
    """The shipped network for a set: that of its first readable image."""
    for source in sources:
        with suppress(ImageError, OSError):
            return api.default_model(source.read())
    raise OptionError("there is no image to archive")
