"""Archives of all that pictures have: alpha, 16 bits, metadata, times, permissions, any name."""

from __future__ import annotations

import io
import json
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffcodec.archive import archive as archives
from diffcodec.archive import plain
from diffcodec.archive.archive import make_header, write_archive
from diffcodec.archive.contents import contents
from diffcodec.archive.reading import Extracted, extract_pictures
from diffcodec.archive.source import Source
from diffcodec.bitstream.archive import Group, read_groups
from diffcodec.bitstream.archive_header import AdaptiveEnd, ArchiveHeader, read_header
from diffcodec.bitstream.archive_metadata import pack_metadata, parse_metadata
from diffcodec.bitstream.directory import ImageInfo, is_safe, pack_directory, parse_directory
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.metadata import Item, Kind
from diffcodec.bitstream.types import Pixels
from diffcodec.codec import Codec
from diffcodec.errors import ImageError, OptionError
from diffcodec.golden import FOLDER, NETWORK
from diffcodec.image import Picture, save
from tests.damaged_header import assert_damage_is_noticed
from tests.gaussian import gaussian_image
from tests.mixed_archive import CODEC, compiled
from tests.sound import items
from tests.synthetic import synthetic_image

EXIF = Item(Kind.EXIF, b"MM\0*" + bytes(range(200)))
TURNED = Item(Kind.ORIENTATION, b"\x06")


def pixels(channels: int, depth: int, seed: int = 1) -> Pixels:
    """(9, 7, C)"""
    image = synthetic_image(9, 7, 3, seed)
    image = np.concatenate([image, image[::-1]], axis=2)[..., :channels]
    return image if depth == 8 else image * np.uint16(200) + np.uint16(seed)


def pictures() -> list[Source]:
    """One of each format, and of each thing that may be known of an image."""
    some = [
        Source(f"{channels}-{depth}.png", pixels(channels, depth))
        for channels in (1, 2, 3, 4)
        for depth in (8, 16)
    ]
    opaque = pixels(4, 8)
    opaque[..., 3] = 255
    some.append(Source("opaque.png", opaque, modified=1_700_000_000_123_456_789, mode=0o640))
    some.append(Source("turned.jpg", Picture(pixels(3, 8, 2), (TURNED, EXIF)), modified=-5))
    some.append(Source("two\nlines\\and \udcff.png", Picture(pixels(3, 8, 3), (EXIF,)), mode=0o600))
    return some


def write(target: Any, some: list[Source], network: Any = "never", **options: Any) -> Any:
    header = make_header(CODEC, "6", network=network)
    return write_archive(CODEC, some, target, header, **options)


def read(data: bytes, names: list[str] | None = None) -> list[Extracted]:
    return list(extract_pictures(CODEC, io.BytesIO(data), names))


def check(data: bytes, some: list[Source]) -> None:
    found = {extracted.image.name: extracted for extracted in read(data)}
    assert sorted(found) == sorted(source.name for source in some)
    for source in some:
        got, picture = found[source.name], source.picture()
        assert isinstance(got.found, np.ndarray) and got.found.dtype == picture.pixels.dtype
        assert np.array_equal(got.found, picture.pixels)
        assert got.metadata == picture.metadata
        assert (got.image.modified, got.image.mode) == (source.modified, source.mode)


