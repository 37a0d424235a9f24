"""Strips in a payload: the rule, the layout at every cut, and damage that costs one strip."""

from __future__ import annotations

import zlib
from itertools import pairwise

import numpy as np
import pytest

from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.payload import CRC, Payload
from diffcodec.bitstream.payload_parser import parse_payload
from diffcodec.bitstream.payload_writer import PayloadWriter, PixelCode
from diffcodec.bitstream.plan import Plan
from diffcodec.bitstream.strips import ADAPTIVE, SMALL, Coding, apart, strip_count, strips
from diffcodec.bitstream.trellis import Trellis

WIDTH, STRIPS = 1000, 3
PLAN = Plan(3 * WIDTH * 2, Trellis(8), 2, lambda start, end: 0, STRIPS)
CODES = [np.random.default_rng(i).bytes(200 + i) for i in range(STRIPS)]


def test_the_rule() -> None:
    counts = {1: 1, 575: 1, 576: 2, 768: 2, 959: 2, 960: 3, 4000: 10, 2**26: 174763}
    for width, count in counts.items():
        assert strip_count(width) == count
    for width in (1, 384, 577, 1000, 5003):
        columns = strips(width)
        assert columns[0].start == 0 and columns[-1].stop == width
        assert all(a.stop == b.start for a, b in pairwise(columns))
        sizes = {part.stop - part.start for part in columns}
        assert max(sizes) - min(sizes) <= 1 and max(sizes) < 1.5 * 384


def test_only_small_images_of_one_strip_have_no_checksums_of_strips() -> None:
    assert not apart(SMALL, 1)
    assert apart(SMALL + 1, 1) and apart(1, 2)


def test_codings_are_a_byte() -> None:
    for level in range(3):
        for stateless in (False, True):
            coding = Coding(level, stateless)
            assert Coding.of(coding.number) == coding and coding.number in range(7)
    for number in (3, 7, 8, 255):
        with pytest.raises(BitstreamError, match=f"level {number}, which this diffcodec"):
            Coding.of(number)


def step(plan: Plan) -> PayloadWriter:
    """A payload with one step."""
    writer = PayloadWriter(plan)
    head = plan.head(-1, 0, 0)
    writer.add_step(head.with_bits(np.ones(head.n_bits, np.uint8)))
    writer.switch(0)
    return writer


def written(plan: Plan = PLAN, level: int = 1, codes: list[bytes] = CODES) -> bytes:
    return step(plan).finish(PixelCode(ADAPTIVE, codes, Coding(level, False)), 0x12345678)


def parsed(data: bytes, total: int, plan: Plan = PLAN) -> Payload:
    return parse_payload(data, plan, total, None)


def test_what_is_written_is_read() -> None:
    data = written()
    payload = parsed(data, len(data))
    assert payload.sigma_index == ADAPTIVE and payload.coding == Coding(1, False)
    assert not payload.plain and payload.pixel_crc == 0x12345678
    assert [block.data for block in payload.blocks] == CODES
    assert all(block.complete and not block.damaged for block in payload.blocks)
    assert payload.verified == len(data) and sum(p.bits for p in payload.pieces) == 8 * len(data)


def test_every_strip_has_a_checksum_of_itself_alone() -> None:
    data = written()
    for code in CODES[:-1]:
        end = data.index(code) + len(code)
        assert data[end : end + CRC] == zlib.crc32(code).to_bytes(CRC, "little")
    last = CODES[-1] + (0x12345678).to_bytes(CRC, "little")
    assert data.endswith(last + zlib.crc32(last).to_bytes(CRC, "little"))


def test_every_prefix_holds_beginnings_of_the_strips() -> None:
    data = written()
    known = 0
    for length in range(len(data)):
        payload = parsed(data[:length], len(data))
        assert sum(p.bits for p in payload.pieces) == 8 * length
        there = sum(len(block.data) for block in payload.blocks)
        assert there >= known
        known = there
        for block, code in zip(payload.blocks, CODES, strict=False):
            assert code.startswith(block.data) and block.complete == (block.data == code)
            assert not block.damaged
    assert known == sum(map(len, CODES))


def test_damage_to_a_strip_marks_it_and_no_other() -> None:
    data = written()
    first = data.index(CODES[0])
    for at in range(len(data)):
        bad = bytearray(data)
        bad[at] ^= 0x10
        if at < first:
            with pytest.raises(BitstreamError):
                parsed(bytes(bad), len(data))
            continue
        payload = parsed(bytes(bad), len(data))
        (hit,) = (i for i, block in enumerate(payload.blocks) if block.damaged)
        begins = [data.index(code) for code in CODES]
        assert hit == max(i for i, begin in enumerate(begins) if begin <= at)
        assert payload.pixel_crc is None and payload.layers == STRIPS
        assert payload.verified <= begins[hit]
        others = [block.data for i, block in enumerate(payload.blocks) if i != hit]
        assert others == [code for i, code in enumerate(CODES) if i != hit]


def test_a_small_image_of_one_strip_has_one_checksum_and_damage_to_it_is_refused() -> None:
    plan = Plan(3072, Trellis(8), 2, lambda start, end: 0, 1)
    data = written(plan, codes=CODES[:1])
    payload = parsed(data, len(data), plan)
    assert [block.data for block in payload.blocks] == CODES[:1]
    assert len(data) - data.index(CODES[0]) == len(CODES[0]) + 2 * CRC
    for at in range(len(data)):
        bad = bytearray(data)
        bad[at] ^= 0x10
        with pytest.raises(BitstreamError):
            parsed(bytes(bad), len(data), plan)


def test_strips_that_lead_beyond_the_end_are_refused() -> None:
    data = written()
    with pytest.raises(BitstreamError, match="strip of pixels leads beyond"):
        parsed(data, len(data) - len(CODES[-1]) - 1)


def test_a_file_of_version_1_has_no_strips() -> None:
    old = Plan(PLAN.dims, PLAN.code, PLAN.nodes, PLAN.expected)
    data = written()
    with pytest.raises(BitstreamError, match="unknown way"):
        parsed(data, len(data), old)


def test_levels_and_states_that_are_not_there_are_refused() -> None:
    with pytest.raises(BitstreamError, match="at level 3, which"):
        parsed(data := written(level=3), len(data))
    writer = PayloadWriter(PLAN)
    writer.switch(-1)
    data = writer.finish(PixelCode(ADAPTIVE, CODES, Coding(1, False)), 0)
    with pytest.raises(BitstreamError, match="given a state, and there is none"):
        parsed(data, len(data))
