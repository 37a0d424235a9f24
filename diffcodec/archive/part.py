"""The part file of an archive that is being written, and how an interrupted one resumes.

OUT.part lies beside OUT under a name that a later call finds again, so one call at a time may have
it: it is locked, and what somebody else has put in its place, a link say, is refused.
"""

from __future__ import annotations

import errno
import os
import stat
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from diffcodec.archive import plain
from diffcodec.archive.groups import Plan
from diffcodec.bitstream.archive import (
    Damage,
    Entry,
    Group,
    read_groups,
    read_metadata,
    read_plain,
    read_stack,
)
from diffcodec.bitstream.archive_header import ArchiveHeader, read_header
from diffcodec.bitstream.byte_order import little_endian
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.tiles import tiles_of
from diffcodec.bitstream.types import Pixels
from diffcodec.errors import OptionError
from diffcodec.files import hold

NAME_MAX = 255  # bytes of a file's name
HEADER_MAX = 64  # bytes up to which a part file holds no group

Left = Callable[[Path], None]  # is told of a part file that can be resumed


def part_of(target: Path) -> Path:
    """The part file of an archive; of a name so long that nothing fits beside it, a short one."""
    name = os.fsencode(target.name)
    if len(name) + len("..part") > NAME_MAX:
        name = name[:200] + f".{zlib.crc32(name):08x}".encode()
    return target.with_name(os.fsdecode(b"." + name + b".part"))


@contextmanager
def output_file(
    target: Path | BinaryIO, resume: bool, plan: Plan, left: Left | None, whole: Callable[[], int]
) -> Iterator[BinaryIO]:
    """Where the archive is written: to a part file first, or straight to what is no file.

    whole: bytes up to the end of the last complete group; 0 while that is not known. Raises as
    part_file does, and OptionError for what cannot be resumed.
    """
    if not isinstance(target, Path):
        if resume:
            raise OptionError("what is written to a pipe cannot be resumed")
        yield target
    elif target.exists() and not target.is_file():
        with open(target, "wb") as file:
            yield file
    else:
        # Whoever cannot read one of the images does not see it in the archive.
        mode = 0o666
        for group in plan:
            for _, image in group:
                mode &= 0o666 if image.mode is None else image.mode
        with part_file(target, resume, mode, left, whole) as file:
            yield file


@contextmanager
def part_file(
    target: Path,
    resume: bool,
    mode: int = 0o666,
    left: Left | None = None,
    whole: Callable[[], int] = lambda: 0,
) -> Iterator[BinaryIO]:
    """The part file, open; it becomes `target` when all went well.

    Otherwise it stays if something was written that can be resumed, and `left` is told so; else it
    is taken away. whole: as in output_file. mode: permissions of a new archive, less the umask; one
    that is replaced passes on its own. Raises OptionError where another call has it, OSError if it
    cannot be made.
    """
    target = Path(os.path.realpath(target))  # a link is followed
    part = part_of(target)
    file = os.fdopen(_locked(part, target, mode), "r+b")
    try:
        try:
            if not resume:
                file.truncate()
            yield file
            with writing(target):
                file.flush()
                os.fsync(file.fileno())
                _adopt_mode(file.fileno(), target)
                os.replace(part, target)
        except BaseException:
            with suppress(OSError):
                file.flush()
            if (whole() or os.fstat(file.fileno()).st_size) <= HEADER_MAX:
                part.unlink(missing_ok=True)
            elif left is not None:
                left(part)
            raise
    finally:
        with suppress(OSError):  # of a disk that is full, which was said
            file.close()


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """What goes wrong here, goes wrong with the archive."""
    try:
        yield
    except OSError as error:
        raise type(error)(error.errno, error.strerror, str(target)) from error


def _locked(part: Path, target: Path, mode: int) -> int:
    """A descriptor of the part file, which nobody else has."""
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    replaced = target.exists()
    while True:
        try:
            number = os.open(part, flags, 0o600 if replaced else 0o600 | mode & 0o066)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENXIO):
                raise OptionError(_TAKEN.format(part)) from error
            raise
        try:
            found = os.fstat(number)
            if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
                raise OptionError(_TAKEN.format(part))
            if hold(number) is False:
                raise OptionError(
                    "another run is writing this archive; wait for it, or name another OUT"
                )
            _adopt_mode(number, target)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.lstat(part), found):
                    return number
        except BaseException:
            os.close(number)
            raise
        os.close(number)  # the call that had it until now has just finished it: make a new one


_TAKEN = "{} is a link or no file, and the archive is written there first; remove it"


def _adopt_mode(number: int, target: Path) -> None:
    """The permissions of the archive that is replaced, if there is one."""
    with suppress(OSError, AttributeError):
        replaced = target.stat()
        if stat.S_ISREG(replaced.st_mode):
            os.fchmod(number, stat.S_IMODE(replaced.st_mode))


def resumable(file: BinaryIO, header: ArchiveHeader, plan: Plan) -> int:
    """How many of the planned groups the part file holds; it is cut after them."""
    file.seek(0)
    try:
        if read_header(file) != header:
            return 0
    except BitstreamError:
        return 0
    kept, end = 0, file.tell()
    found_groups = read_groups(file, header.listed, header.rich)
    for found, group in zip(found_groups, plan, strict=False):
        if isinstance(found, Damage) or list(found.images) != [image for _, image in group]:
            break
        pictures = [source.picture() for source, _ in group]
        pixels = [picture.pixels for picture in pictures]
        try:
            read_stack(file, found)
            if not _same_plain(file, header, found, pixels):
                break
            if read_metadata(file, found) != [picture.metadata for picture in pictures]:
                break
        except BitstreamError:
            break
        if not _same_pixels(found.entries, [pixels[i] for i in found.stacked], header.tile):
            break
        kept, end = kept + 1, found.end
    file.seek(end)
    file.truncate()
    return kept


def _same_plain(
    file: BinaryIO, header: ArchiveHeader, group: Group, pixels: Sequence[Pixels]
) -> bool:
    """Do the checksums of the plain images match? BitstreamError if their bytes are damaged."""
    return all(
        plain.holds(read_plain(file, p), pixels[p.image], header.guarded) for p in group.plain
    )


def _same_pixels(entries: Sequence[Entry], pixels: Sequence[Pixels], side: int) -> bool:
    """Do the checksums of the batches match these images?"""
    at, tiles = 0, tiles_of([(p.shape[0], p.shape[1], p.shape[2]) for p in pixels], side)
    for entry in entries:
        batch = tiles[at : at + entry.tiles]
        data = b"".join(little_endian(t.of(pixels[t.image])).tobytes() for t in batch)
        if zlib.crc32(data) != entry.crc:
            return False
        at += len(batch)
    return at == len(tiles)
