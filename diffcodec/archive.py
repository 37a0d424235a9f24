"""Archives of pictures: .dfa files, written group by group, read in any order.

Writing goes to OUT.part and ends with a rename. What was interrupted goes on where it stopped, to
the same bytes: a group that is in the part file is kept if its pictures are still the same.
"""

from __future__ import annotations

import io
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from diffcodec import shipped
from diffcodec.bitsback import BINS
from diffcodec.bitstream.archive import (
    ArchiveHeader,
    Damage,
    Entry,
    Group,
    Picture,
    pack_end,
    pack_group,
    read_body,
    read_groups,
    read_header,
)
from diffcodec.bitstream.container import BitstreamError
from diffcodec.chain import Chain, OptionError, choose_chain
from diffcodec.codec import Codec
from diffcodec.group import GroupCoder, Progress, Spent, tiles_of
from diffcodec.image import ImageError, load
from diffcodec.ledger import Entry as LedgerEntry
from diffcodec.ledger import Ledger
from diffcodec.trace import Balance, Clock

Pixels = NDArray[np.uint8]

GROUP_VALUES = 3 << 18  # sub-pixels in a group: 256 pictures of CIFAR-10, or one photograph
TILE = 128  # side of the tiles; with 64, photographs take 2 % more
SHORT = 50  # levels up to which half the bins are enough
CHAIN = "50"


@dataclass(frozen=True)
class Source:
    """A picture to be archived. path: of its file, or the pixels themselves."""

    name: str
    path: Path | Pixels

    def read(self) -> Pixels:
        """(H, W, C) uint8; raises ImageError or OSError."""
        return load(self.path) if isinstance(self.path, Path) else self.path


@dataclass
class Written:
    """What an archive came to. All in bits but for the counts.

    8 file_bytes = net_bits + spent.progressive_bits + spent.packing_bits + 8 head_bytes. resumed:
    groups that were there already; all but the counts tells of the others only.
    """

    pictures: int = 0
    groups: int = 0
    resumed: int = 0
    file_bytes: int = 0
    head_bytes: int = 0  # all that is not a group's body
    skipped: list[tuple[str, str]] = field(default_factory=list)  # names and reasons
    spent: Spent = field(default_factory=lambda: Spent(Balance()))
    clock: Clock = field(default_factory=Clock)

    @property
    def net_bits(self) -> float:
        """What the pictures in bits-back batches added to the stacks."""
        return float(self.spent.balance.spent.sum())

    def include(self, head_bytes: int, spent: Spent, clock: Clock) -> None:
        """Add a group."""
        total = self.spent
        if spent.balance.spent.size:
            total.balance.include(spent.balance)
        total.progressive_bits += spent.progressive_bits
        total.progressive_ideal += spent.progressive_ideal
        total.progressive_values += spent.progressive_values
        total.packing_bits += spent.packing_bits
        self.head_bytes += head_bytes
        self.clock.network += clock.network
        self.clock.total += clock.total


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
    progress: Progress | None = None,
) -> Written:
    """Archive pictures, those of one size beside each other.

    A picture that cannot be read is skipped and named in the result, or, with stop_on_error,
    raises. resume: go on with what an interrupted call left. processes: groups at a time, each with
    its own copy of the network `model`; they do not change a bit. Raises OptionError for an empty
    set and for names twice, ImageError and OSError from reading and writing.
    """
    written = Written()
    plan = _plan(sources, written, stop_on_error)
    part = target.with_name(f".{target.name}.part")
    total = sum(len(group) for group in plan)
    with _part_file(part, resume) as file:
        written.resumed = _resume(file, header, plan) if resume else 0
        if not written.resumed:
            file.seek(0)
            file.truncate()
            file.write(header.pack())
        done = sum(len(group) for group in plan[: written.resumed])
        coder = _encoders(codec, header, processes, model, _within(progress, done, total))
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
    written.pictures, written.groups = total, len(plan)
    written.head_bytes += len(header.pack()) + len(ending)
    os.replace(part, target)
    return written


def _plan(
    sources: Sequence[Source], written: Written, stop_on_error: bool
) -> list[list[tuple[Source, Picture]]]:
    """Groups of pictures: every one is read once to see that it can be."""
    readable = []
    for source in sources:
        try:
            height, width, channels = source.read().shape
        except (ImageError, OSError) as error:
            if stop_on_error:
                raise
            written.skipped.append((source.name, str(error)))
            continue
        readable.append((source, Picture(source.name, height, width, channels)))
    if not readable:
        raise OptionError("there is no picture to archive")
    if len({picture.name for _, picture in readable}) < len(readable):
        raise OptionError("two pictures have the same name")
    readable.sort(key=lambda pair: pair[1].shape)
    groups: list[list[tuple[Source, Picture]]] = []
    values = 0
    for source, picture in readable:
        size = picture.height * picture.width * picture.channels
        if not groups or values + size > GROUP_VALUES:
            groups.append([])
            values = 0
        groups[-1].append((source, picture))
        values += size
    return groups


