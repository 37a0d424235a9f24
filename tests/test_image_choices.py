"""What cannot be kept is refused in a sentence that says what to do; what was chosen is done."""

from __future__ import annotations

import io
import struct
import threading

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageFile

from diffcodec import image
from diffcodec.bitstream.metadata import Item, Kind
from diffcodec.image import Choices, ImageError
from diffcodec.image.conversion import flattened
from diffcodec.image.truncation import truncated_images
from tests.image_files import Samples, pack, pillow, png, tiff

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (7, 9, 3), dtype=np.uint8)
RGBA = RNG.integers(0, 256, (7, 9, 4), dtype=np.uint8)
DEEP = RNG.integers(0, 65536, (7, 9, 3)).astype(np.uint16)
OTHER = 255 - RGB
SEVERAL = {
    format: pack(pillow(RGB), format, save_all=True, append_images=[pillow(OTHER)])
    for format in ("PNG", "TIFF")
} | {
    "WEBP": pack(pillow(RGB), "WEBP", save_all=True, append_images=[pillow(OTHER)], lossless=True),
    "MPO": pack(pillow(RGB), "MPO", save_all=True, append_images=[pillow(OTHER)]),
    "PPM": image.to_bytes(RGB, "ppm") + image.to_bytes(OTHER, "ppm"),
}
CMYK = pillow(RGB).convert("CMYK")
AVIF = image.to_bytes(RGB, "avif")
AT = AVIF.index(b"av1C") + 6
DEEP_AVIF = AVIF[:AT] + bytes([AVIF[AT] | 0x40]) + AVIF[AT + 1 :]
JP2 = pack(pillow(RGB), "JPEG2000")
SIZ = JP2.index(b"\xff\x4f\xff\x51") + 42


def planes(samples: Samples) -> bytes:
    """A TIFF that says its channels lie apart."""
    return tiff(samples, t284=2)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (pack(CMYK, "JPEG"), r"is CMYK, not RGB or grey; convert it to RGB \(--convert rgb does\)"),
        (pack(CMYK, "TIFF"), "is CMYK"),
        (pack(pillow(RGB).convert("LAB"), "TIFF"), "is LAB.*--convert rgb"),
        (pack(pillow(RGB).convert("YCbCr"), "TIFF"), "is YCbCr.*--convert rgb"),
        (pack(Image.new("F", (2, 2)), "TIFF"), "floating-point numbers.*--convert rgb scales"),
        (pack(Image.new("I", (2, 2)), "TIFF"), "numbers of 32 bits.*--convert rgb scales"),
        (tiff(RGBA, t338=1), "multiplied by alpha.*--convert rgb divides"),
        (tiff(RGBA[..., :2].copy(), t338=1), "multiplied by alpha"),
        (tiff(RGB[..., :1].copy(), t339=2), "signed numbers"),
        (planes(DEEP), "lie apart.*convert it to PNG"),
        (tiff(DEEP[..., :1].copy(), t262=0), "0 is white.*convert it to PNG"),
        (tiff(RGB, t50706=b"\1\4\0\0"), "camera's raw file; develop it"),
        (tiff(RGB, t254=1, t330=8), "camera's raw file"),
        (DEEP_AVIF, "AVIF of 10 bits.*convert it to PNG"),
        (JP2[:SIZ] + b"\x0b" + JP2[SIZ + 1 :], "JPEG 2000 of 8, 12 bits.*convert it to PNG"),
        (b"P5 1 1 1023\n\0\0", "samples of 0 to 1023; convert it to 255 or 65535"),
        (b"P5 1 1 0\n\0", "samples of 0 to 0"),
        (b"P5 2 1 100\n\x07\x65", "a sample is 101, above its maximum of 100"),
        (b"P2 2 1 100\n7 101", "a sample is 101, above its maximum of 100"),
        (b"P2 2 1 100\n7 x", "not a number"),
        (b"P5 2 2 255\n123", "pixels are missing"),
        (b"P2 2 2 255\n1 2 3", "pixels are missing"),
        (b"P6 2 two 255\n", "not a row of numbers"),
        (b"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 5\nMAXVAL 255\nENDHDR\n12345", "neither grey nor RGB"),
        (b"P7\nWIDTH 1\nDEPTH 5\nMAXVAL 255\nENDHDR\n12345", "lacks a number"),
        (b"P7\nWIDTH 1\nHEIGHT 1", "has no end"),
        (b"P4 0 3\n", "no pixels"),
        (b"P4 99999 99999\n", "pixels, more than"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40), "is HEIC, which is not read; convert"),
        (b"\xff\x0a" + bytes(40), "is JPEG XL, which is not read; convert it to PNG"),
        (b"8BPS" + bytes(40), "is Photoshop, which is not read"),
        (b"hello, world", "is not an image that can be read; convert it to PNG"),
        (b"BM is not a bitmap, nor is P6", "is not an image"),
        (b"", "is empty"),
    ],
)
def test_refused(data: bytes, reason: str) -> None:
    with pytest.raises(ImageError, match=f"the input.*{reason}") as refusal:
        image.read_picture(data)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("format", SEVERAL)
