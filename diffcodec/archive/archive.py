"""Archives of images: .dfa files, written group by group, read in any order.

Writing goes to OUT.part and ends with a rename. What was interrupted resumes where it stopped, to
the same bytes: a group that is in the part file is kept if its images are still the same.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from diffcodec import api
from diffcodec.accounting.trace import Clock
from diffcodec.archive.account import Written
from diffcodec.archive.group import GroupCoder
from diffcodec.archive.groups import Source, encoders, progress_within
from diffcodec.archive.model import BINS
from diffcodec.archive.part import part_file, resumable
from diffcodec.bitstream.archive import (
    ArchiveHeader,
    Damage,
    Group,
    pack_end,
    read_body,
    read_groups,
    read_header,
)
from diffcodec.bitstream.directory import ImageInfo
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.types import Pixels, Progress
from diffcodec.codec import Codec
from diffcodec.errors import ImageError, OptionError
from diffcodec.theory.chain import choose_chain

GROUP_VALUES = 3 << 18  # sub-pixels in a group: 256 images of CIFAR-10, or one photograph
TILE = 128  # side of the tiles; with 64, photographs take 2 % more
SHORT = 50  # levels up to which half the bins are enough
CHAIN = "50"


def make_header(
    codec: Codec, chain: str | None = None, tile: int = TILE, bins: int | None = None
) -> ArchiveHeader:
    """The header of a new archive; raises OptionError for a chain that the network has not.

    bins: in a latent's standard deviation. Half as many ask for about 2 bits/dim less on the stack,
    and cost about 1e-5 bits/dim a level.
    """
    levels = choose_chain(chain or CHAIN, codec.tables)
    if not 8 <= tile <= 1 << 12:
        raise OptionError(f"tiles have sides of 8 to 4096 pixels, not {tile}")
    bins = bins or (BINS // 2 if len(levels.v) <= SHORT else BINS)
    return ArchiveHeader(codec.fingerprint, levels.kind, len(levels.v), bins, tile)


# --- writing ------------------------------------------------------------------------------------


def write_archive(
    codec: Codec,
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
    own copy of the network `model`, evaluated by `backend`; they do not change a bit. Raises
    OptionError for an empty set and for names twice, ImageError and OSError from reading and
    writing.
    """
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


# --- reading ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Contents:
    """What an archive holds, by its heads, and where it is damaged."""

    header: ArchiveHeader
    groups: tuple[Group, ...]
    damage: tuple[Damage, ...]
    file_bytes: int

    @property
    def images(self) -> list[ImageInfo]:
        """All images in the order of the file."""
        return [image for group in self.groups for image in group.images]


def contents(file: BinaryIO, check: bool = False) -> Contents:
    """Read the heads of an archive (an open file), and with `check` the checksums of its bodies.

    Raises BitstreamError if it has no readable header; other damage is reported in the result.
    """
    file.seek(0)
    header = read_header(file)
    groups, damage = list[Group](), list[Damage]()
    for found in list(read_groups(file)):
        if isinstance(found, Damage):
            damage.append(found)
            continue
        groups.append(found)
        if check:
            try:
                read_body(file, found)
            except BitstreamError as error:
                damage.append(Damage(found.offset, str(error)))
    return Contents(header, tuple(groups), tuple(damage), file.seek(0, os.SEEK_END))


def extract(
    codec: Codec,
    file: BinaryIO,
    names: Sequence[str] | None = None,
    clock: Clock | None = None,
    progress: Progress | None = None,
) -> Iterator[tuple[ImageInfo, Pixels | BitstreamError]]:
    """The images with these names, or all: pixels (H, W, C) uint8, or what is wrong with them.

    Groups that hold none of them are passed over, and of the others only what lies above is
    decoded. Raises BitstreamError for another network's archive, OptionError for unknown names.
    """
    held = contents(file)
    check_network(codec, held)
    known = {image.name for image in held.images}
    missing = [name for name in names or () if name not in known]
    if missing:
        raise OptionError(f"the archive holds no image called {missing[0]}")
    coder = GroupCoder(codec, held.header, clock)
    total = len(names) if names is not None else len(held.images)
    done = 0
    within = progress_within(progress, 0, total)
    for group in held.groups:
        wanted = {i for i, p in enumerate(group.images) if names is None or p.name in names}
        if not wanted:
            continue
        images: dict[int, Pixels] | BitstreamError
        try:
            shapes = [p.shape for p in group.images]
            body = read_body(file, group)
            report = within(len(wanted))
            images = coder.decode(shapes, group.entries, body, wanted, report)
        except BitstreamError as error:
            images = error
        for i in sorted(wanted):
            found = images if isinstance(images, BitstreamError) else images[i]
            yield group.images[i], found
        done += len(wanted)
        if progress:
            progress(done, total)


def default_model(sources: Sequence[Source]) -> str:
    """The shipped network for a set: that of its first readable image."""
    for source in sources:
        with suppress(ImageError, OSError):
            return api.default_model(source.read())
    raise OptionError("there is no image to archive")


def model_of(held: Contents) -> str:
    """The shipped network that an archive names; BitstreamError if there is none such."""
    return api.name_of(held.header.fingerprint)


def check_network(codec: Codec, held: Contents) -> None:
    """Raises BitstreamError if an archive was made with another network."""
    if held.header.fingerprint != codec.fingerprint:
        raise BitstreamError(
            f"the archive was made with network {held.header.fingerprint.hex()}, not with "
            f"{codec.name} ({codec.fingerprint.hex()})"
        )
