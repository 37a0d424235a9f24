"""The images of an archive: all or some of them, in the order of the file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from diffcodec.accounting.trace import Clock
from diffcodec.archive import plain
from diffcodec.archive.contents import check_network, contents
from diffcodec.archive.group import GroupCoder
from diffcodec.archive.groups import progress_within, threads_of
from diffcodec.bitstream.archive import (
    Group,
    Plain,
    read_metadata,
    read_plain,
    read_stack,
)
from diffcodec.bitstream.archive_header import ArchiveHeader
from diffcodec.bitstream.directory import ImageInfo
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.metadata import Metadata
from diffcodec.bitstream.types import Pixels, Progress
from diffcodec.codec import Codec
from diffcodec.errors import OptionError
from diffcodec.limits import USUAL, Limits, OverLimit, memory_of

Found = Pixels | BitstreamError  # an image (H, W, C), or what is wrong with it


@dataclass(frozen=True, eq=False)
class Extracted:
    """An image of an archive: found: its pixels (H, W, C), uint8 or uint16, or what is wrong with
    them; metadata: what it carries besides, or what is wrong with that.
    """

    image: ImageInfo
    found: Found
    metadata: Metadata | BitstreamError


def extract(
    codec: Codec | None,
    file: BinaryIO,
    names: Sequence[str] | None = None,
    clock: Clock | None = None,
    progress: Progress | None = None,
) -> Iterator[tuple[ImageInfo, Found]]:
    """The images with these names, or all: pixels (H, W, C), or what is wrong with them.

    Raises as extract_pictures does.
    """
    for extracted in extract_pictures(codec, file, names, clock, progress):
        yield extracted.image, extracted.found


def extract_pictures(
    codec: Codec | None,
    file: BinaryIO,
    names: Sequence[str] | None = None,
    clock: Clock | None = None,
    progress: Progress | None = None,
    limits: Limits = USUAL,
) -> Iterator[Extracted]:
    """The images with these names, or all, with their metadata, in the order of the file.

    Groups that hold none of them are passed over, and of the others only what lies above is
    decoded. Where a stack is damaged, those of its images come out that lie above the damage.
    codec: None where none of them needs the network (Contents.needs_network). limits: what each
    image, and the images of a stack together, may ask for: others are not decoded, and found is an
    OverLimit. Raises BitstreamError for another network's archive, OptionError for unknown names.
    """
    held = contents(file, limits=limits)
    known = {image.name for image in held.images}
    missing = [name for name in names or () if name not in known]
    if missing:
        raise OptionError(f"the archive holds no image called {missing[0]}")
    coder = None
    if held.needs_network(names):
        coder = GroupCoder(check_network(codec, held), held.header, clock, limits)
    total = len(names) if names is not None else len(held.images)
    done, workers = 0, threads_of(codec)
    within = progress_within(progress, 0, total)
    for group in held.groups:
        wanted = {i for i, p in enumerate(group.images) if names is None or p.name in names}
        if not wanted:
            continue
        report = within(len(wanted))
        plain_parts = {part.image: part for part in group.plain}
        images = dict[int, Found]()
        if stacked := wanted - plain_parts.keys():
            assert coder is not None
            images = _stacked(coder, file, group, stacked, report)
        metadata = _metadata(file, group)
        for i in sorted(wanted):
            of_image = metadata if isinstance(metadata, BitstreamError) else metadata[i]
            if i in plain_parts:  # one at a time: a group of large ones takes the memory of one
                images[i] = _plain(file, held.header, group, plain_parts[i], workers, limits)
            yield Extracted(group.images[i], images.pop(i), of_image)
        done += len(wanted)
        if progress:
            progress(done, total)


def _plain(
    file: BinaryIO,
    header: ArchiveHeader,
    group: Group,
    part: Plain,
    workers: int,
    limits: Limits,
) -> Found:
    """A plain image of a group."""
    try:
        image = group.images[part.image]
        _check(image, limits)
        data, deadline = read_plain(file, part), limits.deadline()
        return plain.decode(data, image.shape, image.depth, header.guarded, workers, deadline)
    except BitstreamError as error:
        return error


def metadata_of(file: BinaryIO, group: Group) -> list[Metadata | None]:
    """What each image of a group carries besides its pixels; None if that is damaged."""
    found = _metadata(file, group)
    if isinstance(found, BitstreamError):
        return [None] * len(group.images)
    return list(found)


def _metadata(file: BinaryIO, group: Group) -> list[Metadata] | BitstreamError:
    """Of all images of a group."""
    try:
        return read_metadata(file, group)
    except BitstreamError as error:
        return error


def _stacked(
    coder: GroupCoder, file: BinaryIO, group: Group, wanted: set[int], progress: Progress | None
) -> dict[int, Found]:
    """The wanted images of a group's stack; of a damaged one those that lie above the damage."""
    places = group.stacked
    shapes = [group.images[i].shape for i in places]
    images, lost = dict[int, Found](), None
    for i in wanted:
        try:
            _check(group.images[i], coder.limits)
        except OverLimit as error:
            images[i] = error
    rest = wanted - images.keys()
    numbers = {n for n, i in enumerate(places) if i in rest}
    try:
        try:
            stack = read_stack(file, group)
        except BitstreamError as error:
            lost, stack = error, read_stack(file, group, intact=False)
        found = coder.decode(shapes, group.entries, stack, numbers, progress, intact=lost is None)
    except BitstreamError as error:
        return images | dict.fromkeys(rest, lost or error)
    images |= {places[n]: pixels for n, pixels in found.items()}
    return images | dict.fromkeys(wanted - images.keys(), lost or BitstreamError("it is lost"))


def _check(image: ImageInfo, limits: Limits) -> None:
    """Raises OverLimit for an image that asks for more pixels or memory."""
    what, size = f"its {image.width} x {image.height} pixels", (image.height, image.width)
    limits.check_pixels(image.width * image.height, what)
    limits.check_memory(memory_of(size, image.channels, image.depth), what)