def test_one_of_several_images(format: str) -> None:
    data = SEVERAL[format]
    if format == "MPO":  # its first image is the picture
        assert image.read_picture(data).lost == ("its further images",)
    else:
        with pytest.raises(ImageError, match=r"several images; choose one of them \(--frame 0"):
            image.load(data)
    for number, wanted in enumerate((RGB, OTHER)):
        pixels = image.load(data, Choices(frame=number))[..., :3]
        if format == "MPO":
            assert np.abs(pixels.astype(int) - wanted).mean() < 60
        else:
            np.testing.assert_array_equal(pixels, wanted)
    for number in (2, -1):
        with pytest.raises(ImageError, match=f"has no image {number}"):
            image.load(data, Choices(frame=number))


def test_the_only_image_is_number_0() -> None:
    data = pack(pillow(RGB), "PNG")
    np.testing.assert_array_equal(image.load(data, Choices(frame=0)), RGB)
    with pytest.raises(ImageError, match="has no image 1: it holds image 0 alone"):
        image.load(data, Choices(frame=1))


@pytest.mark.parametrize("mode", ["CMYK", "LAB", "YCbCr"])
def test_other_colours_become_rgb(mode: str) -> None:
    grey = Image.new("RGB", (4, 4), (200, 100, 50))
    made = grey.convert(mode)
    if mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(grey, srgb, lab, outputMode="LAB")
        assert converted is not None
        made = converted
    picture = image.read_picture(pack(made, "TIFF"), Choices(rgb=True))
    assert picture.pixels.shape == (4, 4, 3)
    assert np.abs(picture.pixels.astype(int) - (200, 100, 50)).max() <= 3