Coded = tuple[bytes, int, Spent, Clock]
Plan = Sequence[Sequence[tuple[Source, Picture]]]


def _encoders(
    codec: Codec,
    header: ArchiveHeader,
    processes: int,
    model: str | None,
    within: Callable[[int], Progress | None],
) -> Callable[[Plan], Iterator[Coded]]:
    """Codes groups in order: here, or in several processes."""
    if processes == 1 or model is None:
        return lambda plan: (
            _encode_group(codec, header, group, within(len(group))) for group in plan
        )

    def run(plan: Plan) -> Iterator[Coded]:
        with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
            futures = []
            for group in plan:  # a few ahead, so that memory stays bounded
                futures.append(pool.submit(_encode_elsewhere, model, header, group))
                if len(futures) > processes:
                    yield futures.pop(0).result()
            for future in futures:
                yield future.result()

    return run


def _within(progress: Progress | None, done: int, total: int) -> Callable[[int], Progress | None]:
    """For each of the next groups, of so many pictures, what tells how far it is."""
    start = done

    def enter(pictures: int) -> Progress | None:
        nonlocal start
        before, start = start, start + pictures
        if progress is None:
            return None
        # The last tile is left to the caller, who says so when the group is done.
        return lambda at, of: progress(before + pictures * min(at, of - 1) // of, total)

    return enter


def _encode_elsewhere(
    model: str, header: ArchiveHeader, group: Sequence[tuple[Source, Picture]]
) -> Coded:
    return _encode_group(_codec(model), header, group)


@lru_cache(maxsize=1)
def _codec(model: str) -> Codec:
    return Codec.from_pretrained(model, threads=1)


def _encode_group(
    codec: Codec,
    header: ArchiveHeader,
    group: Sequence[tuple[Source, Picture]],
    progress: Progress | None = None,
) -> Coded:
    clock, spent = Clock(), Spent(Balance())
    with clock.measure("total"):
        pixels = [source.read() for source, _ in group]
        for (_, picture), now in zip(group, pixels, strict=True):
            if now.shape != picture.shape:
                raise ImageError(f"{picture.name} changed while it was archived")
        entries, body = GroupCoder(codec, header, clock).encode(pixels, spent, progress)
        data = pack_group([picture for _, picture in group], entries, body)
    return data, len(data) - len(body), spent, clock


@contextmanager
def _part_file(part: Path, resume: bool) -> Iterator[BinaryIO]:
    """The part file, open; one in which nothing was written yet is taken away again."""
    existed = part.exists()
    with open(part, "r+b" if resume and existed else "w+b") as file:
        try:
            yield file
        except BaseException:
            file.flush()
            if file.tell() <= 64:
                part.unlink(missing_ok=True)
            raise


def _resume(file: BinaryIO, header: ArchiveHeader, plan: Plan) -> int:
    """How many of the planned groups the part file holds; it is cut after them."""
    try:
        if read_header(file) != header:
            return 0
    except BitstreamError:
        return 0
    kept, end = 0, file.tell()
    for found, group in zip(read_groups(file), plan, strict=False):
        if isinstance(found, Damage) or list(found.pictures) != [picture for _, picture in group]:
            break
        try:
            read_body(file, found)
        except BitstreamError:
            break
        if not _same_pixels(found.entries, [source.read() for source, _ in group], header.tile):
            break
        kept, end = kept + 1, found.body_at + found.body_bytes + 4
    file.seek(end)
    file.truncate()
    return kept


def _same_pixels(entries: Sequence[Entry], pixels: Sequence[Pixels], side: int) -> bool:
    """Do the checksums of the batches match these pictures?"""
    at, tiles = 0, tiles_of([(p.shape[0], p.shape[1], p.shape[2]) for p in pixels], side)
    for entry in entries:
        batch = tiles[at : at + entry.tiles]
        data = b"".join(t.of(pixels[t.picture]).tobytes() for t in batch)
        if zlib.crc32(data) != entry.crc:
            return False
        at += len(batch)
    return at == len(tiles)


def archive_picture(
    codec: Codec, pixels: Pixels, header: ArchiveHeader, progress: Progress | None = None
) -> tuple[bytes, Written]:
    """A whole archive of one picture, whose name is "picture"."""
    picture = Picture("picture", *pixels.shape)
    written = Written(pictures=1, groups=1)
    data, head_bytes, spent, clock = _encode_group(
        codec, header, [(Source(picture.name, pixels), picture)], progress
    )
    written.include(head_bytes, spent, clock)
    start, end = header.pack(), pack_end(1, 1)
    written.head_bytes += len(start) + len(end)
    written.file_bytes = len(start) + len(data) + len(end)
    return start + data + end, written


def ledger(written: Written, chain: Chain) -> Ledger:
    """What every bit of an archive was spent on; of one that was written in one go."""
    assert not written.resumed
    spent, balance = written.spent, written.spent.balance
    entries = [
        LedgerEntry("index", 8 * written.head_bytes),
        LedgerEntry("initial", spent.progressive_bits, spent.progressive_ideal),
        LedgerEntry("padding", spent.packing_bits),
    ]
    levels = len(chain.v)
    for t in range(levels, 0, -1) if balance.spent.size else ():
        step = levels - t
        entries.append(
            LedgerEntry(
                "latent",
                float(balance.spent[t]),
                float(balance.ideal[t]),
                step=step,
                v_from=chain.noise(step - 1),
                v_to=chain.noise(step),
                kl_bits=float(balance.kl[t]),
            )
        )
    if balance.spent.size:
        entries.append(LedgerEntry("pixels", float(balance.spent[0]), float(balance.ideal[0])))
    return Ledger("bitsback", written.file_bytes, tuple(entries)).check()


# --- reading ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Contents:
    """What an archive holds, by its heads, and where it is damaged."""

    header: ArchiveHeader
    groups: tuple[Group, ...]
    damage: tuple[Damage, ...]
    file_bytes: int

    @property
    def pictures(self) -> list[Picture]:
        """All pictures in the order of the file."""
        return [picture for group in self.groups for picture in group.pictures]


def contents(file: BinaryIO, check: bool = False) -> Contents:
    """Read the heads of an archive (an open file), and with `check` the checksums of its bodies.

    Raises BitstreamError if it has no readable header; other damage is told in the result.
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
) -> Iterator[tuple[Picture, Pixels | BitstreamError]]:
    """The pictures with these names, or all: pixels (H, W, C) uint8, or what is wrong with them.

    Groups that hold none of them are passed over, and of the others only what lies above is
    decoded. Raises BitstreamError for another network's archive, OptionError for unknown names.
    """
    held = contents(file)
    check_network(codec, held)
    known = {picture.name for picture in held.pictures}
    missing = [name for name in names or () if name not in known]
    if missing:
        raise OptionError(f"the archive holds no picture called {missing[0]}")
    coder = GroupCoder(codec, held.header, clock)
    total = len(names) if names is not None else len(held.pictures)
    done = 0
    within = _within(progress, 0, total)
    for group in held.groups:
        wanted = {i for i, p in enumerate(group.pictures) if names is None or p.name in names}
        if not wanted:
            continue
        pictures: dict[int, Pixels] | BitstreamError
        try:
            shapes = [p.shape for p in group.pictures]
            body = read_body(file, group)
            tell = within(len(wanted))
            pictures = coder.decode(shapes, group.entries, body, wanted, tell)
        except BitstreamError as error:
            pictures = error
        for i in sorted(wanted):
            found = pictures if isinstance(pictures, BitstreamError) else pictures[i]
            yield group.pictures[i], found
        done += len(wanted)
        if progress:
            progress(done, total)


def only_picture(codec: Codec, data: bytes, progress: Progress | None = None) -> Pixels:
    """The first picture of an archive at hand; raises BitstreamError."""
    held = contents(io.BytesIO(data))
    check_network(codec, held)
    if not held.groups:
        raise BitstreamError("there is no picture in the archive")
    group = held.groups[0]
    body = read_body(io.BytesIO(data), group)
    shapes = [p.shape for p in group.pictures]
    return GroupCoder(codec, held.header).decode(shapes, group.entries, body, {0}, progress)[0]


def default_model(sources: Sequence[Source]) -> str:
    """The shipped network for a set: that of its first readable picture."""
    for source in sources:
        with suppress(ImageError, OSError):
            return shipped.default_model(source.read())
    raise OptionError("there is no picture to archive")


def model_of(held: Contents) -> str:
    """The shipped network that an archive names; BitstreamError if there is none such."""
    return shipped.name_of(held.header.fingerprint)


def check_network(codec: Codec, held: Contents) -> None:
    """Raises BitstreamError if an archive was made with another network."""
    if held.header.fingerprint != codec.fingerprint:
        raise BitstreamError(
            f"the archive was made with network {held.header.fingerprint.hex()}, not with "
            f"{codec.name} ({codec.fingerprint.hex()})"
        )
