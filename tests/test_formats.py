"""Images of all formats, with what they carry: exact, at every cut, and damaged in every part."""

from __future__ import annotations

import dataclasses
import math
import subprocess
import sys

import numpy as np
import pytest

from diffcodec import api
from diffcodec.accounting.trace import Trace
from diffcodec.bitstream.container import EXTENDED, PLAIN, parse_header
from diffcodec.bitstream.errors import BitstreamError, IncompleteHeader
from diffcodec.bitstream.metadata import Item, Kind
from diffcodec.bitstream.payload import CRC
from diffcodec.bitstream.types import Pixels
from diffcodec.codec import Codec
from diffcodec.errors import OptionError
from diffcodec.file import with_length
from diffcodec.golden import FOLDER, NETWORK
from tests.gaussian import gaussian_codec, gaussian_image
from tests.golden import deep_image, soft_mask
from tests.synthetic import synthetic_image
from tests.trusting import trust_steps

CODEC = gaussian_codec()
PROFILE, TURNED = Item(Kind.ICC, b"acsp" * 40), Item(Kind.ORIENTATION, b"\6")
EXIF, NOTE = Item(Kind.EXIF, b"II*\0" + b"camera " * 9), Item(Kind.TEXT, b"Title\0\0\0made up")
METADATA = (PROFILE, TURNED, EXIF, NOTE)
FORMATS = [(channels, depth) for channels in (1, 2, 3, 4) for depth in (8, 16)]


def picture(channels: int, depth: int, height: int = 9, width: int = 13) -> Pixels:
    """(H, W, C), with a soft mask where there is alpha; of 16 bits all that 16 bits need."""
    colours = channels - (channels in (2, 4))
    if depth == 16:
        parts = [deep_image(height, width, colours, seed=1)]
    else:
        parts = [synthetic_image(height, width, colours, seed=1)]
    if colours < channels:
        mask = soft_mask(height, width)
        parts.append(mask if depth == 8 else mask.astype("<u2") * 256 + mask[::-1])
    return np.concatenate(parts, axis=2)


def encoded(pixels: Pixels, **options: object) -> bytes:
    """With steps, whatever they cost."""
    with pytest.MonkeyPatch.context() as patch:
        trust_steps(patch)
        return CODEC.encode(pixels, **{"chain": "6", "switch": 12.0, **options})  # type: ignore[arg-type]


@pytest.mark.parametrize("switch", [12.0, "none"])
@pytest.mark.parametrize(("channels", "depth"), FORMATS)
def test_every_format_comes_back(channels: int, depth: int, switch: float | str) -> None:
    pixels = picture(channels, depth)
    data = encoded(pixels, switch=switch, metadata=METADATA)
    decoded = CODEC.decode(data)
    assert decoded.lossless and not decoded.damage and decoded.pixels.dtype == pixels.dtype
    np.testing.assert_array_equal(decoded.pixels, pixels)
    assert decoded.metadata == METADATA
    assert (decoded.format.channels, decoded.format.depth) == (channels, depth)
    assert (decoded.steps > 0) == (switch != "none")


def test_the_networks_integers_do_the_same() -> None:
    codec, pixels = Codec.from_pretrained(NETWORK, threads=1), picture(4, 16, 8, 8)
    with pytest.MonkeyPatch.context() as patch:
        trust_steps(patch)
        data = codec.encode(pixels, chain="12", switch=40.0)
    decoded = codec.decode(data)
    assert decoded.steps > 0 and decoded.lossless
    np.testing.assert_array_equal(decoded.pixels, pixels)


def test_other_byte_orders_and_layouts_are_the_same_image() -> None:
    pixels = picture(4, 16)
    data = CODEC.encode(pixels, switch="none")
    assert CODEC.encode(pixels.astype(">u2"), switch="none") == data
    assert CODEC.encode(np.asfortranarray(pixels), switch="none") == data