def test_cmyk_goes_through_its_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile that is none is not used; the one of the colours before is not kept."""
    data = pack(CMYK, "TIFF", icc_profile=b"nonsense")
    picture = image.read_picture(data, Choices(rgb=True))
    np.testing.assert_array_equal(picture.pixels, np.asarray(CMYK.convert("RGB")))
    assert picture.metadata == ()
    asked = []

    def convert(made: Image.Image, *_: object, outputMode: str) -> Image.Image:
        asked.append((made.mode, outputMode))
        return Image.new("RGB", made.size, (1, 2, 3))

    monkeypatch.setattr(ImageCms, "profileToProfile", convert)
    monkeypatch.setattr(ImageCms, "ImageCmsProfile", lambda data: data)
    pixels = image.load(data, Choices(rgb=True))
    assert asked == [("CMYK", "RGB")] and (pixels == (1, 2, 3)).all()


def test_numbers_are_scaled_to_rgb() -> None:
    values = np.array([[-1.0, 0.0, 0.5, 2.0, np.nan, np.inf]], np.float32)
    pixels = image.load(pack(Image.fromarray(values), "TIFF"), Choices(rgb=True))
    np.testing.assert_array_equal(pixels[0, :, 0], [0, 0, 64, 255, 0, 0])
    small = np.array([[0.0, 0.5]], np.float32)
    pixels = image.load(pack(Image.fromarray(small), "TIFF"), Choices(rgb=True))
    np.testing.assert_array_equal(pixels[0, :, 0], [0, 128])
    whole = np.array([[0, 1000, 100_000]], np.int32)
    pixels = image.load(pack(Image.fromarray(whole), "TIFF"), Choices(rgb=True))
    np.testing.assert_array_equal(pixels[0], [[0] * 3, [3] * 3, [255] * 3])


def test_colours_multiplied_by_alpha_are_divided() -> None:
    made = np.array([[[50, 25, 0, 128], [9, 9, 9, 255]]], np.uint8)
    pixels = image.load(tiff(made, t338=1), Choices(rgb=True))
    np.testing.assert_array_equal(pixels[0, 1], [9, 9, 9, 255])
    assert pixels[0, 0, 3] == 128 and abs(int(pixels[0, 0, 0]) - 100) <= 1


def test_converting_leaves_others_alone() -> None:
    for data, wanted in ((png(RGBA), RGBA), (png(DEEP), DEEP), (png(RGB[..., :1]), RGB[..., :1])):
        np.testing.assert_array_equal(image.load(data, Choices(rgb=True)), wanted)
    profile = Item(Kind.ICC, b"\0" * 16 + b"RGB " + bytes(108))
    data = image.to_bytes(RGB, "tiff", (profile,))
    assert image.read_picture(data, Choices(rgb=True)).metadata == (profile,)


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("channels", [2, 4])
@pytest.mark.parametrize("colour", [(255, 255, 255), (10, 200, 30)])
def test_flatten(deep: bool, channels: int, colour: tuple[int, int, int]) -> None:
    peak = 65535 if deep else 255
    dtype = np.uint16 if deep else np.uint8
    pixels: Samples = RNG.integers(0, peak + 1, (7, 9, channels)).astype(dtype)
    pixels[0, :, -1], pixels[1, :, -1] = 0, peak
    flat = image.load(png(pixels), Choices(flatten=colour))
    grey = channels == 2 and colour[0] == colour[1]
    assert flat.dtype == dtype and flat.shape == (7, 9, 1 if grey else 3)
    ground = np.array(colour[: flat.shape[2]]) * (peak // 255)
    np.testing.assert_array_equal(flat[0], np.broadcast_to(ground, flat[0].shape))
    np.testing.assert_array_equal(flat[1], np.broadcast_to(pixels[1, :, :-1], flat[1].shape))
    alpha = pixels[..., -1:].astype(float) / peak
    exact = pixels[..., :-1] * alpha + ground * (1 - alpha)
    assert np.abs(flat - exact).max() <= 0.5 + 1e-6


def test_flatten_works_in_strips_and_leaves_opaque_kinds_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = flattened(RGBA, (1, 2, 3))
    monkeypatch.setattr("diffcodec.image.conversion.STRIP", 2 * RGBA.shape[1])
    np.testing.assert_array_equal(flattened(RGBA, (1, 2, 3)), whole)
    np.testing.assert_array_equal(image.load(png(RGB), Choices(flatten=(1, 2, 3))), RGB)


def test_flattening_drops_the_alpha_of_the_significant_bits() -> None:
    data = image.to_bytes(RGBA, "png", (Item(Kind.SBIT, b"\5\6\5\1"),))
    picture = image.read_picture(data, Choices(flatten=(0, 0, 0)))
    back = image.read_picture(image.to_bytes(picture.pixels, "png", picture.metadata))
    assert back.metadata == (Item(Kind.SBIT, b"\5\6\5"),)


def test_truncated_images_are_taken_if_that_was_chosen() -> None:
    whole = pack(pillow(np.repeat(RGB, 40, axis=0)), "PNG", compress_level=0)
    with pytest.raises(ImageError, match=r"cut short or damaged .*--accept-truncated"):
        image.load(whole[:3000])
    with pytest.raises(ImageError, match=r"cut short or damaged [^-]*\Z"):
        image.load(whole[:40])  # nothing is there
    picture = image.read_picture(whole[:3000], Choices(truncated=True))
    assert picture.lost == ("what is missing of its pixels",)
    np.testing.assert_array_equal(picture.pixels[:80], np.repeat(RGB, 40, axis=0)[:80])
    assert not picture.pixels[-1].any()
    assert image.read_picture(whole, Choices(truncated=True)).lost == ()
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


def test_the_switch_for_truncated_images_is_not_seen_by_other_readers() -> None:
    """While one thread takes what there is, another still refuses."""
    order: list[str] = []
    inside, leave = threading.Event(), threading.Event()

    def takes() -> None:
        with truncated_images(True):
            inside.set()
            leave.wait(5)
            order.append("taken")

    def refuses() -> None:
        with truncated_images(False):
            order.append("on" if ImageFile.LOAD_TRUNCATED_IMAGES else "off")

    first, second = threading.Thread(target=takes), threading.Thread(target=refuses)
    first.start()
    assert inside.wait(5)
    second.start()
    second.join(0.05)
    leave.set()
    first.join()
    second.join()
    assert order == ["taken", "off"]


def test_a_pipe_is_read_once_and_no_further_than_it_has_to() -> None:
    class Pipe(io.RawIOBase):
        """Gives a few bytes at a time, cannot go back, and does not end."""

        def __init__(self, data: bytes, ends: bool) -> None:
            self.left, self.ends = data, ends

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
            if not self.left and not self.ends:
                raise AssertionError("read on")
            part = self.left[: min(7, len(buffer))]
            buffer[: len(part)] = part
            self.left = self.left[len(part) :]
            return len(part)

    np.testing.assert_array_equal(image.load(Pipe(png(RGB), True)), RGB)  # type: ignore[arg-type]
    with pytest.raises(ImageError, match="not an image"):
        image.load(Pipe(bytes(64), False))  # type: ignore[arg-type]


def test_sizes_that_a_format_cannot_hold() -> None:
    long = np.zeros((1, 70_000, 1), np.uint8)
    for format, side in (("webp", "16,383"), ("jpeg", "65,500"), ("avif", "65,535")):
        with pytest.raises(ImageError, match=f"has at most {side} pixels on a side; write PNG"):
            image.to_bytes(long, format)
    np.testing.assert_array_equal(image.load(image.to_bytes(long, "tiff")), long)
    assert struct.unpack(">II", image.to_bytes(long)[16:24]) == (70_000, 1)


def test_formats_that_pillow_was_built_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("PIL.features.get_supported", lambda: ["jpg", "webp"])
    with pytest.raises(ImageError, match="is AVIF, which this Pillow does not read; convert it"):
        image.load(AVIF)
    with pytest.raises(ImageError, match="this Pillow does not write AVIF; write PNG"):
        image.to_bytes(RGB, "avif")
    assert image.load(image.to_bytes(RGB, "webp")).size
