"""The header: what is written is read, and nothing hostile gets through."""

from __future__ import annotations

import dataclasses
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffcodec.bitstream.butterfly import BUTTERFLY
from diffcodec.bitstream.container import (
    ALPHA,
    BACK,
    CHAINS,
    DEEP,
    EXTENDED,
    FRONT,
    MAX_LABEL,
    MAX_PIXELS,
    NARROW,
    NETWORK,
    OPAQUE,
    PLAIN,
    Header,
    crc16,
    pack_varint,
    parse_header,
    parse_varint,
)
from diffcodec.bitstream.errors import BitstreamError, IncompleteHeader
from diffcodec.bitstream.narrowing import Narrowing
from diffcodec.bitstream.sample_format import RGB8, SAMPLE_FORMATS, SampleFormat
from diffcodec.bitstream.step_codes import STEP_CODES, STEP_CODES_OF_VERSION_1, StepCode
from diffcodec.bitstream.trellis import Trellis

headers = st.builds(
    Header,
    width=st.integers(1, 8192),
    height=st.integers(1, 8192),
    format=st.sampled_from(SAMPLE_FORMATS),
    fingerprint=st.binary(min_size=8, max_size=8),
    code=st.sampled_from(STEP_CODES_OF_VERSION_1),
    chain=st.sampled_from(CHAINS),
    nodes=st.integers(0, 1000),
    seed=st.integers(0, 2**32 - 1),
    total_bytes=st.none() | st.integers(64, 2**30),
    version=st.sampled_from((1, PLAIN)),
)


@st.composite
def extended(draw: st.DrawFn) -> Header:
    """A header of version 3."""
    header = draw(headers)
    format = SampleFormat(draw(st.integers(1, 4)), draw(st.sampled_from((8, 16))))
    narrowed = st.builds(Narrowing, st.integers(8, 15), st.integers(0, 2))
    return dataclasses.replace(
        header,
        version=EXTENDED,
        format=format,
        narrowing=draw(st.none() | narrowed) if format.depth == 16 else None,
        opaque=format.alpha and draw(st.booleans()),
        front=draw(st.integers(0, 2**30)),
        back=0 if header.total_bytes is None else draw(st.integers(0, 2**30)),
        promised=draw(st.booleans()),
        label=draw(st.none() | st.integers(0, MAX_LABEL)),
        total_bytes=None if header.total_bytes is None else header.total_bytes + 2**31,
    )


SMALL = Header(32, 32, RGB8, bytes(8), Trellis(14), "own", 25, 0, 1500)


@given(headers, st.sampled_from(STEP_CODES))
def test_round_trip(header: Header, code: StepCode) -> None:
    for own in (header, dataclasses.replace(header, code=code, version=PLAIN)):
        data = own.pack()
        assert parse_header(data + bytes(3)) == (own, len(data))


@given(extended(), st.sampled_from(STEP_CODES))
def test_round_trip_of_version_3(header: Header, code: StepCode) -> None:
    own = dataclasses.replace(header, code=code)
    data = own.pack()
    assert parse_header(data + bytes(3)) == (own, len(data))
    assert own.coded.channels in (1, 3) and own.dims % own.coded.channels == 0


def test_what_version_2_cannot_say_is_not_written_as_such() -> None:
    changes = ({"format": SampleFormat(4, 8)}, {"front": 9}, {"back": 9})
    for change in (*changes, {"promised": True}, {"label": 0}):
        header = dataclasses.replace(SMALL, **change)  # type: ignore[arg-type]
        assert header.extended and not SMALL.extended
        with pytest.raises(AssertionError):
            header.pack()


@pytest.mark.parametrize(
    "more", [NETWORK, 0x80, OPAQUE, NARROW, FRONT, BACK, ALPHA | OPAQUE | NARROW, DEEP | OPAQUE]
)
def test_flags_of_version_3_that_do_not_go_together(more: int) -> None:
    plain = dataclasses.replace(SMALL, version=EXTENDED).pack()[:-2]
    narrowing = bytes([8]) if more & NARROW else b""
    nothing = bytes(bool(more & NETWORK))  # a byte on the network that says nothing
    body = plain[:6] + bytes([more]) + narrowing + nothing + plain[7:]
    body += bytes(bool(more & FRONT) + bool(more & BACK))  # lengths of 0
    with pytest.raises(BitstreamError, match="does not know"):
        parse_header(body + crc16(body))


