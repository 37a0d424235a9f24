"""Readers of what came last to the formats, from FORMAT.md and FORMAT-archive.md alone.

Nothing of the package is used to read; what it reads must be the same.
"""

from __future__ import annotations

import json
import re
import zlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from diffcodec.accounting.trace import Clock
from diffcodec.api import metadata_of
from diffcodec.archive.contents import contents
from diffcodec.archive.reading import metadata_of as metadata_in
from diffcodec.bitstream.container import parse_header
from diffcodec.codec import Codec
from diffcodec.golden import FOLDER, NETWORK
from diffcodec.progressive.steps import Walk, follow

ICC = Path(__file__).parent.parent / "bitstream" / "icc"


def crc32(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(4, "little")


@dataclass
class Reader:
    data: bytes
    at: int = 0

    def take(self, size: int) -> bytes:
        assert self.at + size <= len(self.data)
        self.at += size
        return self.data[self.at - size : self.at]

    def byte(self) -> int:
        return self.take(1)[0]

    def varint(self) -> int:
        number = shift = 0
        while (byte := self.byte()) >= 128:
            number |= (byte - 128) << shift
            shift += 7
        return number | byte << shift

    @property
    def left(self) -> int:
        return len(self.data) - self.at


def item(reader: Reader) -> tuple[int, bytes]:
    """Section 7: kind and data; a profile by its number is one of kind 1."""
    kind, data = reader.byte(), reader.take(reader.varint())
    if kind != 0:
        return kind, data
    name = (ICC / "index.txt").read_text("ascii").splitlines()[data[0]]
    profile = bytearray((ICC / name).read_bytes())
    if len(data) > 1:
        profile[24:36], profile[67] = data[1:13], data[13]
    return 1, bytes(profile)


# --- FORMAT.md, sections 1 and 7 ------------------------------------------------------------------


@dataclass
class Dfc:
    """What a file of version 3 says before and after its payload."""

    alpha: bool = False
    opaque: bool = False
    deep: bool = False
    narrowing: int | None = None
    promised: bool = False
    label: int | None = None
    numbers: list[int] = field(default_factory=list)  # W, H, K, seed
    total: int | None = None
    sections: dict[tuple[str, int], bytes] = field(default_factory=dict)
    items: list[tuple[int, bytes]] = field(default_factory=list)


def read_dfc(data: bytes) -> Dfc:
    reader, found = Reader(data), Dfc()
    assert reader.take(4) == bytes.fromhex("89646663") and reader.byte() == 3
    flags, more = reader.byte(), reader.byte()
    found.deep, found.alpha, found.opaque = bool(more & 1), bool(more & 2), bool(more & 4)
    if more & 32:
        found.narrowing = reader.byte()
    network = reader.byte() if more & 64 else 0
    assert 0 < network < 4 if more & 64 else not more & 128
    found.promised = bool(network & 1)
    if network & 2:
        found.label = reader.varint()
    reader.take(8)
    found.numbers = [reader.varint() for _ in range(4)]
    if flags & 64:
        found.total = reader.varint()
    front = reader.varint() if more & 8 else 0
    back = reader.varint() if more & 16 else 0
    checked = reader.at
    assert reader.take(2) == crc32(data[:checked])[:2]
    blocks = [("front", reader.take(front))]
    if back:
        assert found.total == len(data)
        blocks.append(("back", data[-back:]))
    for name, block in blocks:
        for kind, content in read_sections(block):
            found.sections[name, kind] = content
            if kind == 1:
                found.items += read_items(content)
    return found


def read_sections(block: bytes) -> list[tuple[int, bytes]]:
    reader, found = Reader(block), []
    while reader.left:
        start = reader.at
        kind, content = reader.byte(), reader.take(reader.varint())
        end = reader.at
        assert reader.take(4) == crc32(block[start:end])
        found.append((kind, content))
    return found


def read_items(content: bytes) -> list[tuple[int, bytes]]:
    inner = Reader(zlib.decompress(content[1:]) if content[0] else content[1:])
    found = []
    while inner.left:
        found.append(item(inner))
    return found


def widened(sample: int, narrowing: int) -> int:
    """Section 8."""
    rule, b = divmod(narrowing, 16)
    t = 2**b - 1
    return (
        (2 * 65535 * sample + t) // (2 * t),
        sample * 2 ** (16 - b),
        sample * 2 ** (16 - b) + sample // 2 ** (2 * b - 16),
    )[rule]


@pytest.mark.parametrize("name", ["deep", "alpha", "narrow", "metadata", "promised"])
def test_a_dfc_file_of_version_3(name: str) -> None:
    data = (FOLDER / f"{name}.dfc").read_bytes()
    found, (header, _) = read_dfc(data), parse_header(data)
    assert found.numbers == [header.width, header.height, header.nodes, header.seed]
    assert found.total == header.total_bytes == len(data)
    assert (found.alpha, found.opaque) == (header.format.alpha, header.opaque)
    assert found.deep == (header.format.depth == 16)
    assert (found.promised, found.label) == (name == "promised", None)
    assert ("front", 2) in found.sections or found.opaque or not found.alpha
    assert found.items == [(int(kind), content) for kind, content in metadata_of(data)]
    if header.narrowing is None:
        assert found.narrowing is None
    else:
        some = [0, 1, 100, 2**header.narrowing.bits - 1]
        assert found.narrowing is not None
        wide = header.narrowing.widen(np.array(some, "<u2"))
        assert [widened(k, found.narrowing) for k in some] == wide.tolist()


def test_a_class_in_a_header() -> None:
    header, _ = parse_header((FOLDER / "promised.dfc").read_bytes())
    for promised, label in ((True, 300), (False, 0), (False, 2**32 - 1)):
        change = replace(header, promised=promised, label=label, total_bytes=None)
        found = read_dfc(change.pack())
        assert (found.promised, found.label) == (promised, label)
        assert found.numbers == [header.width, header.height, header.nodes, header.seed]


def test_the_states_checksum() -> None:
    """Section 5: it stands behind the two bytes that say how pixels are coded: of m and u."""
    codec, data = Codec.from_pretrained(NETWORK, threads=1), (FOLDER / "promised.dfc").read_bytes()
    file = codec.open(data)
    walk = Walk(codec.shared(file.header, file.chain, Clock()))
    for _ in follow(file.payload.steps, walk):
        pass
    x0_hat, y = walk.x0_hat.astype(float), walk.state.y.astype(float)
    m, u = np.rint(32 * 127.5 * (x0_hat + 1)), np.rint(32 * 127.5 * (y.clip(-3, 3) + 1))
    stated = crc32(m.astype("<i4").tobytes() + u.astype("<i4").tobytes())
    at = data.index(stated)
    assert data[at - 2] == 253 and data[at - 1] <= 2
    assert at > file.start + file.payload.steps[-1].bytes_end


# --- FORMAT-archive.md, sections 1 and 6 ----------------------------------------------------------


@dataclass
class Image:
    name: str
    shape: tuple[int, int, int]
    depth: int
    time: int | None
    mode: int | None
    plain: bool = False
    items: list[tuple[int, bytes]] = field(default_factory=list)


def read_dfa(data: bytes) -> list[Image]:
    """All images that an archive of version 4 lists."""
    reader = Reader(data)
    assert reader.take(4) == bytes.fromhex("89646661") and reader.byte() == 4
    reader.take(1 + 1 + 8)  # chain, bins, fingerprint
    reader.varint(), reader.varint()  # levels, side of the tiles
    flags = reader.byte()
    if flags & 2:
        reader.byte(), reader.varint(), reader.varint()
    checked = reader.at
    assert reader.take(2) == crc32(data[:checked])[:2]
    images, groups = list[Image](), 0
    while (mark := reader.take(4)) == bytes.fromhex("89646667"):
        images += read_group(reader, guarded=bool(flags & 4))
        groups += 1
    assert mark == bytes.fromhex("89646665")
    start = reader.at - 4
    assert [reader.varint(), reader.varint()] == [groups, len(images)]
    assert reader.take(4) == crc32(data[start : reader.at - 4]) and not reader.left
    return images


def read_group(reader: Reader, *, guarded: bool) -> list[Image]:
    """From behind its mark on."""
    start = reader.at - 4
    head_bytes, stack_bytes = reader.varint(), reader.varint()
    head = Reader(reader.take(head_bytes))
    end = reader.at
    assert reader.take(4) == crc32(reader.data[start:end])
    images = read_directory(head.take(head.varint()))
    sizes, place, plain = [], -1, list[Image]()
    for _ in range(head.varint()):
        place += head.varint() + 1
        images[place].plain = True
        plain.append(images[place])
        sizes.append(head.varint())
    metadata_bytes = head.varint()
    while head.left:
        tiles = head.varint()
        head.take(4)
        if not tiles:
            head.varint()
    stack = reader.take(stack_bytes)
    assert reader.take(4) == crc32(stack)
    for image, size in zip(plain, sizes, strict=True):
        part = Reader(reader.take(size))
        if image.depth == 16 and guarded:
            check_guards(part, alpha=image.shape[2] in (2, 4))
    if metadata_bytes:
        read_metadata(reader.take(metadata_bytes), images)
    return images


def check_guards(part: Reader, *, alpha: bool) -> None:
    """Section 5: what stands behind the byte that says how 16 bits were narrowed."""
    colours = part.varint() if alpha else part.left
    for code in (part.take(colours), part.take(part.left)):
        assert not code or code[0] + code[1] == 255


def read_directory(packed: bytes) -> list[Image]:
    shapes, names, times, modes = json.loads(zlib.decompress(packed))
    kinds = runs(shapes)
    permissions = [mode for (mode,) in runs(modes)]
    images, before, time = list[Image](), "", 0
    for name, (height, width, kind), difference, mode in zip(
        names, kinds, times, permissions, strict=True
    ):
        before = name or counted_up(before)
        time += difference or 0
        depth = 16 if kind > 16 else 8
        shape = height, width, kind - 16 if depth == 16 else kind
        known = None if difference is None else time
        images.append(Image(before, shape, depth, known, None if mode is None else mode & 0o777))
    return images


def runs(rows: list[list[Any]]) -> list[list[Any]]:
    return [row for *row, count in rows for _ in range(count)]


def counted_up(name: str) -> str:
    start, digits, end = re.fullmatch(r"(?s)(.*?)([0-9]+)([^0-9]*)", name).groups()  # type: ignore[union-attr]
    return f"{start}{int(digits) + 1:0{len(digits)}}{end}"


def read_metadata(part: bytes, images: list[Image]) -> None:
    packed = part[:-4]
    assert part[-4:] == crc32(packed)
    reader = Reader(zlib.decompress(packed))
    items = [item(reader) for _ in range(reader.varint())]
    assert items == sorted(items, key=lambda one: one[0])
    place = -1
    while reader.left:
        place += reader.varint() + 1
        images[place].items = [items[reader.varint()] for _ in range(reader.varint())]


@pytest.mark.parametrize("name", ["rich", "guarded"])
def test_a_dfa_file_of_version_4(name: str) -> None:
    path = FOLDER / f"{name}.dfa"
    found = read_dfa(path.read_bytes())
    with open(path, "rb") as file:
        held = contents(file)
        carried = [one for group in held.groups for one in metadata_in(file, group)]
    assert len(found) == {"rich": 8, "guarded": 4}[name]
    assert any(image.items for image in found) == (name == "rich")
    for image, info, metadata in zip(found, held.images, carried, strict=True):
        assert (image.name, image.shape, image.depth) == (info.name, info.shape, info.depth)
        assert (image.time, image.mode) == (info.modified, info.mode)
        assert image.plain == (info.name in held.plain_bytes)
        assert image.items == [(int(kind), content) for kind, content in metadata or ()]


def test_names_counted_up() -> None:
    assert counted_up("a/b 09.png") == "a/b 10.png" and counted_up("9") == "10"
