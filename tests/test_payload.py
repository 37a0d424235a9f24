"""Steps, layers and pixel blocks: mirror images, at every cut, and damage is found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffcodec.bitstream.bits import (
    BitReader,
    BitWriter,
    OutOfBits,
    read_skip_or_change,
    write_change,
    write_skip,
)
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.payload import CRC, LAYER, block_sizes
from diffcodec.bitstream.payload_parser import parse_payload
from diffcodec.bitstream.payload_writer import PayloadWriter, PixelCode
from diffcodec.bitstream.pixels import CHUNK
from diffcodec.bitstream.plan import ENERGY, FEWEST_BITS, Plan
from diffcodec.bitstream.trellis import Trellis

PLAN = Plan(
    dims=3072,
    code=Trellis(12),
    nodes=12,
    expected=lambda start, end: -28 + start + 20 * (start < 0),
)


@given(st.lists(st.integers(-5000, 5000) | st.integers(-4, 4), max_size=40))
def test_change_code(changes: list[int]) -> None:
    writer = BitWriter()
    for change in changes:
        write_change(writer, change)
    reader = BitReader(writer.take(), 0)
    assert [read_skip_or_change(reader) for _ in changes] == [(0, c) for c in changes]


@given(st.integers(1, 2**20))
def test_skip_code(skipped: int) -> None:
    writer = BitWriter()
    write_skip(writer, skipped)
    assert read_skip_or_change(BitReader(writer.take(), 0)) == (skipped, None)


def test_usual_changes_are_short() -> None:
    lengths = []
    for change in (0, 1, -1, 2, -2):
        writer = BitWriter()
        write_change(writer, change)
        lengths.append(writer.length)
    assert lengths == [1, 3, 3, 4, 4]


def test_reader_ends_with_the_data() -> None:
    reader = BitReader(b"\xff", 0)
    assert reader.read(20).tolist() == [1] * 8
    with pytest.raises(OutOfBits):
        reader.read_number(1)


def written(
    seed: int, *, early: bool = False
) -> tuple[bytes, list[tuple[int, int, int, list[int]]]]:
    """A payload with random steps, some nodes skipped, and three pixel blocks' worth of noise."""
    rng = np.random.default_rng(seed)
    writer, steps, state = PayloadWriter(PLAN), [], -1
    last = PLAN.nodes - (5 if early else 1)
    while state < last:
        end = min(last, state + 1 + int(rng.random() < 0.2))
        offset = int(rng.integers(-3, 4))
        head = PLAN.head(state, end, offset)
        path = rng.integers(0, 2, head.n_bits, np.uint8)
        writer.add_step(head.with_bits(path))
        steps.append((state, end, PLAN.energy(state, end, offset), path.tolist()))
        state = end
    writer.switch(state)
    return writer.finish(PixelCode(40, [rng.bytes(700)]), 0x12345678), steps


@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_round_trip(seed: int, early: bool) -> None:
    data, steps = written(seed, early=early)
    payload = parse_payload(data, PLAN, len(data), None)
    assert [(s.start, s.end, s.energy, s.bits.tolist()) for s in payload.steps] == steps
    assert all(step.complete for step in payload.steps)
    assert payload.sigma_index == 40 and payload.pixel_crc == 0x12345678
    assert [len(b.data) for b in payload.blocks] == [700] and payload.blocks[0].complete
    assert payload.verified == len(data)


def test_every_prefix_parses_to_a_prefix() -> None:
    data, steps = written(3)
    known = 0
    for length in range(len(data)):
        payload = parse_payload(data[:length], PLAN, len(data), None)
        bits = sum(len(step.bits) for step in payload.steps)
        assert bits >= known
        known = bits
        for step, (start, end, energy, path) in zip(payload.steps, steps, strict=False):
            assert (step.start, step.end, step.energy) == (start, end, energy)
            assert step.bits.tolist() == path[: len(step.bits)]
        assert payload.pixel_crc is None or length >= len(data) - CRC
    assert known == sum(len(path) for *_, path in steps)


