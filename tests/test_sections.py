"""What stands beside a payload: sections, metadata in them, known profiles, narrowed samples."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffcodec.bitstream import metadata_items, metadata_section
from diffcodec.bitstream.container import pack_varint
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.metadata import LATE, Item, Kind, Metadata
from diffcodec.bitstream.metadata_section import pack_metadata, parse_metadata
from diffcodec.bitstream.narrowing import FEWEST, FULL, RULES, Narrowing, find_narrowing
from diffcodec.bitstream.profiles import FOLDER, known_profile, profile_of
from diffcodec.bitstream.sections import pack_sections, parse_sections
from tests.sound import items

SECTIONS = st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=20)), max_size=4)


@given(SECTIONS)
def test_sections_come_back_and_so_does_every_beginning(sections: list[tuple[int, bytes]]) -> None:
    data = pack_sections(sections)
    for length in range(len(data) + 1):
        block = parse_sections(data[:length], len(data))
        assert not block.damaged
        whole = [(s.kind, s.data) for s in block.sections if s.intact]
        assert whole == sections[: len(whole)]
        assert all(part.intact is None for part in block.sections[len(whole) :])
    assert whole == sections


@given(SECTIONS.filter(bool), st.data())
def test_a_flipped_bit_of_a_block_never_goes_unnoticed(
    sections: list[tuple[int, bytes]], data: st.DataObject
) -> None:
    block = bytearray(pack_sections(sections))
    bit = data.draw(st.integers(0, 8 * len(block) - 1))
    block[bit // 8] ^= 1 << bit % 8
    found = parse_sections(bytes(block), len(block))
    assert found.damaged or any(section.intact is False for section in found.sections)


@given(st.binary(max_size=60), st.integers(0, 100))
def test_a_block_is_taken_apart_whatever_its_bytes(data: bytes, size: int) -> None:
    found = parse_sections(data[:size], size)
    assert sum(len(s.data) + s.head for s in found.sections) <= len(data)


@given(st.lists(items(60), max_size=5))
def test_metadata_comes_back(items: list[Item]) -> None:
    assert parse_metadata(pack_metadata(tuple(items))).items == tuple(items)


def test_metadata_is_deflated_where_that_is_smaller() -> None:
    text = (Item(Kind.XMP, b"<x:xmpmeta>" * 50),)
    assert len(pack_metadata(text)) < 40
    assert pack_metadata((Item(Kind.ORIENTATION, b"\6"),)) == b"\0\2\1\6"


def test_unknown_kinds_are_passed_over_and_counted() -> None:
    data = b"\0" + bytes([77, 2]) + b"ab" + bytes([Kind.XMP, 1]) + b"x" + bytes([0, 1, 250])
    parsed = parse_metadata(data)
    assert parsed.items == (Item(Kind.XMP, b"x"),) and parsed.unknown == 2


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\2abc",
        b"\1abc",
        b"\0" + bytes([Kind.EXIF, 5]) + b"abc",
        b"\0" + bytes([Kind.EXIF, 0xFF]),
        b"\1" + zlib.compress(b"x" * 99)[:-5],
    ],
)
def test_metadata_that_makes_no_sense(data: bytes) -> None:
    with pytest.raises(BitstreamError):
        parse_metadata(data)


def test_no_more_is_inflated_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (metadata_section, metadata_items):
        monkeypatch.setattr(module, "MAX_BYTES", 1000)
    fits: Metadata = (Item(Kind.XMP, bytes(990)),)
    assert parse_metadata(pack_metadata(fits)).items == fits
    with pytest.raises(ValueError, match="limit"):
        pack_metadata((Item(Kind.XMP, bytes(1000)),))
    bomb = b"\1" + zlib.compress(bytes([Kind.XMP]) + pack_varint(10**6) + bytes(10**6))
    with pytest.raises(BitstreamError, match="longer than 1000"):
        parse_metadata(bomb)


def test_early_items_are_those_that_show_the_image() -> None:
    early = {kind for kind in Kind if Item(kind, b"").early}
    assert early == {kind for kind in Kind if kind < LATE} and Kind.ICC in early
    assert not Item(Kind.EXIF, b"").early


# --- profiles -----------------------------------------------------------------------------------

PROFILES = (FOLDER / "index.txt").read_text().split()


@pytest.mark.parametrize("number", range(len(PROFILES)))
def test_a_known_profile_takes_a_byte(number: int) -> None:
    profile = (FOLDER / PROFILES[number]).read_bytes()
    assert known_profile(profile) == bytes([number])
    assert profile_of(bytes([number])) == profile
    assert len(pack_metadata((Item(Kind.ICC, profile),))) == 4
    dated = bytearray(profile)
    dated[24:36] = range(12)
    known = known_profile(bytes(dated))
    assert known is not None and len(known) == 14 and profile_of(known) == bytes(dated)


def test_other_profiles_are_kept_as_they_are() -> None:
    profile = bytearray((FOLDER / PROFILES[0]).read_bytes())
    profile[-1] ^= 1
    for other in (bytes(profile), b"", b"\0", b"icc" * 10):
        assert known_profile(other) is None
        assert parse_metadata(pack_metadata((Item(Kind.ICC, other),))).items[0].data == other


# --- samples of 16 bits that come from fewer ----------------------------------------------------


@pytest.mark.parametrize("rule", range(len(RULES)))
@pytest.mark.parametrize("bits", range(FEWEST, FULL))
def test_narrowed_samples_come_back(bits: int, rule: int) -> None:
    narrowing = Narrowing(bits, rule)
    assert Narrowing.of(narrowing.byte) == narrowing
    values = np.arange(1 << bits).astype(np.uint8 if bits == 8 else np.uint16)[None]
    wide = narrowing.widen(values)
    assert wide.dtype == np.uint16 and (np.diff(wide.astype(int)) > 0).all()
    np.testing.assert_array_equal(narrowing.narrow(wide), values)
    found = find_narrowing(wide)
    assert found is not None and found.bits == bits and found.fits(wide)
    if rule != RULES.index("shifted"):
        assert wide.max() == 65535 and wide.min() == 0


def test_the_common_case_is_257() -> None:
    values = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(Narrowing(8, 0).widen(values), 257 * values.astype(np.uint16))


def test_samples_that_need_all_bits_are_not_narrowed() -> None:
    samples = np.zeros(100_000, np.uint16)
    samples[77_777] = 1  # not among those that are looked at first
    assert find_narrowing(samples) is None
    assert find_narrowing(np.zeros(9, np.uint16)) == Narrowing(8, 0)


@pytest.mark.parametrize("byte", [0, 7, 16, 48 + 8, 255])
def test_unknown_narrowings_are_refused(byte: int) -> None:
    with pytest.raises(BitstreamError, match="narrowed"):
        Narrowing.of(byte)
