"""Where steps end and what codes the exact pixels: files with the adaptive coder, whole and cut."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from diffcodec.accounting.audit import audit
from diffcodec.accounting.ledger import to_json, to_text
from diffcodec.accounting.trace import Trace
from diffcodec.bitstream.container import parse_header
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.payload import CRC
from diffcodec.bitstream.strips import ADAPTIVE, Coding
from diffcodec.bitstream.types import Float32, Pixels
from diffcodec.codec import Codec
from diffcodec.decoded import Decoded
from diffcodec.errors import OptionError
from diffcodec.file import with_length
from diffcodec.progressive.effort import EFFORTS
from tests.counting import Counting
from tests.gaussian import gaussian_codec, gaussian_image

pytestmark = pytest.mark.usefixtures("steps_pay")

CODEC = gaussian_codec()
IMAGE = gaussian_image()
# (10, 620, 3): two strips, of 310 columns each.
WIDE = np.concatenate([gaussian_image(seed)[:10] for seed in range(20)], axis=1)[:, :620]


class Silent:
    """A network that must not be called."""

    def __call__(self, y: Float32, v: float) -> Float32:
        raise AssertionError("the network was called")


SILENT = Codec(Silent(), CODEC.tables, fingerprint=CODEC.fingerprint)


def encode(pixels: Pixels, **options: Any) -> bytes:
    options = {"chain": "25", "code": "trellis:8", "residual": "adaptive", **options}
    return CODEC.encode(pixels, **options)


def noise(data: bytes) -> float:
    """Of the last state, in grey levels."""
    file = CODEC.open(data)
    return 127.5 * float(file.chain.noise(file.payload.steps[-1].end)) ** 0.5


# --- where steps end ----------------------------------------------------------------------------


@pytest.mark.parametrize("switch", [100.0, 30.0, 7.0])
def test_steps_end_at_the_first_node_below_the_switch(switch: float) -> None:
    data = encode(IMAGE, switch=switch)
    levels = 127.5 * np.sqrt(CODEC.tables.chains["25"])
    assert noise(data) == pytest.approx(levels[levels <= switch].max())
    decoded = CODEC.decode(data)
    assert decoded.lossless and np.array_equal(decoded.pixels, IMAGE)
    assert decoded.steps < 25 and decoded.header.version == 2


def test_no_node_below_the_switch_is_the_end_of_the_chain() -> None:
    data = encode(IMAGE, switch=0.1)
    assert CODEC.open(data).payload.steps[-1].end == 24 and CODEC.decode(data).lossless


@pytest.mark.parametrize("name", EFFORTS)
def test_efforts_choose_switch_and_level(name: str) -> None:
    chain = "ddpm:100"  # goes below all of them
    data = encode(IMAGE, effort=name, chain=chain)
    work, pixels = EFFORTS[name], IMAGE[..., 0].size
    switch = work.switch(pixels, 8)
    assert data == encode(IMAGE, effort=name, chain=chain, switch=switch)
    levels = 127.5 * np.sqrt(CODEC.open(data).chain.v)
    below = levels[levels <= switch]
    assert noise(data) == pytest.approx(below.max() if below.size else levels.min())
    assert CODEC.open(data).payload.coding == Coding(work.level(pixels), False)


@pytest.mark.parametrize("stop", [{"psnr": 99.0}, {"max_bytes": 10**6}, {"max_steps": 99}])
def test_a_file_that_is_to_stop_somewhere_goes_on_to_the_end_of_the_chain(
    stop: dict[str, Any],
) -> None:
    data = encode(IMAGE, chain="ddpm:100", **stop)
    file = CODEC.open(data)
    assert file.payload.steps[-1].end == 99 and file.payload.sigma_index == ADAPTIVE
    assert CODEC.decode(data).lossless
    early = encode(IMAGE, chain="ddpm:100", switch=30.0, **stop)
    assert early == encode(IMAGE, chain="ddpm:100", switch=30.0)


def test_a_quality_beyond_the_default_switch_is_reached_by_steps() -> None:
    data = encode(IMAGE, effort="fast", psnr=32.0)
    assert not CODEC.decode(data).lossless and noise(data) < EFFORTS["fast"].switch_of_large
    off = CODEC.decode(data).pixels.astype(np.float64) - IMAGE
    assert 10 * np.log10(255**2 / np.mean(off**2)) >= 32


def test_the_gaussian_has_the_whole_chain_and_the_payload_of_version_1() -> None:
    data = encode(IMAGE, residual="gaussian")
    header, start = parse_header(data)
    file = CODEC.open(data)
    assert file.payload.steps[-1].end == 24 and file.payload.coding is None
    old = CODEC.decode(replace(header, version=1).pack() + data[start:])
    assert old.lossless and old.header.version == 1 and np.array_equal(old.pixels, IMAGE)
    early = encode(IMAGE, residual="gaussian", switch=30.0)
    assert CODEC.decode(early).lossless and 15 < noise(early) <= 30


def test_strips_in_a_file_of_version_1_are_refused() -> None:
    data = encode(IMAGE)
    header, start = parse_header(data)
    with pytest.raises(BitstreamError, match="unknown way"):
        CODEC.decode(replace(header, version=1).pack() + data[start:])


@pytest.mark.parametrize("switch", [0, -1.0, float("nan"), float("inf"), "often"])
def test_what_is_no_switch(switch: Any) -> None:
    with pytest.raises(OptionError, match='grey levels above 0, or "none"'):
        encode(IMAGE, switch=switch)


def test_what_is_no_residual() -> None:
    with pytest.raises(OptionError, match="only adaptive and gaussian"):
        encode(IMAGE, residual="perfect")


# --- no steps at all ----------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 1, 1), (5, 3, 1), (17, 4, 3), (10, 620, 3)])
@pytest.mark.parametrize("kind", ["source", "noise", "flat"])
def test_without_steps_no_network_is_called(shape: tuple[int, int, int], kind: str) -> None:
    height, width, channels = shape
    pixels = {
        "source": np.ascontiguousarray(WIDE[:height, :width, :channels]),
        "noise": np.random.default_rng(5).integers(0, 256, shape, np.uint8),
        "flat": np.full(shape, 200, np.uint8),
    }[kind]
    pixels = np.resize(pixels, shape)
    data = SILENT.encode(pixels, switch="none", residual="adaptive")
    assert len(data) <= 1.01 * pixels.size + 64
    payload = SILENT.open(data).payload
    assert not payload.steps and payload.plain
    decoded = SILENT.decode(data)
    assert decoded.lossless and decoded.steps == 0 and np.array_equal(decoded.pixels, pixels)
    for length in range(parse_header(data)[1] + 4, len(data), max(1, len(data) // 40)):
        shown = SILENT.decode(data[:length], reconstruct="sample" if length % 2 else None)
        assert shown.pixels.shape == shape
    assert [shown.lossless for shown in SILENT.progressive(data)] == [True]
    assert SILENT.decode(data, scale=2).pixels.shape[0] == -(-height // 2)
    assert audit(SILENT.open(data)).file_bytes == len(data)


# --- cuts ---------------------------------------------------------------------------------------


def alike(decoded: Decoded, pixels: Pixels) -> NDArray[np.bool_]:
    """Which pixels (H, W) are exact in all channels."""
    return np.asarray((decoded.pixels == pixels).all(axis=2))


@pytest.mark.parametrize("switch", [30.0, "none"])
def test_a_cut_shows_strips_as_far_as_they_go_and_the_last_state(
    switch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "diffcodec.progressive.fallback.encode_graphics", lambda planes: [bytes(2 * planes.size)]
    )
    data = encode(WIDE, switch=switch)
    codec = SILENT if switch == "none" else CODEC
    payload = codec.open(data).payload
    assert payload.coding == Coding(1, switch == "none")
    begins = [data.index(block.data) for block in payload.blocks]
    before = codec.decode(data[: begins[0]]).pixels
    counts = []
    for length in range(begins[0], len(data), 97):
        decoded = codec.decode(data[:length])
        assert not decoded.lossless or length >= len(data) - CRC
        exact = alike(decoded, WIDE)
        counts.append(int(exact.sum()))
        shown = decoded.pixels == before
        assert (exact | shown.all(axis=2)).all()
        if length >= begins[1]:
            assert exact[:, :310].all()
        else:
            assert shown[:, 310:].all()
    assert counts == sorted(counts) and counts[0] < 0.5 * WIDE[..., 0].size
    assert codec.decode(data[: len(data) - CRC]).lossless


def test_what_is_shown_of_a_strip_are_its_first_rows() -> None:
    data = encode(WIDE, switch=30.0)
    block = CODEC.open(data).payload.blocks[0]
    begin = data.index(block.data)
    exact = alike(CODEC.decode(data[: begin + 2 * len(block.data) // 3]), WIDE)[:, :310]
    rows = int(exact.all(axis=1).sum())
    assert 1 <= rows < 10 and exact[:rows].all()


def test_cuts_together_are_cuts_apart() -> None:
    data = encode(WIDE, switch=30.0)
    sizes = np.linspace(60, len(data), 20).astype(int).tolist()
    for size, together in zip(sizes, CODEC.decode_cuts(data, sizes), strict=True):
        apart = CODEC.decode(data[:size])
        assert np.array_equal(together.pixels, apart.pixels)
        assert together.lossless == apart.lossless


def test_threads_change_no_bit() -> None:
    many = Codec(CODEC.denoiser, CODEC.tables, fingerprint=CODEC.fingerprint, workers=3)
    options: dict[str, Any] = {"chain": "6", "code": "trellis:8", "residual": "adaptive"}
    data = many.encode(WIDE, **options)
    assert data == CODEC.encode(WIDE, **options)
    assert np.array_equal(many.decode(data).pixels, WIDE)


def test_pixels_take_one_call_of_the_network() -> None:
    counting = Counting(CODEC)
    data = encode(IMAGE, switch=30.0)
    decoded = counting.codec.decode(data)
    assert decoded.lossless and counting.calls == decoded.steps


# --- damage -------------------------------------------------------------------------------------


def damaged(data: bytes, codec: Codec, strip: int) -> bytes:
    block = codec.open(data).payload.blocks[strip]
    at = data.index(block.data) + len(block.data) // 2
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.mark.parametrize("strip", [0, 1])
def test_a_damaged_strip_costs_no_other(strip: int) -> None:
    data = encode(WIDE, switch=30.0)
    bad = damaged(data, CODEC, strip)
    decoded = CODEC.decode(bad)
    columns = slice(310 * strip, 310 * (strip + 1))
    (sentence,) = decoded.damage
    assert sentence == (
        f"the exact pixels of columns {columns.start} to {columns.stop - 1} (strip {strip + 1} of "
        "2) are damaged"
    )
    assert not decoded.lossless and decoded.bytes_used == len(bad)
    exact = alike(decoded, WIDE)
    assert np.delete(exact, columns, axis=1).all() and not exact[:, columns].all()
    steps = CODEC.decode(data, max_steps=decoded.steps).pixels
    assert np.array_equal(decoded.pixels[:, columns], steps[:, columns])
    assert audit(CODEC.open(bad)).file_bytes == len(bad)
    assert not CODEC.decode(data).damage


def test_damage_in_front_of_the_strips_is_refused() -> None:
    data = encode(WIDE, switch=30.0)
    first = data.index(CODEC.open(data).payload.blocks[0].data)
    for at in (first - 1, first - CRC - 1, first - CRC - 3, first - 40):
        bad = bytearray(data)
        bad[at] ^= 1
        with pytest.raises(BitstreamError, match="damaged"):
            CODEC.decode(bytes(bad))


def test_any_code_of_strips_is_an_image_or_one_sentence() -> None:
    data = encode(WIDE, switch=30.0)
    header, start = parse_header(data)
    rng = np.random.default_rng(1)
    first = data.index(CODEC.open(data).payload.blocks[0].data)
    for size in (0, 1, 9, 400, len(data)):
        draft = replace(header, total_bytes=None)
        bad = with_length(draft, data[start:first] + rng.bytes(size))
        try:
            decoded = CODEC.decode(bad)
        except BitstreamError as error:
            assert "\n" not in str(error)
        else:
            assert decoded.pixels.shape == WIDE.shape and not decoded.lossless


# --- accounting ---------------------------------------------------------------------------------


def test_the_ledger_adds_up_at_every_cut_and_has_strips_and_both_models() -> None:
    trace = Trace()
    data = encode(WIDE, switch=30.0, trace=trace)
    assert len(trace.block_bits) == len(trace.gaussian_bits) == len(trace.block_bytes) == 2
    for length in range(parse_header(data)[1], len(data), 61):
        audit(CODEC.open(data[:length]), trace)
    ledger = audit(CODEC.open(data), trace)
    strips = [entry for entry in ledger.entries if entry.kind == "pixels"]
    assert [entry.columns for entry in strips] == [(0, 309), (310, 619)]
    assert [entry.spent_bits for entry in strips] == [8 * size for size in trace.block_bytes]
    assert [entry.ideal_bits for entry in strips] == trace.block_bits
    assert [entry.kl_bits for entry in strips] == trace.gaussian_bits
    assert to_json(ledger)["entries"][-2]["columns"] == [310, 619]
    text = to_text(ledger)
    assert "L_0 (Gaussian)" in text and "columns 310 to 619" in text


def test_without_a_state_there_is_no_gaussian() -> None:
    trace = Trace()
    data = encode(WIDE, switch="none", trace=trace)
    ledger = audit(CODEC.open(data), trace)
    assert not trace.gaussian_bits and not trace.steps and ledger.ideal_bits is not None
