"""What an image carries besides its pixels comes in, goes out, and is named where it cannot."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from diffcodec import image
from diffcodec.bitstream.metadata import Item, Kind, Metadata
from diffcodec.image import exif
from diffcodec.image.jpeg_metadata import with_segments
from diffcodec.image.png_chunks import chunk
from diffcodec.image.png_metadata import fitted
from tests.image_files import pack, pillow, png, small_png, tiff

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (7, 9, 3), dtype=np.uint8)
DEEP = RNG.integers(0, 65536, (7, 9, 3)).astype(np.uint16)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def camera(turn: int = 6, order: bytes = b"MM") -> bytes:
    """EXIF of a photograph: camera, time, place, orientation."""
    tags = Image.Exif()
    tags[0x010F], tags[0x0112] = "Camera", turn
    tags.get_ifd(0x8769)[0x9003] = "2024:01:02 03:04:05"
    tags.get_ifd(0x8825)[1] = "N"
    tags.endian = ">" if order == b"MM" else "<"
    return tags.tobytes().removeprefix(b"Exif\0\0")


ITEMS = (
    Item(Kind.ICC, SRGB),
    Item(Kind.ORIENTATION, b"\6"),
    Item(Kind.SRGB, b"\1"),
    Item(Kind.GAMA, struct.pack(">I", 45455)),
    Item(Kind.CHRM, struct.pack(">8I", *(31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000))),
    Item(Kind.CICP, bytes([9, 16, 0, 1])),
    Item(Kind.SBIT, bytes([5, 6, 5])),
    Item(Kind.MDCV, bytes(range(24))),
    Item(Kind.CLLI, bytes(range(8))),
    Item(Kind.EXIF, camera()),
    Item(Kind.XMP, "<x:xmpmeta>ä日</x:xmpmeta>".encode()),
    Item(Kind.DENSITY, struct.pack(">IIB", 11811, 11811, 1)),
    Item(Kind.TEXT, "Comment\0\0\0größer".encode()),
    Item(Kind.TEXT, "Title\0de\0Titel\0日本".encode()),
    Item(Kind.IPTC, b"8BIM\x04\x04\0\0" + struct.pack(">I", 6) + b"\x1c\x02\x05\0\x01a"),
)
KEPT = {
    "png": set(Kind),
    "ppm": set(),
    "webp": {Kind.ICC, Kind.ORIENTATION, Kind.EXIF, Kind.XMP},
    "avif": {Kind.ICC, Kind.ORIENTATION, Kind.EXIF, Kind.XMP},
    "tiff": {Kind.ICC, Kind.ORIENTATION, Kind.EXIF, Kind.XMP, Kind.DENSITY, Kind.IPTC},
    "jpeg": {Kind.ICC, Kind.ORIENTATION, Kind.EXIF, Kind.XMP, Kind.DENSITY, Kind.IPTC},
}


def metadata(data: bytes) -> Metadata:
    return image.read_picture(data).metadata


def only(kind: Kind, data: bytes) -> bytes:
    """What the one item of a kind holds."""
    (found,) = (item.data for item in metadata(data) if item.kind == kind)
    return found


@pytest.mark.parametrize("pixels", [RGB, DEEP], ids=["8", "16"])
@pytest.mark.parametrize("format", image.FORMATS)
def test_every_item_comes_back_or_is_named(format: str, pixels: image.Pixels) -> None:
    if image.cannot_hold(pixels, format):
        return
    picture = image.read_picture(image.to_bytes(pixels, format, ITEMS))
    kept = [item for item in ITEMS if item.kind in KEPT[format]]
    if format == "jpeg":
        kept.insert(-1, ITEMS[12])  # the comment
    assert list(picture.metadata) == kept and picture.lost == ()
    assert len(image.not_kept(ITEMS, format)) == len(ITEMS) - len(kept)


@pytest.mark.parametrize("format", image.FORMATS)
@pytest.mark.parametrize("item", ITEMS, ids=[item.kind.name for item in ITEMS])
def test_each_item_alone(format: str, item: Item) -> None:
    found = metadata(image.to_bytes(RGB, format, (item,)))
    if item.kind == Kind.EXIF and found:
        assert found == (Item(Kind.ORIENTATION, b"\6"), item)  # which it says
    elif item.kind == Kind.ORIENTATION and found:
        assert found[0] == item and exif.orientation(found[1].data) == 6
    else:
        assert found == (() if image.not_kept((item,), format) else (item,))
    assert bool(found) != bool(image.not_kept((item,), format))


def test_what_is_not_kept_is_named() -> None:
    assert image.not_kept(ITEMS, "webp")[-1] == "its IPTC data"
    assert 'its text "Title"' in image.not_kept(ITEMS, "jpeg")
    assert "its orientation (6: viewers turn it, the pixels are not)" in image.not_kept(
        ITEMS, "ppm"
    )
    assert image.not_kept(ITEMS, "png") == []
    grey = Item(Kind.ICC, b"\0" * 16 + b"GRAY" + bytes(200))
    assert image.not_kept((grey,), "webp") == ["its colour profile"]  # has no grey
    assert image.not_kept((grey,), "tiff") == []
    long = Item(Kind.XMP, b"x" * 70_000)
    assert image.not_kept((long,), "jpeg") == ["its XMP data"]
    assert metadata(image.to_bytes(RGB, "jpeg", (long,))) == ()


def test_a_long_profile_takes_several_segments_of_a_jpeg() -> None:
    long = Item(Kind.ICC, SRGB + RNG.bytes(150_000))
    assert metadata(image.to_bytes(RGB, "jpeg", (long,))) == (long,)
    shuffled = image.to_bytes(RGB, "jpeg")
    for i in (3, 1, 2):
        part = b"ICC_PROFILE\0" + bytes([i, 3]) + b"abc"[i - 1 : i]
        shuffled = with_segments(shuffled, [(0xE2, part)])
    assert only(Kind.ICC, shuffled) == b"abc"


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
def test_what_pillow_writes_is_found(format: str) -> None:
    data = pack(pillow(RGB), format, icc_profile=SRGB, exif=b"Exif\0\0" + camera(3))
    items = dict(metadata(data))
    assert items[Kind.ICC] == SRGB and items[Kind.ORIENTATION] == b"\3"
    tags = Image.Exif()
    tags.load(items[Kind.EXIF])
    assert tags[0x010F] == "Camera" and tags[0x0112] == 3
    assert tags.get_ifd(0x8769)[0x9003].startswith("2024") and tags.get_ifd(0x8825)[1] == "N"


@pytest.mark.parametrize("format", ["png", "jpeg", "webp", "tiff", "avif"])
def test_what_is_written_pillow_finds(format: str) -> None:
    file = Image.open(io.BytesIO(image.to_bytes(RGB, format, ITEMS)))
    assert file.info["icc_profile"] == SRGB
    tags = file.getexif()
    assert tags[0x0112] == 6 and tags[0x010F] == "Camera"
    assert tags.get_ifd(0x8769)[0x9003].startswith("2024")
    assert b"xmpmeta" in str(file.info.get("xmp") or file.info["XML:com.adobe.xmp"]).encode()
    if "dpi" in file.info:
        assert file.info["dpi"] == pytest.approx((300, 300), abs=0.01)


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("order", [b"II", b"MM"])
def test_orientation_is_an_item_and_pixels_stay(turn: int, order: bytes) -> None:
    for format in ("png", "jpeg", "webp", "tiff"):
        data = image.to_bytes(RGB, format, (Item(Kind.EXIF, camera(turn, order)),))
        found = dict(metadata(data))
        assert found.get(Kind.ORIENTATION) == (bytes([turn]) if turn > 1 else None)
        assert exif.orientation(found[Kind.EXIF]) == turn
        np.testing.assert_array_equal(image.load(data), image.load(image.to_bytes(RGB, format)))


def test_orientation_goes_into_exif_that_lacks_it() -> None:
    bare = Image.Exif()
    bare[0x010F] = "Camera"
    without = bare.tobytes().removeprefix(b"Exif\0\0")
    for tags in (without, camera(1), None):
        turned = exif.with_orientation(tags, 8)
        assert exif.orientation(turned) == 8
        assert tags is None or exif.parsed(turned)[0x010F] == "Camera"  # type: ignore[index]
    items = (Item(Kind.ORIENTATION, b"\x08"), Item(Kind.EXIF, without))
    for format in ("png", "jpeg", "webp", "tiff", "avif"):
        assert metadata(image.to_bytes(RGB, format, items))[0] == items[0]


def test_what_is_upright_says_nothing() -> None:
    for format in image.FORMATS:
        items = (Item(Kind.ORIENTATION, b"\1"), Item(Kind.ICC, SRGB))
        written = image.to_bytes(RGB, format, items)
        assert written == image.to_bytes(RGB, format, items[1:]), format


@pytest.mark.parametrize("data", [b"", b"II", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\xff\xff"])
def test_damaged_exif_says_nothing(data: bytes) -> None:
    assert exif.orientation(data) == 1
    assert exif.bare(b"Exif\0\0nothing") is None
    found = image.read_picture(with_segments(image.to_bytes(RGB, "jpeg"), [(0xE1, b"Exif\0\0x")]))
    assert found.lost == ("its EXIF data, which are damaged",) and found.metadata == ()
    for format in ("tiff", "avif"):  # these write it anew
        items = (Item(Kind.EXIF, data or b"II"),)
        assert image.not_kept(items, format) == ["its EXIF data"] or metadata(
            image.to_bytes(RGB, format, items)
        ) in ((), items)


def test_a_thumbnail_stays_where_exif_does() -> None:
    tags = camera(1, b"II")
    start = int.from_bytes(tags[4:8], "little")
    at = start + 2 + 12 * int.from_bytes(tags[start : start + 2], "little")
    item = Item(Kind.EXIF, tags[:at] + struct.pack("<I", len(tags)) + tags[at + 4 :] + bytes(6))
    assert exif.has_thumbnail(item.data) and not exif.has_thumbnail(tags)
    assert image.not_kept((item,), "tiff") == ["the thumbnail in its EXIF data"]
    assert image.not_kept((item,), "jpeg") == []
    assert metadata(image.to_bytes(RGB, "jpeg", (item,))) == (item,)


def test_texts_of_a_png() -> None:
    def text(kind: bytes, body: bytes) -> bytes:
        (item,) = metadata(png(RGB, chunk(kind, body)))
        assert item.kind == Kind.TEXT
        return item.data

    assert text(b"tEXt", b"Title\0gr\xf6\xdfer") == "Title\0\0\0größer".encode()
    assert text(b"zTXt", b"Title\0\0" + zlib.compress(b"gr\xf6\xdfer")) == (
        "Title\0\0\0größer".encode()
    )
    packed = b"Title\0\1\0de\0Titel\0" + zlib.compress("日本".encode())
    assert text(b"iTXt", packed) == "Title\0de\0Titel\0日本".encode()
    picture = image.read_picture(png(RGB, chunk(b"zTXt", b"Title\0\0nonsense")))
    assert picture.lost == ("its zTXt chunk, which is damaged or too large",)


def test_a_png_whose_texts_are_large() -> None:
    """Pillow takes a megabyte at most, which is no reason to refuse the image."""
    profile = np.random.default_rng(1).bytes(2 << 20)
    xmp = b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(b"<x>" * 700_000)
    packed = chunk(b"iCCP", b"own\0\0" + zlib.compress(profile, 1)), chunk(b"iTXt", xmp)
    picture = image.read_picture(png(RGB, *packed))
    assert np.array_equal(picture.pixels, RGB) and not picture.lost
    assert picture.metadata == (
        Item(Kind.ICC, profile),
        Item(Kind.XMP, b"<x>" * 700_000),
    )


def test_texts_that_inflate_to_more_than_a_file_can_hold() -> None:
    half = b"Title\0\0" + zlib.compress(bytes([65]) * 20_000_000, 9)
    picture = image.read_picture(png(RGB, chunk(b"zTXt", half), chunk(b"zTXt", half)))
    assert np.array_equal(picture.pixels, RGB) and len(picture.metadata) == 1
    assert picture.lost == ("its zTXt chunk, which is damaged or too large",)


def test_what_is_lost_is_told_to_a_hundred_phrases() -> None:
    kinds = [b"ab" + bytes([a, b]) for a in b"ABCDEFGHIJKLMNOP" for b in b"abcdefghijklmnop"]
    lost = image.read_picture(png(RGB, *(chunk(kind, b"") for kind in kinds))).lost
    assert len(lost) == 100 and lost[-1] == "much else" and lost[0] == "its abAa chunk"


def test_iptc_in_a_png_is_as_others_write_it() -> None:
    data = image.to_bytes(RGB, "png", (ITEMS[-1],))
    assert b"Raw profile type 8bim\0" in data
    digits = ITEMS[-1].data.hex().encode()
    other = zlib.compress(b"\niptc\n      %d\n%s\n" % (len(ITEMS[-1].data), digits))
    assert metadata(png(RGB, chunk(b"zTXt", b"Raw profile type iptc\0\0" + other))) == (ITEMS[-1],)
    plain = zlib.compress(b"\nexif\n      2\n4142\n")
    (item,) = metadata(png(RGB, chunk(b"zTXt", b"Raw profile type iptc\0\0" + plain)))
    assert item.kind == Kind.TEXT  # not what it says it is: kept as it stands


def test_iptc_of_a_tiff_without_photoshop() -> None:
    records = b"\x1c\x02\x05\0\x01a"
    assert only(Kind.IPTC, tiff(RGB, t33723=records)) == ITEMS[-1].data


@pytest.mark.parametrize(
    ("bits", "channels", "wanted"),
    [
        (b"\5\6\5", 3, b"\5\6\5"),
        (b"\5\6\5", 4, b"\5\6\5\x08"),
        (b"\5\6\5\1", 4, b"\5\6\5\1"),
        (b"\5\6\5\1", 3, b"\5\6\5"),
        (b"\4", 1, b"\4"),
        (b"\4", 2, b"\4\x08"),
        (b"\4", 3, b"\4\4\4"),
        (b"\4\1", 4, b"\4\4\4\1"),
        (b"\5\6\5", 1, b"\6"),
        (b"", 3, b""),
    ],
)
def test_significant_bits_fit_the_channels(bits: bytes, channels: int, wanted: bytes) -> None:
    assert fitted(bits, channels) == wanted


def test_significant_bits_of_a_palette_with_transparency() -> None:
    palette = [chunk(b"PLTE", bytes(6)), chunk(b"tRNS", b"\0")]
    data = small_png(1, 3, b"\x40", chunk(b"sBIT", b"\5\6\5"), *palette)
    assert only(Kind.SBIT, data) == b"\5\6\5\x08"


@pytest.mark.parametrize(
    ("unit", "value", "metre"), [(1, 72, 2835), (1, 300, 11811), (2, 101, 10_100), (1, 1, 39)]
)
def test_density(unit: int, value: int, metre: int) -> None:
    """Of JFIF, in inches or centimetres, to metres and back."""
    jpeg = bytearray(image.to_bytes(RGB, "jpeg"))
    jpeg[13:18] = struct.pack(">BHH", unit, value, value)
    density = only(Kind.DENSITY, bytes(jpeg))
    assert density == struct.pack(">IIB", metre, metre, 1)
    again = image.to_bytes(RGB, "jpeg", (Item(Kind.DENSITY, density),))
    assert again[13:18] == jpeg[13:18]
    for format in ("png", "tiff"):
        assert only(Kind.DENSITY, image.to_bytes(RGB, format, (Item(Kind.DENSITY, density),))) == (
            density
        )


def test_density_without_a_unit() -> None:
    wide = Item(Kind.DENSITY, struct.pack(">IIB", 2, 1, 0))
    for format in ("png", "tiff", "jpeg"):
        assert metadata(image.to_bytes(RGB, format, (wide,))) == (wide,)


@pytest.mark.parametrize(
    ("data", "lost"),
    [
        (png(RGB, chunk(b"prVt", b"x")), ["its prVt chunk"]),
        (png(RGB, chunk(b"bKGD", bytes(6))), ["its background colour"]),
        (png(RGB, chunk(b"tIME", bytes(7))), ["the time of its last change"]),
        (png(RGB, after=b"more"), ["4 bytes after its end"]),
        (png(RGB, chunk(b"sRGB", b"\0"), chunk(b"sRGB", b"\1")), ["a second SRGB"]),
        (pack(pillow(RGB), "JPEG") + b"video", ["5 bytes after its end"]),
        (pack(pillow(RGB), "JPEG") + bytes(9), []),
        (
            pack(pillow(RGB), "MPO", save_all=True, append_images=[pillow(RGB)]),
            ["its further images"],
        ),
        (
            with_segments(pack(pillow(RGB), "JPEG"), [(0xEB, b"JP\0jumb")]),
            ["its APP11 data (JP)"],
        ),
        (
            with_segments(
                pack(pillow(RGB), "JPEG"), [(0xE1, b"http://ns.adobe.com/xmp/extension/\0x")]
            ),
            ["the extension of its XMP data"],
        ),
        (tiff(RGB, t301=(1, 2)), ["its transfer function"]),
        (tiff(RGB, t330=8), ["its further images"]),
        (pack(pillow(RGB).quantize(4), "TIFF"), []),
        (
            pack(pillow(RGB).convert("RGBA"), "BMP"),
            ["the fourth bytes of its pixels, which nobody explains"],
        ),
        (b"P5 1 1 100\n\x07", ["that its samples are of 0 to 100: they are scaled to 255"]),
        (b"P5 1 1 255\n\x07more", ["4 bytes after its end"]),
    ],
)
def test_what_is_lost_is_named(data: bytes, lost: list[str]) -> None:
    assert list(image.read_picture(data).lost) == lost
    stripped = image.read_picture(data, image.Choices(strip=True))
    assert stripped.metadata == ()


def test_strip_leaves_metadata_out() -> None:
    data = image.to_bytes(RGB, "png", ITEMS)
    picture = image.read_picture(data, image.Choices(strip=True))
    assert picture.metadata == () and picture.lost == ()
    np.testing.assert_array_equal(picture.pixels, RGB)


def test_other_formats_metadata() -> None:
    gif = pack(pillow(RGB).quantize(4), "GIF", comment=b"hello")
    assert metadata(gif) == (Item(Kind.TEXT, b"Comment\0\0\0hello"),)
    bmp = pack(pillow(RGB), "BMP", dpi=(300, 300))
    assert only(Kind.DENSITY, bmp) == struct.pack(">IIB", 11811, 11811, 1)
    fifth = bytearray(bmp[:14] + bytes(124) + bmp[54:])
    fifth[14:54] = struct.pack("<I", 124) + bmp[18:54]
    fifth[10:14] = struct.pack("<I", 138)
    fifth[70:74] = b"DEBM"
    fifth[126:134] = struct.pack("<II", len(fifth) - 14, len(SRGB))
    assert only(Kind.ICC, bytes(fifth) + SRGB) == SRGB
    jpeg = with_segments(image.to_bytes(RGB, "jpeg"), [(0xFE, b"caf\xe9\0")])
    assert metadata(jpeg) == (Item(Kind.TEXT, "Comment\0\0\0café".encode()),)


def test_colours_of_an_avif_that_numbers_name() -> None:
    avif = image.to_bytes(RGB, "avif")
    at = avif.index(b"colrnclx") + 8
    wide = avif[:at] + struct.pack(">HH", 9, 16) + avif[at + 4 :]
    assert metadata(avif) == ()
    assert metadata(wide) == (Item(Kind.CICP, bytes([9, 16, 0, 1])),)


def test_a_profile_of_a_jpeg_2000() -> None:
    data = pack(pillow(RGB), "JPEG2000")
    at = data.index(b"jp2h") - 4
    box = struct.pack(">I", 11 + len(SRGB)) + b"colr\2\0\0" + SRGB
    size = int.from_bytes(data[at : at + 4], "big")
    grown = struct.pack(">I", size + len(box)) + data[at + 4 : at + size] + box
    assert only(Kind.ICC, data[:at] + grown + data[at + size :]) == SRGB
    extra = struct.pack(">I", 12) + b"asoc" + bytes(4)
    assert image.read_picture(data + extra).lost == ("its asoc box",)
