"""Images that the network knows nothing of: plain pixels follow, and all else still holds."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
import pytest

from diffcodec import image
from diffcodec.accounting.audit import audit
from diffcodec.accounting.trace import Trace
from diffcodec.bitstream.adaptive import Coded, Side
from diffcodec.bitstream.container import parse_header
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.graphics import GRAPHICS, decode_strip, encode_strip, strips
from diffcodec.bitstream.payload_parser import parse_payload
from diffcodec.bitstream.payload_writer import PayloadWriter, PixelCode
from diffcodec.bitstream.pixels import CHUNK, SIGMAS, STORED
from diffcodec.bitstream.plan import Plan
from diffcodec.bitstream.sample_format import SampleFormat
from diffcodec.bitstream.strips import Coding
from diffcodec.bitstream.trellis import Trellis
from diffcodec.bitstream.types import Pixels
from diffcodec.codec import Codec
from diffcodec.image.png_chunks import assemble, chunk, chunks
from diffcodec.progressive.fallback import WORTH, Fallback
from tests.counting import Counting

PLAN = Plan(dims=CHUNK + 10, code=Trellis(8), nodes=3, expected=lambda start, end: 0)


def noise(height: int, width: int, channels: int = 3) -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), np.uint8)


def kind(codec: Codec, data: bytes) -> int | None:
    return codec.open(data).payload.sigma_index


@pytest.mark.parametrize("shape", [(1, 90, 3), (90, 1, 3), (3, 3, 3), (1, 1, 1), (60, 50, 1)])
@pytest.mark.parametrize("kind", ["noise", "flat", "stripes"])
def test_no_file_is_much_larger_than_its_pixels(
    tiny_codec: Codec, shape: tuple[int, int, int], kind: str
) -> None:
    pixels = {
        "noise": noise(*shape),
        "flat": np.full(shape, 7, np.uint8),
        "stripes": np.indices(shape).sum(axis=0).astype(np.uint8) % 2 * 255,
    }[kind]
    data = tiny_codec.encode(pixels, code="trellis:8")
    assert len(data) <= 1.01 * pixels.size + 64
    decoded = tiny_codec.decode(data)
    assert decoded.lossless and np.array_equal(decoded.pixels, pixels)


def graphics(height: int, width: int) -> Pixels:
    """Flat areas with hard edges."""
    rows, columns = np.indices((height, width))
    areas = rows // 13 * 7 + columns // 17 * 5 + (columns > 2 * rows)
    return (areas[..., None] * np.array([37, 101, 59]) % 256).astype(np.uint8)


@pytest.mark.parametrize(
    "pixels",
    [noise(1, 5000), noise(5000, 1, 1), graphics(1, 9001), graphics(5000, 1), graphics(130, 140)],
    ids=["1x5000", "5000x1", "wider than a span", "5000x1 graphics", "graphics"],
)
def test_long_thin_and_graphics_images(tiny_codec: Codec, pixels: Pixels) -> None:
    data = tiny_codec.encode(pixels, code="trellis:8", chain="6")
    assert len(data) <= 1.01 * pixels.size + 64
    decoded = tiny_codec.decode(data)
    assert decoded.lossless and np.array_equal(decoded.pixels, pixels)
    part = tiny_codec.decode(data[: len(data) // 3])
    assert part.pixels.shape == pixels.shape and not part.lossless


def test_stored_pixels_have_a_preview_and_can_be_cut(tiny_codec: Codec) -> None:
    pixels = noise(50, 70)
    trace = Trace()
    data = tiny_codec.encode(pixels, code="trellis:8", trace=trace)
    assert kind(tiny_codec, data) == STORED
    file = tiny_codec.open(data)
    start, payload = file.start, file.payload
    assert 0 < len(payload.steps) == len(trace.steps)
    assert payload.steps[-1].bytes_end <= pixels.size / 100
    ledger = audit(file, trace)
    assert ledger.ideal_bits is not None and ledger.ideal_bits > 8 * pixels.size
    exact = []
    for length in range(start, len(data), 997):
        decoded = tiny_codec.decode(data[:length])
        assert not decoded.lossless
        exact.append(int((decoded.pixels == pixels).sum()))
    assert exact == sorted(exact) and exact[-1] > 0.8 * pixels.size


def test_graphics_take_little_and_can_be_cut(tiny_codec: Codec) -> None:
    pixels = graphics(1500, 300)  # two strips
    trace = Trace()
    data = tiny_codec.encode(pixels, code="trellis:8", trace=trace)
    assert kind(tiny_codec, data) == GRAPHICS and len(data) < pixels.size / 100
    file = tiny_codec.open(data)
    payload = file.payload
    audit(file, trace).check()
    first, second = strips(pixels.shape)
    assert tiny_codec.decode(data).lossless
    at = len(data) - len(payload.blocks[1].data) // 2
    cut = tiny_codec.decode(data[:at])
    assert not cut.lossless and np.array_equal(cut.pixels[first], pixels[first])
    assert not np.array_equal(cut.pixels[second], pixels[second])
    assert tiny_codec.decode(data[: len(data) // 20]).pixels.shape == pixels.shape
    small = tiny_codec.decode(data, scale=4).pixels
    assert small.shape == (375, 75, 3)


def test_graphics_that_fit_come_exact_whatever_was_asked_for(tiny_codec: Codec) -> None:
    pixels = graphics(130, 140)
    whole = tiny_codec.encode(pixels, code="trellis:8")
    for wish in ({"max_bytes": 3 * len(whole)}, {"psnr": 40.0}):
        data = tiny_codec.encode(pixels, code="trellis:8", **wish)
        assert len(data) <= 3 * len(whole) and tiny_codec.decode(data).lossless


@pytest.mark.parametrize("shape", [(5, 7, 3), (5, 7, 1), (1, 20000, 3), (1, 20000, 1), (0, 9, 3)])
def test_strips_hold_their_pixels(shape: tuple[int, int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    assert np.array_equal(
        decode_strip(encode_strip(pixels), *shape[:2], SampleFormat(shape[2], 8)), pixels
    )


def test_strips_without_rows_and_damaged_ones() -> None:
    shape = (2, 1 << 20, 3)
    rows = strips(shape)
    assert len(rows) == 6 and [r.stop - r.start for r in rows] == [0, 0, 1, 0, 0, 1]
    good = encode_strip(noise(5, 7))
    size = (30000).to_bytes(4, "big")
    bomb = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + size + size + b"\x08\x02\x00\x00\x00"
    bomb += zlib.crc32(bomb[12:]).to_bytes(4, "big") + b"\x00\x00\x00\x00IDAT" + bytes(4)
    for data, wanted in (
        (good, (7, 5, 3)),
        (good[:-9], (5, 7, 3)),
        (b"", (5, 7, 3)),
        (b"GIF89a", (5, 7, 3)),
        (bomb, (5, 7, 3)),
    ):
        with pytest.raises(BitstreamError, match="a strip of pixels"):
            decode_strip(data, *wanted[:2], SampleFormat(wanted[2], 8))


@pytest.mark.filterwarnings("error")
def test_strips_that_pillow_stumbles_over() -> None:
    head, *rest = chunks(image.to_bytes(noise(5, 7)))
    profile = chunk(b"iCCP", b"no more than a name\0")
    large = chunk(b"IHDR", struct.pack(">IIBBBBB", 12_000, 10_000, 8, 2, 0, 0, 0))
    for data in (assemble([head, rest[0], profile, *rest[1:]]), assemble([large, *rest])):
        with pytest.raises(BitstreamError, match="a strip of pixels"):
            decode_strip(data, 5, 7, SampleFormat(3, 8))


def test_a_narrow_image_calls_the_network_a_few_times_only(tiny_codec: Codec) -> None:
    pixels = noise(1, 5000)
    trace = Trace()
    data = tiny_codec.encode(pixels, code="trellis:8", trace=trace)
    assert len(trace.steps) <= 5 and tiny_codec.decode(data).lossless
    assert kind(tiny_codec, tiny_codec.encode(pixels, code="trellis:8", max_bytes=900)) is None


def test_a_cut_that_comes_first_is_an_ordinary_file(tiny_codec: Codec) -> None:
    pixels = noise(50, 70)
    data = tiny_codec.encode(pixels, code="trellis:8", max_bytes=2000)
    assert len(data) == 2000 and kind(tiny_codec, data) != STORED
    assert tiny_codec.decode(data).steps >= 2


def payload(kind: int, sizes: tuple[int, int]) -> bytes:
    writer = PayloadWriter(PLAN)
    writer.switch(-1)
    return writer.finish(
        PixelCode(kind, [bytes(size) for size in sizes]), zlib.crc32(bytes(PLAN.dims))
    )


@pytest.fixture
def knowing(monkeypatch: pytest.MonkeyPatch) -> Pixels:
    """An image of noise that the adaptive coder knows by heart, if no state confuses it."""
    pixels = noise(50, 70)
    module = "diffcodec.progressive.adaptive_residual"
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1))

    def encode_strip(part: Pixels, side: Side | None, *_: object, **__: object) -> Coded:
        return Coded(bytes(99), 790.0) if side is None else Coded(part.tobytes(), 8.0 * part.size)

    monkeypatch.setattr(f"{module}.encode_strip", encode_strip)
    monkeypatch.setattr(f"{module}.decode_strip", lambda *_: (planes, 50 * 70))
    return pixels


def test_what_takes_less_without_the_network_goes_without_it(
    tiny_codec: Codec, knowing: Pixels
) -> None:
    trace = Trace()
    options: dict[str, Any] = {"code": "trellis:8", "residual": "adaptive"}
    data = tiny_codec.encode(knowing, **options, trace=trace)
    file = tiny_codec.open(data)
    assert file.payload.coding == Coding(2, True) and file.payload.plain
    assert 0 < len(file.payload.steps) == len(trace.steps)  # a preview
    assert trace.block_bits == [790.0] and not trace.gaussian_bits
    assert audit(file, trace).ideal_bits is not None
    counting = Counting(tiny_codec)
    assert np.array_equal(counting.codec.decode(data).pixels, knowing) and not counting.calls
    assert tiny_codec.decode(data[: file.step_ends[-1]]).steps == len(trace.steps)
    assert kind(tiny_codec, tiny_codec.encode(knowing, **options | {"residual": "gaussian"})) == (
        STORED
    )


def test_a_narrow_image_and_one_without_steps_may_be_adaptive(
    tiny_codec: Codec, knowing: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tiny_codec.encode(knowing, switch="none", residual="adaptive")
    assert tiny_codec.open(data).payload.coding == Coding(2, True)
    assert not tiny_codec.open(data).payload.steps and tiny_codec.decode(data).lossless
    monkeypatch.setattr("diffcodec.progressive.fallback.NARROW", 99)
    data = tiny_codec.encode(knowing, residual="adaptive", effort="best")
    assert tiny_codec.open(data).payload.coding == Coding(2, True)


def test_flat_graphics_are_not_coded_twice(
    tiny_codec: Codec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("diffcodec.progressive.adaptive_residual.encode_strip")
    for switch in (None, "none"):
        pixels = graphics(130, 140)
        data = tiny_codec.encode(pixels, code="trellis:8", residual="adaptive", switch=switch)
        assert kind(tiny_codec, data) == GRAPHICS and tiny_codec.decode(data).lossless


def test_blocks_that_are_stored_have_their_size_and_no_other() -> None:
    data = payload(STORED, (CHUNK, 10))
    whole = parse_payload(data, PLAN, len(data), None)
    assert [len(block.data) for block in whole.blocks] == [CHUNK, 10]
    for sizes in ((CHUNK - 1, 10), (CHUNK, 11), (CHUNK + 1, 9)):
        data = payload(STORED, sizes)
        with pytest.raises(BitstreamError, match="damaged: a block of pixels"):
            parse_payload(data, PLAN, len(data), None)


@pytest.mark.parametrize("kind", [SIGMAS, 200, GRAPHICS - 1])
def test_unknown_kinds_of_pixels_are_refused(kind: int) -> None:
    data = payload(kind, (CHUNK, 10))
    with pytest.raises(BitstreamError, match="unknown way"):
        parse_payload(data, PLAN, len(data), None)


def test_a_file_with_nothing_in_it_takes_nothing(
    tiny_codec: Codec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a large image with only a header, or too few bits, no array of floats is made."""
    from diffcodec.progressive import steps

    data = tiny_codec.encode(noise(50, 70), code="trellis:8")
    _, start = parse_header(data)
    expected = tiny_codec.decode(data[:start]).pixels
    assert (expected == expected[0, 0]).all() and expected.shape == (50, 70, 3)
    for name in ("beginning", "codeword", "estimate"):
        monkeypatch.delattr(steps, name)
    for length in (start, start + 1, start + 2):
        assert np.array_equal(tiny_codec.decode(data[:length]).pixels, expected)


def test_what_a_file_with_steps_may_cost(tiny_codec: Codec) -> None:
    """At most WORTH times the plain one, and never more than the pixels and a little."""
    planes = np.ascontiguousarray(noise(16, 16).transpose(2, 0, 1))
    fallback = Fallback(planes, PayloadWriter(PLAN), 1, narrow=False)
    small, plain = bytes(300), bytes(800)
    assert fallback.worth(bytes(round(WORTH * 300)), small)
    assert not fallback.worth(bytes(round(WORTH * 300) + 1), small)
    assert fallback.worth(plain, plain) and not fallback.worth(bytes(879), plain)  # 768 pixels
    gaussian = Fallback(planes, PayloadWriter(PLAN), None, narrow=False)
    assert gaussian.worth(small, small) and not gaussian.worth(bytes(301), small)
