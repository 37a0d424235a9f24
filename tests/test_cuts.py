"""Cuts of a file: what they share is done once, and opened files decode as their bytes do."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from diffcodec.bitstream.errors import BitstreamError
from diffcodec.codec import Codec
from diffcodec.errors import OptionError
from tests.counting import Counting


def test_cuts_share_their_calls_of_the_network(tiny_codec: Codec) -> None:
    """One call for each step, and one for each cut inside a step: none is made twice."""
    counting = Counting(tiny_codec)
    pixels = np.random.default_rng(3).integers(80, 120, (24, 24, 3), np.uint8)
    data = counting.codec.encode(pixels, code="trellis:8", chain="6")
    file = counting.codec.open(data)
    steps = len(file.payload.steps)
    inside = [(a + b) // 2 for a, b in pairwise(file.step_ends)]
    counting.calls = 0
    shown = list(counting.codec.decode_cuts(data, sorted([*file.step_ends, *inside])))
    assert [s.steps for s in shown] == sorted([*range(1, steps + 1), *range(1, steps)])
    assert counting.calls == steps + len(inside)


def test_a_file_that_was_opened_decodes_as_its_bytes_do(tiny_codec: Codec) -> None:
    pixels = np.random.default_rng(3).integers(80, 120, (16, 16, 3), np.uint8)
    data = tiny_codec.encode(pixels, code="trellis:8")
    file = tiny_codec.open(data)
    assert np.array_equal(tiny_codec.decode(file).pixels, pixels)
    for limit in ({"max_bytes": 100}, {"bpp": 3.0}, {"max_steps": 2}):
        one, other = tiny_codec.decode(file, **limit), tiny_codec.decode(data, **limit)
        assert one.bytes_used == other.bytes_used < len(data)
        assert np.array_equal(one.pixels, other.pixels)
    stranger = Codec(tiny_codec.denoiser, tiny_codec.tables, fingerprint=bytes(range(8)))
    for thing in (data, file):
        with pytest.raises(BitstreamError, match="was made with network"):
            stranger.decode(thing)


def test_cuts_are_sampled_by_name(tiny_codec: Codec) -> None:
    pixels = np.random.default_rng(3).integers(80, 120, (16, 16, 3), np.uint8)
    data = tiny_codec.encode(pixels, code="trellis:8")
    (shown,) = tiny_codec.decode_cuts(data, [200], reconstruct="sample")
    alone = tiny_codec.decode(data, max_bytes=200, reconstruct="sample")
    assert np.array_equal(shown.pixels, alone.pixels)
    with pytest.raises(OptionError, match='no reconstruction "sharp"'):
        list(tiny_codec.decode_cuts(data, [200], reconstruct="sharp"))