@pytest.mark.parametrize(("channels", "depth"), [(1, 8), (3, 8)])
def test_plain_images_stay_version_2(channels: int, depth: int) -> None:
    pixels = picture(channels, depth)
    assert CODEC.encode(pixels, switch="none")[4] == PLAIN
    assert CODEC.encode(pixels, switch="none", metadata=(NOTE,))[4] == EXTENDED
    lossy = CODEC.encode(pixels, max_steps=1, chain="12", metadata=(NOTE,))
    assert lossy[4] == PLAIN == CODEC.encode(pixels, max_steps=1, chain="12")[4]


@pytest.mark.parametrize("depth", [8, 16])
def test_opaque_alpha_costs_the_header_alone(depth: int) -> None:
    pixels = picture(4, depth)
    pixels[..., 3] = (1 << depth) - 1
    data, colours = (CODEC.encode(x, switch="none") for x in (pixels, pixels[..., :3]))
    assert len(data) - len(colours) == (1 if depth == 8 else 0)
    np.testing.assert_array_equal(CODEC.decode(data).pixels, pixels)


def test_hidden_pixels_stay_exact() -> None:
    pixels = picture(4, 8)
    pixels[..., 3] = 0
    np.testing.assert_array_equal(CODEC.decode(encoded(pixels)).pixels, pixels)