@pytest.mark.parametrize("network", [b"\x00", b"\x04", b"\x80", b"\x02" + pack_varint(1 << 32)])
def test_bytes_on_the_network_that_are_not_known(network: bytes) -> None:
    plain = dataclasses.replace(SMALL, version=EXTENDED).pack()[:-2]
    body = plain[:6] + bytes([NETWORK]) + network + plain[7:]
    with pytest.raises(BitstreamError, match=r"does not know|does not end"):
        parse_header(body + crc16(body))


def test_a_promise_takes_one_byte_and_a_class_its_number() -> None:
    plain = dataclasses.replace(SMALL, version=EXTENDED).pack()
    for change, network in (
        ({"promised": True}, b"\x01"),
        ({"label": 7}, b"\x02\x07"),
        ({"promised": True, "label": 300}, b"\x03\xac\x02"),
    ):
        data = dataclasses.replace(SMALL, version=EXTENDED, **change).pack()  # type: ignore[arg-type]
        assert data[:-2] == plain[:6] + bytes([NETWORK]) + network + plain[7:-2]


def test_a_back_block_needs_a_lossless_end() -> None:
    odd = dataclasses.replace(SMALL, version=EXTENDED, back=7, total_bytes=None)
    with pytest.raises(BitstreamError, match="does not know"):
        parse_header(odd.pack())
    long = dataclasses.replace(SMALL, version=EXTENDED, front=1000, back=600)
    with pytest.raises(BitstreamError, match="length"):
        parse_header(long.pack())


def test_small_image_needs_at_most_32_bytes() -> None:
    assert len(SMALL.pack()) <= 24
    assert len(dataclasses.replace(SMALL, width=4000, height=3000, total_bytes=10**7).pack()) <= 32


@given(headers | extended())
def test_every_prefix_is_incomplete(header: Header) -> None:
    data = header.pack()
    for length in range(1, len(data)):
        with pytest.raises(IncompleteHeader):
            parse_header(data[:length])


@given(headers | extended(), st.data())
def test_every_flipped_bit_is_noticed(header: Header, data: st.DataObject) -> None:
    packed = bytearray(header.pack())
    bit = data.draw(st.integers(0, 8 * len(packed) - 1))
    packed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(BitstreamError):
        parse_header(bytes(packed))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"width": 2**20, "height": 2**20}, "limits"),
        ({"width": 0}, "limits"),
        ({"nodes": 1001}, "limits"),
        ({"seed": 2**32}, "does not know"),
        ({"total_bytes": 3}, "length"),
    ],
)
def test_hostile_claims_are_refused(change: dict[str, int], words: str) -> None:
    with pytest.raises(BitstreamError, match=words):
        parse_header(dataclasses.replace(SMALL, **change).pack())  # type: ignore[arg-type]


def test_unknown_flags_and_versions_are_refused() -> None:
    flags = SMALL.pack()[5]
    first, butterfly = 1, STEP_CODES.index(Trellis(8, BUTTERFLY))
    for at, value, version in (
        (5, flags | 0x8E, PLAIN),
        (5, flags | 0x30, PLAIN),
        (5, flags & ~0x0E | butterfly << 1, first),
    ):
        body = bytearray(SMALL.pack()[:-2])
        body[4], body[at] = version, value
        with pytest.raises(BitstreamError, match="does not know"):
            parse_header(bytes(body) + crc16(bytes(body)))
    with pytest.raises(BitstreamError, match="version 4; this diffcodec reads versions 1 to 3"):
        parse_header(b"\x89dfc\x04" + bytes(40))


def test_what_is_not_a_file_of_ours() -> None:
    with pytest.raises(BitstreamError, match="empty"):
        parse_header(b"")
    with pytest.raises(BitstreamError, match=r"not a \.dfc"):
        parse_header(b"\x89PNG\r\n\x1a\n" + bytes(40))


def test_longer_than_it_states_is_damaged() -> None:
    with pytest.raises(BitstreamError, match="1501 bytes and states 1500"):
        parse_header(SMALL.pack() + bytes(1501 - len(SMALL.pack())))


def test_limit_is_on_pixels() -> None:
    assert MAX_PIXELS >= 24_000_000
    wide = dataclasses.replace(SMALL, width=MAX_PIXELS, height=1)
    assert parse_header(wide.pack())[0] == wide


@given(st.integers(0, 2**42 - 1))
def test_varint(number: int) -> None:
    packed = pack_varint(number)
    assert parse_varint(packed + b"x", 0) == (number, len(packed))


def test_crc_is_the_low_half_of_crc32() -> None:
    assert crc16(b"abc") == (zlib.crc32(b"abc") & 0xFFFF).to_bytes(2, "little")