def test_a_step_that_carries_next_to_nothing_is_refused() -> None:
    """Else 1,000 calls of the network could be asked for in 200 bytes, of any size."""
    plan = replace(PLAN, nodes=1)

    def step(offset: int) -> tuple[int, bytes]:
        head = plan.head(-1, 0, offset)
        writer = PayloadWriter(plan)
        writer.add_step(head.with_bits(np.zeros(head.n_bits, np.uint8)))
        return head.n_bits, writer.lossy() + bytes(4)

    offset = plan.closest(-1, 0, ENERGY[0]).offset
    assert step(offset)[0] == 0
    while (found := step(offset))[0] < FEWEST_BITS:
        with pytest.raises(BitstreamError, match="next to nothing"):
            parse_payload(found[1], plan, None, None)
        offset += 1
    assert parse_payload(found[1], plan, None, None).steps[0].complete


def test_the_padding_of_a_file_that_ends_early_is_no_step() -> None:
    poor = Plan(3072, Trellis(12), 12, lambda start, end: -28 if start < 0 else -200)
    for seed in range(8):
        writer = PayloadWriter(poor)
        head = poor.head(-1, 0, seed)
        path = np.ones(head.n_bits, np.uint8)
        writer.add_step(head.with_bits(path))
        assert poor.head(0, 1, seed).n_bits < FEWEST_BITS
        payload = parse_payload(writer.lossy(), poor, None, None)
        assert [step.bits.tolist() for step in payload.steps] == [path.tolist()]


def test_every_flipped_byte_is_found_or_unverified() -> None:
    data, _ = written(5)
    for at in range(len(data)):
        bad = bytearray(data)
        bad[at] ^= 0x10
        with pytest.raises(BitstreamError, match="damaged"):
            parse_payload(bytes(bad), PLAN, len(data), None)


def test_complete_layers_of_a_cut_file_are_verified() -> None:
    data, _ = written(5)
    cut = data[: LAYER + 200]
    assert parse_payload(cut, PLAN, len(data), None).layers == 1
    bad = bytearray(cut)
    bad[100] ^= 1
    with pytest.raises(BitstreamError, match="damaged"):
        parse_payload(bytes(bad), PLAN, len(data), None)


def test_checksums_take_at_most_one_percent_of_the_steps() -> None:
    data, steps = written(1)
    layers = parse_payload(data, PLAN, len(data), None).layers
    assert layers >= 2
    assert CRC * (layers - 1) <= 0.01 * (sum(len(p) for *_, p in steps) / 8)


def test_max_steps_stops() -> None:
    data, steps = written(2)
    payload = parse_payload(data, PLAN, len(data), 4)
    assert len(payload.steps) == 4 and payload.sigma_index is None
    assert payload.steps[-1].end == steps[3][1]


def test_several_blocks() -> None:
    plan = Plan(dims=3 * CHUNK + 5, code=Trellis(8), nodes=0, expected=lambda start, end: 0)
    assert block_sizes(plan.dims) == [CHUNK, CHUNK, CHUNK, 5]
    blocks = [bytes([i]) * (100 + i) for i in range(4)]
    data = PayloadWriter(plan).finish(PixelCode(7, blocks), 1)
    payload = parse_payload(data, plan, len(data), None)
    assert [b.data for b in payload.blocks] == blocks and payload.layers == 4
    for length in range(len(data)):
        cut = parse_payload(data[:length], plan, len(data), None)
        for block, whole in zip(cut.blocks, blocks, strict=False):
            assert whole.startswith(block.data) and block.complete == (block.data == whole)


@settings(max_examples=200)
@given(st.binary(max_size=200), st.none() | st.integers(0, 400))
def test_random_bytes_parse_or_are_damaged(data: bytes, total: int | None) -> None:
    total = None if total is None else max(total, len(data))
    try:
        payload = parse_payload(data, PLAN, total, None)
    except BitstreamError:
        return
    assert sum(len(step.bits) for step in payload.steps) <= 8 * len(data)