@pytest.mark.parametrize("bits", [8, 10, 12])
def test_16_bits_that_come_from_fewer_take_no_more(bits: int) -> None:
    few = picture(3, 16, 24, 24) >> 16 - bits
    wide = (few.astype(np.uint64) * 2 * 65535 // ((1 << bits) - 1) + 1) // 2
    pixels, top = wide.astype(np.uint16), picture(3, 16, 24, 24)
    data, whole = (CODEC.encode(x, switch="none") for x in (pixels, top))
    assert len(data) < len(whole) * (bits + 1.5) / 16
    np.testing.assert_array_equal(CODEC.decode(data).pixels, pixels)


@pytest.mark.parametrize("depth", [8, 16])
def test_the_switch_is_in_grey_levels_of_8_bits(depth: int) -> None:
    decoded = CODEC.decode(encoded(gaussian_image() if depth == 8 else deep_image(32, 32, 3, 0)))
    file = CODEC.open(encoded(picture(3, depth), switch=30.0))
    last = file.payload.steps[-1].end
    assert 127.5 * math.sqrt(file.chain.noise(last)) <= 30.0
    assert decoded.lossless


# --- cuts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("channels", "depth"), FORMATS)
def test_every_prefix_decodes(channels: int, depth: int) -> None:
    pixels = picture(channels, depth, 8, 8)
    data = encoded(pixels, metadata=METADATA)
    file = CODEC.open(data)
    for length in range(len(data) + 1):
        if length < file.head:
            with pytest.raises((IncompleteHeader, BitstreamError)):
                CODEC.decode(data[:length])
            continue
        if length > 300 and length % 7 and length < len(data) - 30:
            continue
        decoded = CODEC.decode(data[:length])
        assert decoded.pixels.shape == pixels.shape and not decoded.damage
        early = tuple(item for item in decoded.metadata if item.early)
        assert early in ((), METADATA[:2])
        assert decoded.metadata in (early, METADATA)
        if decoded.format.alpha:
            shown, peak = decoded.pixels[..., -1], decoded.format.peak
            assert ((shown == pixels[..., -1]) | (shown == peak)).all()
            if length >= file.start:
                np.testing.assert_array_equal(shown, pixels[..., -1])
        # The last checksum is of bytes, after that of the pixels.
        assert decoded.lossless == (length >= len(data) - file.header.back - CRC)


@pytest.mark.parametrize("name", ["deep", "alpha", "narrow", "metadata"])
def test_every_prefix_of_the_golden_files_decodes(name: str) -> None:
    codec, data = Codec.from_pretrained(NETWORK, threads=1), (FOLDER / f"{name}.dfc").read_bytes()
    head = codec.open(data).head
    lengths = sorted({*range(head, min(len(data), head + 90)), *range(head, len(data), 41)})
    for decoded in codec.decode_cuts(data, [*lengths, len(data)]):
        assert not decoded.damage and decoded.pixels.shape[2] == decoded.format.channels
    assert decoded.lossless


def test_decoding_cuts_one_by_one_or_together_is_the_same() -> None:
    data = encoded(picture(4, 16))
    sizes = range(parse_header(data)[1], len(data) + 1, 53)
    for size, decoded in zip(sizes, CODEC.decode_cuts(data, sizes), strict=True):
        np.testing.assert_array_equal(decoded.pixels, CODEC.decode(data[:size]).pixels)


def test_a_budget_counts_the_whole_file() -> None:
    pixels = picture(4, 8)
    whole = encoded(pixels, metadata=METADATA)
    before = CODEC.open(whole).start
    for max_bytes in (before + 20, before + 200, len(whole) + 9):
        data = encoded(pixels, metadata=METADATA, switch=None, max_bytes=max_bytes)
        assert len(data) <= max_bytes
        np.testing.assert_array_equal(CODEC.decode(data).pixels[..., 3], pixels[..., 3])
    with pytest.raises(OptionError, match=r"needs at least \d+ bytes") as error:
        encoded(pixels, metadata=METADATA, max_bytes=100)
    needed = int(str(error.value).split()[-2])
    assert len(encoded(pixels, metadata=METADATA, switch=None, max_bytes=needed)) <= needed


def test_what_a_file_that_stops_leaves_out_is_named() -> None:
    pixels = picture(3, 8)
    lossy = CODEC.encode(pixels, chain="12", max_steps=2, metadata=METADATA)
    assert api.metadata_of(lossy) == (PROFILE, TURNED)
    assert api.left_out(lossy, METADATA) == (EXIF, NOTE)
    whole = CODEC.encode(pixels, switch="none", metadata=METADATA[::-1])
    assert api.left_out(whole, METADATA) == () and api.metadata_of(whole) == METADATA


# --- damage -------------------------------------------------------------------------------------


def test_damage_to_a_section_costs_that_section() -> None:
    pixels = picture(4, 8)
    data = encoded(pixels, metadata=METADATA)
    file = CODEC.open(data)
    metadata, alpha = file.beside.front.sections
    places = {
        "profile": file.head + metadata.head + 5,
        "alpha": file.start - 4 - len(alpha.data) // 2,
        "EXIF": len(data) - 9,
    }
    for words, at in places.items():
        broken = bytearray(data)
        broken[at] ^= 16
        decoded = CODEC.decode(bytes(broken))
        assert len(decoded.damage) == 1 and words in decoded.damage[0]
        assert api.info(bytes(broken))["damage"] == list(decoded.damage)
        np.testing.assert_array_equal(decoded.pixels[..., :3], pixels[..., :3])
        assert decoded.lossless == (words != "alpha")
        shown = decoded.pixels[..., 3]
        np.testing.assert_array_equal(shown, 255 if words == "alpha" else pixels[..., 3])
        kept = [item for item in METADATA if item.early != (words == "profile")]
        if words == "EXIF":
            kept = [item for item in METADATA if item.early]
        assert decoded.metadata == (METADATA if words == "alpha" else tuple(kept))


def test_alpha_that_the_header_promises_and_nothing_holds() -> None:
    pixels = picture(4, 8)
    data = encoded(pixels)
    file = CODEC.open(data)
    without = with_length(dataclasses.replace(file.header, front=0), data[file.start :])
    decoded = CODEC.decode(without)
    assert not decoded.lossless and "alpha" in decoded.damage[0]
    np.testing.assert_array_equal(decoded.pixels[..., :3], pixels[..., :3])
    assert (decoded.pixels[..., 3] == 255).all()
    assert not CODEC.decode(data[: file.head]).damage  # which was cut before it


def test_every_flipped_bit_is_noticed() -> None:
    pixels = picture(2, 16, 6, 6)
    data = CODEC.encode(pixels, switch="none", metadata=(TURNED, NOTE))
    for bit in range(40, 8 * len(data), 3):
        broken = bytearray(data)
        broken[bit // 8] ^= 1 << bit % 8
        try:
            decoded = CODEC.decode(bytes(broken))
        except BitstreamError:
            continue
        assert decoded.damage, bit


def test_a_section_that_leads_beyond_its_block() -> None:
    data = encoded(picture(4, 8), metadata=METADATA)
    broken, file = bytearray(data), CODEC.open(data)
    broken[file.head + 1] = 0x7F
    broken[file.head + 2] |= 0x80
    decoded = CODEC.decode(bytes(broken))
    assert decoded.damage and (decoded.pixels[..., 3] == 255).all() and not decoded.lossless


# --- smaller images -----------------------------------------------------------------------------


@pytest.mark.parametrize(("channels", "depth"), [(3, 8), (4, 8), (2, 16)])
@pytest.mark.parametrize("size", [1, 5, 12, 13, 40])
def test_a_longest_side_of_so_many_pixels(channels: int, depth: int, size: int) -> None:
    pixels = picture(channels, depth)
    shape = CODEC.decode(encoded(pixels), size=size).pixels.shape
    assert max(shape[:2]) == min(size, 13) and shape[2] == channels
    assert shape[0] == max(1, round(9 * min(size, 13) / 13))


def test_hidden_colours_do_not_show_in_small_images() -> None:
    pixels = np.zeros((16, 16, 4), np.uint8)
    pixels[:, 1::2] = (255, 0, 0, 255)
    pixels[:, ::2] = (0, 255, 0, 0)
    data = CODEC.encode(pixels, switch="none")
    for small in (CODEC.decode(data, scale=2).pixels, CODEC.decode(data, size=5).pixels):
        assert (small[..., :2] == (255, 0)).all()
        assert abs(int(small[..., 3].mean()) - 128) <= 3


def test_a_small_image_is_one_made_smaller() -> None:
    pixels = gaussian_image()
    shown = CODEC.decode(CODEC.encode(pixels), size=8).pixels.astype(float)
    means = pixels.reshape(8, 4, 8, 4, 3).mean(axis=(1, 3))
    assert np.sqrt(np.mean((shown - means) ** 2)) < 2


# --- what is asked for ---------------------------------------------------------------------------

STOPS = ("max_bytes", "bpp", "max_steps", "psnr")
NO_NUMBERS = [0, -1, math.nan, math.inf, "1", True, [1]]


@pytest.mark.parametrize("name", STOPS)
@pytest.mark.parametrize("value", NO_NUMBERS)
def test_a_stop_is_a_number_above_0(name: str, value: object) -> None:
    pixels = picture(1, 8)
    data = CODEC.encode(pixels, switch="none")
    with pytest.raises(OptionError, match=name):
        CODEC.encode(pixels, **{name: value})  # type: ignore[arg-type]
    if name != "psnr":
        with pytest.raises(OptionError, match=name):
            CODEC.decode(data, **{name: value})  # type: ignore[arg-type]
        with pytest.raises(OptionError, match=name):
            CODEC.open(data, **{name: value})  # type: ignore[arg-type]
        with pytest.raises(OptionError, match=name):
            api.truncate(data, **{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["max_bytes", "max_steps"])
def test_bytes_and_steps_are_whole(name: str) -> None:
    with pytest.raises(OptionError, match="whole"):
        CODEC.encode(picture(1, 8), **{name: 30.5})  # type: ignore[arg-type]


def test_one_stop_only() -> None:
    pixels = picture(1, 8)
    data = CODEC.encode(pixels, switch="none")
    with pytest.raises(OptionError, match="max_bytes and bpp"):
        CODEC.encode(pixels, max_bytes=100, bpp=0.1)
    with pytest.raises(OptionError, match="one of them"):
        CODEC.encode(pixels, max_steps=1, psnr=30.0)
    for cut in (CODEC.decode, CODEC.open, api.truncate):
        with pytest.raises(OptionError, match="one of them"):
            cut(data, max_bytes=100, max_steps=1)  # type: ignore[operator]


@pytest.mark.parametrize("seed", [-1, 2**32, 1.0, math.nan, "7", None])
def test_a_seed_has_a_place_in_the_file(seed: object) -> None:
    with pytest.raises(OptionError, match="seed"):
        CODEC.encode(picture(1, 8), seed=seed)  # type: ignore[arg-type]
    data = CODEC.encode(picture(1, 8), seed=2**32 - 1, switch="none")
    assert CODEC.decode(data).lossless


@pytest.mark.parametrize(
    "options",
    [
        {"effort": "most"},
        {"effort": None},
        {"effort": []},
        {"chain": 25},
        {"chain": ""},
        {"code": "none"},
        {"code": 3},
        {"code": ""},
        {"residual": "none"},
        {"switch": math.nan},
        {"switch": -1.0},
        {"switch": "3"},
        {"switch": [3]},
    ],
)
def test_unknown_values_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(OptionError):
        CODEC.encode(picture(1, 8), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "options",
    [
        {"scale": 3},
        {"scale": 0},
        {"scale": "2"},
        {"size": 0},
        {"size": -4},
        {"size": 2.5},
        {"size": math.nan},
        {"size": 8, "scale": 2},
        {"reconstruct": "other"},
        {"reconstruct": 3},
    ],
)
def test_unknown_ways_to_show_are_refused(options: dict[str, object]) -> None:
    data = CODEC.encode(picture(1, 8), switch="none")
    with pytest.raises(OptionError):
        CODEC.decode(data, **options)  # type: ignore[arg-type]


def test_the_gaussian_is_for_8_bits() -> None:
    with pytest.raises(OptionError, match="8 bits"):
        CODEC.encode(picture(3, 16), residual="gaussian")
    narrowed = picture(3, 8).astype(np.uint16) * 257
    data = CODEC.encode(narrowed, residual="gaussian", chain="12")
    np.testing.assert_array_equal(CODEC.decode(data).pixels, narrowed)


def test_what_a_file_says_of_itself() -> None:
    data = encoded(picture(4, 16), metadata=METADATA)
    facts = api.info(data)
    assert (facts["channels"], facts["alpha"], facts["depth"], facts["format"]) == (4, True, 16, 3)
    kinds = [item["kind"] for item in facts["metadata"]]
    assert kinds == ["icc", "orientation", "exif", "text"] and facts["metadata_unknown"] == 0
    assert facts["metadata"][1]["bytes"] == 1
    assert [item["kind"] for item in api.info(data[:-3])["metadata"]] == ["icc", "orientation"]


def test_the_ledger_adds_up_at_every_cut() -> None:
    trace = Trace()
    data = encoded(picture(4, 16), metadata=METADATA, trace=trace)
    spent = dict(api.ledger(CODEC.open(data), None, trace).kinds())
    assert spent["alpha"][0] > 0 and spent["metadata"][0] > 0
    for length in range(parse_header(data)[1], len(data), 29):
        book = api.ledger(CODEC.open(data[:length]), None, trace)
        assert book.file_bytes == length


def test_the_pixels_of_a_file_that_states_another_depth_are_not_shown_wrong() -> None:
    data = encoded(picture(3, 8))
    header, head = parse_header(data)
    bare = dataclasses.replace(header, version=EXTENDED)
    assert CODEC.decode(bare.pack()).pixels.shape == (9, 13, 3)
    assert head < len(bare.pack())


def test_what_is_only_asked_about_needs_no_network() -> None:
    """Neither its code nor its weights are read: `info` on the beginning of a file is cheap."""
    code = (
        "import sys; from diffcodec import api; api.info(open(sys.argv[1], 'rb').read(1000));"
        "print(*(m for m in sys.modules if m.startswith('diffcodec.exact.') or 'torch' in m))"
    )
    run = [sys.executable, "-c", code, str(FOLDER / "alpha.dfc")]
    assert "backends" not in subprocess.run(run, check=True, capture_output=True, text=True).stdout
