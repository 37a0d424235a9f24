"""Headers that claim much, with little behind them: what decoding them costs."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

import numpy as np
import pytest

from diffcodec.api import info
from diffcodec.bitstream.container import MAX_PIXELS, Header, parse_header
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.hashed import HASHED
from diffcodec.bitstream.payload_writer import PayloadWriter
from diffcodec.bitstream.plan import ENERGY
from diffcodec.bitstream.sample_format import RGB8
from diffcodec.bitstream.step_codes import STEP_CODES, StepCode
from diffcodec.bitstream.trellis import Trellis
from diffcodec.codec import Codec
from diffcodec.progressive.shared import FIRST
from diffcodec.theory.chain import chain_of
from tests.counting import Counting

if TYPE_CHECKING:
    from pathlib import Path


def claim(codec: Codec, side: int, **fields: object) -> Header:
    usual = {"code": Trellis(8), "chain": "own", "nodes": 50, "total_bytes": 10**8, **fields}
    return Header(side, side, RGB8, codec.fingerprint, **usual)  # type: ignore[arg-type]


@pytest.mark.parametrize("code", STEP_CODES, ids=lambda code: code.name)
def test_a_few_bytes_of_a_large_image_take_no_network(tiny_codec: Codec, code: StepCode) -> None:
    counting = Counting(tiny_codec)
    head = claim(tiny_codec, 2048, code=code).pack()
    first = counting.codec.decode(head).pixels
    for payload in (bytes(8), bytes(100), b"\xaa" * 100):
        decoded = counting.codec.decode(head + payload)
        assert decoded.steps == 0 and np.array_equal(decoded.pixels, first)
    assert counting.calls == 0 and (first == first[0, 0]).all()


@pytest.mark.parametrize("code", STEP_CODES, ids=lambda code: code.name)
def test_what_a_step_of_the_largest_image_would_tell_takes_little(code: StepCode) -> None:
    dims = 3 * MAX_PIXELS
    tracemalloc.start()
    for energy in (-160, -120, -60):
        n = code.bits(dims, energy)
        assert code.known(0, n, dims) == 0 and 0 <= code.known(n // 20, n, dims) < dims / 10
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < dims  # bytes: a quarter of z


def test_of_the_first_step_a_sixteenth_is_shown_and_less_is_not(tiny_codec: Codec) -> None:
    counting = Counting(tiny_codec)
    pixels = np.full((60, 80, 3), 250, np.uint8)
    data = counting.codec.encode(pixels, code="trellis:8", max_steps=1)
    start = parse_header(data)[1]
    (step,) = tiny_codec.open(data).payload.steps
    errors = {}
    for length in range(start, len(data), 2):
        counting.calls = 0
        payload = tiny_codec.open(data[:length]).payload
        received = sum(len(part.bits) for part in payload.steps)
        enough = received - HASHED.memory(step.n_bits, 8) >= step.n_bits / FIRST
        decoded = counting.codec.decode(data[:length])
        assert counting.calls == enough, (received, step.n_bits)
        errors[enough] = np.abs(decoded.pixels.astype(int) - pixels).mean()
    assert set(errors) == {False, True} and errors[True] < errors[False]


def test_steps_that_carry_nothing_do_not_ask_for_the_network(
    tiny_codec: Codec, tiny_network: Path
) -> None:
    counting = Counting(tiny_codec)
    header = claim(tiny_codec, 512, chain="linear", nodes=1000)
    plan = chain_of(header, tiny_codec.tables).plan(header.dims, header.code)
    writer = PayloadWriter(plan)
    for end in range(1000):
        head = plan.closest(end - 1, end, ENERGY[0])
        writer.add_step(head.with_bits(np.zeros(head.n_bits, np.uint8)))
    data = header.pack() + writer.lossy()
    assert len(data) < 300
    with pytest.raises(BitstreamError, match="next to nothing"):
        counting.codec.decode(data)
    with pytest.raises(BitstreamError, match="next to nothing"):
        info(data, tiny_network)
    assert counting.calls == 0