@compiled
class TestRoundTrip:
    def test_all_that_pictures_have(self, tmp_path: Path) -> None:
        stream = io.BytesIO()
        written = write(stream, pictures())
        data = stream.getvalue()
        assert data[4] == 4 and len(data) == written.file_bytes
        check(data, pictures())
        held = contents(io.BytesIO(data), check=True)
        assert not held.damage and not held.needs_network()

    def test_the_network_gets_what_it_can_code(self, tmp_path: Path) -> None:
        some = [Source(f"{i}.png", Picture(gaussian_image(i), (EXIF,))) for i in range(4)]
        some += [Source("alpha.png", pixels(4, 8)), Source("deep.png", pixels(3, 16))]
        for network, others in (("always", set()), ("auto", None)):
            write(tmp_path / "a.dfa", some, network)
            data = (tmp_path / "a.dfa").read_bytes()
            check(data, some)
            held = contents(io.BytesIO(data))
            plain_ones = set(held.plain_bytes)
            assert {"alpha.png", "deep.png"} <= plain_ones
            assert others is None or plain_ones == {"alpha.png", "deep.png"}
            assert held.header.plain == (network == "auto") and held.needs_network()

    def test_what_needs_nothing_new_is_written_as_before(self, tmp_path: Path) -> None:
        write(tmp_path / "a.dfa", [Source("a.png", pixels(3, 8))])
        assert (tmp_path / "a.dfa").read_bytes()[4] == 2

    @pytest.mark.parametrize("change", [{"modified": 0}, {"mode": 0o644}, {"name": "a\n.png"}])
    def test_what_each_thing_takes(self, tmp_path: Path, change: dict[str, Any]) -> None:
        some = [replace(Source("a.png", pixels(3, 8)), **change)]
        write(tmp_path / "a.dfa", some)
        data = (tmp_path / "a.dfa").read_bytes()
        assert data[4] == 4
        check(data, some)

    def test_paths_may_be_text(self, tmp_path: Path) -> None:
        image, target = str(tmp_path / "a.png"), str(tmp_path / "a.dfa")
        save(pixels(4, 16), image)
        write(target, [Source("a.png", image)])
        check(Path(target).read_bytes(), [Source("a.png", pixels(4, 16))])

    def test_opaque_alpha_takes_no_bytes_of_its_own(self) -> None:
        image = pixels(4, 8)
        image[..., 3] = 255
        colours = plain.encode(image[..., :3].copy()).bits
        assert plain.encode(image).bits <= colours + 16
        deep = image * np.uint16(257)
        assert plain.encode(deep).bits <= colours + 32  # 8 bits in 16

    def test_equal_metadata_are_there_once(self, tmp_path: Path) -> None:
        profile = Item(Kind.ICC, np.random.default_rng(1).bytes(3000))
        sizes = []
        for n in (1, 8):
            some = [Source(f"{i}", Picture(pixels(3, 8, i), (profile,))) for i in range(n)]
            sizes.append(write(tmp_path / "a.dfa", some).spent.metadata_bits / 8)
            check((tmp_path / "a.dfa").read_bytes(), some)
        assert 3000 < sizes[0] < sizes[1] < 3100

    def test_resuming(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(archives, "GROUP_VALUES", 300)
        some, target = pictures(), tmp_path / "a.dfa"
        whole = write(tmp_path / "whole.dfa", some)
        data = (tmp_path / "whole.dfa").read_bytes()
        part = tmp_path / ".a.dfa.part"
        part.write_bytes(data[:-60])
        assert write(target, some, resume=True).resumed == whole.groups - 1
        assert target.read_bytes() == data
        for i, change in ((9, {"path": Picture(pixels(3, 8, 2), (TURNED,))}), (8, {"mode": 0o777})):
            part.write_bytes(data)
            changed = [replace(s, **change) if n == i else s for n, s in enumerate(some)]
            assert write(target, changed, resume=True).resumed < whole.groups
            check(target.read_bytes(), changed)

    def test_large_metadata_make_groups_of_their_own(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(archives, "GROUP_METADATA", 250)
        some = [Source(f"{i}", Picture(pixels(3, 8, i), (EXIF,))) for i in range(3)]
        assert write(tmp_path / "a.dfa", some).groups == 3


class TestSets:
    def test_what_is_lost_is_told_or_refused(self, tmp_path: Path) -> None:
        some = [
            Source("a", Picture(pixels(3, 8), (), ("its thumbnail",))),
            Source("b", pixels(1, 8)),
        ]
        assert write(tmp_path / "a.dfa", some).lost == [("a", ("its thumbnail",))]
        written = write(tmp_path / "a.dfa", some, strict=True)
        assert [name for name, _ in written.skipped] == ["a"]
        with pytest.raises(ImageError, match="a: its thumbnail cannot be kept"):
            write(tmp_path / "a.dfa", some, strict=True, stop_on_error=True)

    @pytest.mark.parametrize("name", ["../a", "/a", "a//b", "\udcc3\udca4", "\ud800", "a\0"])
    def test_names_that_none_may_have(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(OptionError, match="leads elsewhere"):
            write(tmp_path / "a.dfa", [Source(name, pixels(3, 8))])
        assert not list(tmp_path.iterdir())


@compiled
class TestDamage:
    def test_metadata_cost_metadata_only(self) -> None:
        stream = io.BytesIO()
        write(stream, pictures())
        group = contents(stream).groups[0]
        data = bytearray(stream.getvalue())
        data[group.metadata_at + 9] ^= 4
        (damage,) = contents(io.BytesIO(data), check=True).damage
        assert damage.offset == group.metadata_at and "metadata" in damage.reason
        for extracted in read(bytes(data)):
            assert isinstance(extracted.found, np.ndarray)
            assert isinstance(extracted.metadata, BitstreamError)

    def test_every_byte(self) -> None:
        stream = io.BytesIO()
        write(stream, pictures())
        data = stream.getvalue()
        for at in range(0, len(data), 11):
            wrong = bytearray(data)
            wrong[at] ^= 0x51
            try:
                held = contents(io.BytesIO(wrong), check=True)
            except BitstreamError:
                assert at < 30
                continue
            assert held.damage
            read(bytes(wrong))

    def test_junk_after_the_end_is_damage(self) -> None:
        stream = io.BytesIO()
        write(stream, pictures())
        data = stream.getvalue() + b"junk"
        (damage,) = contents(io.BytesIO(data), check=True).damage
        assert damage.offset == len(data) - 4 and "4 bytes follow" in damage.reason
        assert not contents(io.BytesIO(data)).damage

    def test_a_network_is_asked_for_no_alpha(self) -> None:
        from diffcodec.bitstream.archive import pack_group

        data = pack_group([ImageInfo("a", 1, 1, 4)], [], b"", {}, b"")
        (found,) = read_groups(io.BytesIO(data), True, True)
        assert not isinstance(found, Group) and "none codes" in found.reason


# --- heads --------------------------------------------------------------------------------------

names = st.text(min_size=1, max_size=12).filter(is_safe)
infos = st.builds(
    ImageInfo,
    names,
    st.integers(1, 99),
    st.integers(1, 99),
    st.integers(1, 4),
    st.sampled_from([8, 16]),
    st.none() | st.integers(-(2**63), 2**63 - 1),
    st.none() | st.integers(0, 0o777),
)
numbers = st.none() | st.integers() | st.floats() | st.text(max_size=3) | st.booleans()
nonsense = st.recursive(numbers, lambda inner: st.lists(inner, max_size=5), max_leaves=20)


class TestDirectory:
    @given(st.lists(infos, max_size=6))
    @settings(max_examples=60, deadline=None)
    def test_what_is_packed_is_read(self, images: list[ImageInfo]) -> None:
        assert parse_directory(pack_directory(images, rich=True), rich=True) == tuple(images)

    @given(nonsense, nonsense, nonsense, nonsense)
    @settings(max_examples=150, deadline=None)
    def test_any_lists(self, shapes: Any, some: Any, times: Any, modes: Any) -> None:
        text = json.dumps([shapes, some, times, modes])
        self.parse(text)

    @pytest.mark.parametrize(
        "shapes",
        ["[1,1,3,1000000000],[1,1,3,-999999999]", "[1,1,3,1e9]", "[1,1,5,1]", "[1,1,21,1]"],
    )
    @pytest.mark.parametrize("rich", [False, True])
    def test_hostile_shapes(self, shapes: str, rich: bool) -> None:
        more = ",[null],[[null,1]]]" if rich else "]"
        with pytest.raises(BitstreamError):
            parse_directory(zlib.compress(f'[[{shapes}],["a"]{more}'.encode()), rich)

    @pytest.mark.parametrize(
        "times,modes",
        [
            ("[9223372036854775808]", "[[420,1]]"),
            ("[1e300]", "[[420,1]]"),
            ("[" + "9" * 5000 + "]", "[[420,1]]"),
            ("[0]", '[["rwx",1]]'),
            ("[0]", "[[420,1000000000]]"),
            ("[0,0]", "[[420,1]]"),
            ("[]", "[]"),
        ],
    )
    def test_hostile_times_and_modes(self, times: str, modes: str) -> None:
        with pytest.raises(BitstreamError):
            parse_directory(zlib.compress(f'[[[1,1,3,1]],["a"],{times},{modes}]'.encode()), True)

    def test_setuid_and_its_like_are_left_out(self) -> None:
        (image,) = parse_directory(zlib.compress(b'[[[1,1,3,1]],["a"],[0],[[4095,1]]]'), True)
        assert image.mode == 0o777

    def parse(self, text: str) -> None:
        for rich in (False, True):
            try:
                images = parse_directory(zlib.compress(text.encode()), rich)
            except BitstreamError as error:
                assert str(error).count("\n") == 0
            else:
                assert all(is_safe(image.name) for image in images)


class TestHeader:
    @pytest.mark.parametrize("plain", [False, True])
    @pytest.mark.parametrize("end", [None, AdaptiveEnd(2, 90, 40)])
    def test_what_is_packed_is_read(self, plain: bool, end: AdaptiveEnd | None) -> None:
        header = ArchiveHeader(b"12345678", "own", 100, 2, 128, plain, end, True)
        data = header.pack()
        file = io.BytesIO(data + b"rest")
        assert read_header(file) == header and file.read() == b"rest" and header.version == 4
        assert_damage_is_noticed(data)


# --- metadata -----------------------------------------------------------------------------------

owned = st.lists(items(9), max_size=4, unique=True).map(
    lambda some: tuple(sorted(some, key=lambda item: item.kind))
)


class TestMetadata:
    @given(st.lists(owned, min_size=1, max_size=6))
    @settings(max_examples=60, deadline=None)
    def test_what_is_packed_is_read(self, metadata: list[Any]) -> None:
        data = pack_metadata(metadata)
        assert data or not any(metadata)
        if data:
            assert parse_metadata(data, len(metadata)) == metadata

    @given(st.binary(max_size=40))
    @settings(max_examples=150, deadline=None)
    def test_any_bytes(self, text: bytes) -> None:
        for data in (text, zlib.compress(text), zlib.compress(text) + b"1"):
            try:
                assert len(parse_metadata(data, 3)) == 3
            except BitstreamError as error:
                assert "metadata" in str(error)

    def test_known_profiles_take_a_byte(self) -> None:
        from diffcodec.bitstream.profiles import profile_of

        profile = profile_of(b"\0")
        assert profile is not None and len(profile) > 100
        data = pack_metadata([(Item(Kind.ICC, profile),)])
        assert len(data) < 20 and parse_metadata(data, 1) == [(Item(Kind.ICC, profile),)]


@compiled
def test_an_archive_that_was_made_when_the_version_was_new() -> None:
    codec = Codec.from_pretrained(NETWORK, threads=1)
    file = io.BytesIO((FOLDER / "rich.dfa").read_bytes())
    for extracted in extract_pictures(codec, file):
        image = extracted.image
        channels, depth = image.channels, image.depth
        assert image.name == f"{channels} channels\n{depth} bits"
        assert (image.modified, image.mode) == (channels * 10**18 + depth, 0o600 + channels)
        items = (Item(Kind.ORIENTATION, bytes([channels])), Item(Kind.EXIF, b"MM\0*golden"))
        assert extracted.metadata == items[: channels - 1]
