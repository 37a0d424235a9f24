"""What an archive holds, and whether it is damaged; no image is decoded."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import BinaryIO

from diffcodec import api
from diffcodec.archive import plain
from diffcodec.bitstream.archive import (
    Damage,
    Group,
    read_groups,
    read_metadata,
    read_plain,
    read_stack,
)
from diffcodec.bitstream.archive_header import ArchiveHeader, read_header
from diffcodec.bitstream.directory import ImageInfo
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.codec import Codec
from diffcodec.limits import USUAL, Limits

LISTED = 500  # bytes of memory that an image takes in a list, about, besides its name


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

    @cached_property
    def plain_bytes(self) -> dict[str, int]:
        """The images that need no network, and what each of them takes."""
        return {
            group.images[part.image].name: part.size
            for group in self.groups
            for part in group.plain
        }

    def needs_network(self, names: Collection[str] | None = None) -> bool:
        """Whether the images with these names, or all, need the network."""
        stacked = (group.images[i].name for group in self.groups for i in group.stacked)
        return any(names is None or name in names for name in stacked)


def contents(file: BinaryIO, check: bool = False, limits: Limits = USUAL) -> Contents:
    """Read the heads of an archive (an open file), and with `check` the checksums of its bodies.

    Raises BitstreamError if it has no readable header, OverLimit for more images than memory, or
    seconds, for their list; other damage is reported in the result.
    """
    file.seek(0)
    header, deadline = read_header(file), limits.deadline()
    groups, damage, images, memory = list[Group](), list[Damage](), 0, 0
    for found in read_groups(file, header.listed, header.rich, whole=check):
        if isinstance(found, Damage):
            damage.append(found)
            continue
        if groups:
            deadline.check()
        groups.append(found)
        images += len(found.images)
        memory += sum(LISTED + len(image.name) for image in found.images)
        limits.check_memory(memory, f"the list of {images:,} images")
        if check:
            damage += _checked(file, header, found)
    return Contents(header, tuple(groups), tuple(damage), file.seek(0, os.SEEK_END))


def _checked(file: BinaryIO, header: ArchiveHeader, group: Group) -> Iterator[Damage]:
    """What of a group's body does not match its checksums."""
    try:
        read_stack(file, group)
    except BitstreamError as error:
        yield Damage(group.offset, str(error))
    for part in group.plain:
        image = group.images[part.image]
        try:
            data = read_plain(file, part)
            plain.check(data, image.shape, image.depth, header.guarded)
        except BitstreamError as error:
            yield Damage(part.at, f"{image.name}: {error}")
    try:
        read_metadata(file, group)
    except BitstreamError as error:
        yield Damage(group.metadata_at, str(error))


def model_of(held: Contents) -> str:
    """The shipped network that an archive names; BitstreamError if there is none such."""
    return api.name_of(held.header.fingerprint)


def check_network(codec: Codec | None, held: Contents) -> Codec:
    """The codec itself; BitstreamError if an archive was made with another network."""
    if codec is None:
        raise BitstreamError(
            f"the archive's images need the network {held.header.fingerprint.hex()}"
        )
    if held.header.fingerprint != codec.fingerprint:
        raise BitstreamError(
            f"the archive was made with network {held.header.fingerprint.hex()}, not with "
            f"{codec.name} ({codec.fingerprint.hex()})"
        )
    return codec
