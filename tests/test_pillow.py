"""Pillow opens, saves and shrinks .dfc files."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageFile, ImageOps, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from diffcodec import Codec, api, pillow
from diffcodec.bitstream.metadata import Item, Kind
from diffcodec.image import read_picture
from tests.synthetic import synthetic_image

SIDE = 16
EXIF = Image.Exif()
EXIF[ExifTags.Base.Make] = "Maker"
EXIF[ExifTags.Base.Orientation] = 6


@pytest.fixture(autouse=True)
def known(tiny_network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of the tiny network open; warnings fail."""
    monkeypatch.setattr(pillow, "NETWORKS", [tiny_network])
    warnings.simplefilter("error")


@pytest.fixture
def saved(tiny_network: Path) -> Callable[..., bytes]:
    """What Pillow writes."""

    def save(image: Image.Image, **options: Any) -> bytes:
        stream = io.BytesIO()
        image.save(stream, "DFC", model=str(tiny_network), threads=1, **options)
        return stream.getvalue()

    return save


def opened(data: bytes) -> ImageFile.ImageFile:
    return Image.open(io.BytesIO(data))


def colours(height: int = SIDE, width: int = SIDE) -> Image.Image:
    return Image.fromarray(synthetic_image(height, width, 3, seed=1))


def deep(channels: int) -> Any:
    """(16, 16, C) uint16."""
    rng = np.random.default_rng(channels)
    return rng.integers(0, 65536, (SIDE, SIDE, channels), np.uint16)


def png(image: Image.Image, **options: Any) -> Image.Image:
    """An image that was read from a PNG."""
    stream = io.BytesIO()
    image.save(stream, "PNG", **options)
    return Image.open(stream)


def palette(**options: Any) -> Image.Image:
    return png(colours().quantize(7), **options)


ALPHA = Image.fromarray(synthetic_image(SIDE, SIDE, 1, seed=3)[..., 0])
IMAGES = {
    "L": (colours().convert("L"), "L"),
    "RGB": (colours(), "RGB"),
    "LA": (Image.merge("LA", (colours().convert("L"), ALPHA)), "LA"),
    "RGBA": (Image.merge("RGBA", (*colours().split(), ALPHA)), "RGBA"),
    "1": (colours().convert("1"), "L"),
    "P": (palette(), "RGB"),
    "P, one colour transparent": (palette(transparency=2), "RGBA"),
    "P, alpha": (palette(transparency=bytes([0, 50, 255])), "RGBA"),
    "PA": (palette().convert("PA"), "RGBA"),
    "grey, one transparent": (png(colours().convert("L"), transparency=97), "LA"),
    "1, black transparent": (png(colours().convert("1"), transparency=0), "LA"),
    "RGB, one transparent": (png(colours(), transparency=(1, 2, 3)), "RGBA"),
    "I;16": (Image.fromarray(deep(1)[..., 0]), "I;16"),
    "I;16B": (Image.frombytes("I;16B", (8, 8), bytes(range(128))), "I;16"),
    "I": (Image.fromarray(deep(1)[..., 0].astype(np.int32)), "I;16"),
}


@pytest.mark.parametrize("name", IMAGES)
def test_images_come_back(name: str, saved: Callable[..., bytes]) -> None:
    image, mode = IMAGES[name]
    back = opened(saved(image, switch="none"))
    assert (back.format, back.mode, back.size) == ("DFC", mode, image.size)
    assert back.get_format_mimetype() == "image/x-diffcodec"
    expected = image if image.mode.startswith("I") else image.convert(mode)
    assert np.array_equal(np.asarray(back), np.asarray(expected))
    assert back.info["lossless"] and back.info["depth"] == (16 if mode == "I;16" else 8)
    assert back.info["damage"] == ()


def test_a_colour_of_16_bits_may_be_transparent(saved: Callable[..., bytes]) -> None:
    grey = deep(1)[..., 0]
    image = Image.fromarray(grey)
    image.info["transparency"] = int(grey[3, 4])
    data = saved(image, switch="none")
    alpha = api.decode(data, pillow.NETWORKS[0]).pixels[..., 1]
    assert alpha[3, 4] == 0 and np.array_equal(alpha == 0, grey == grey[3, 4])


@pytest.mark.parametrize("channels, mode", [(2, "LA"), (3, "RGB"), (4, "RGBA")])
def test_what_pillow_has_no_mode_for_is_rounded(
    channels: int, mode: str, tiny_codec: Codec
) -> None:
    pixels = deep(channels)
    image = opened(tiny_codec.encode(pixels, switch="none"))
    assert image.mode == mode and image.info["depth"] == 16
    assert np.array_equal(np.asarray(image), np.rint(pixels / 257))


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "LAB", "HSV", "F", "RGBX", "RGBa", "I"])
def test_other_modes_are_refused_in_a_sentence(
    mode: str, tmp_path: Path, tiny_network: Path
) -> None:
    image = Image.new(mode, (4, 4), -1 if mode == "I" else None)
    with pytest.raises(OSError, match=rf'not mode {mode}: save image.convert\("RGB"\)'):
        image.save(tmp_path / "x.dfc", model=tiny_network)
    assert not (tmp_path / "x.dfc").exists()


@pytest.mark.usefixtures("steps_pay")
class TestOpening:
    def test_no_network_runs_until_pixels_are_asked_for(
        self, saved: Callable[..., bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "x.dfc"
        path.write_bytes(saved(colours(12, 20), exif=EXIF))
        with monkeypatch.context() as patch:
            patch.setattr(api, "decode", None)
            patch.setattr("diffcodec.zoo.load_graph", None)
            image = Image.open(path)
            assert (image.size, image.mode, image.info["lossless"]) == ((20, 12), "RGB", True)
            assert image.getexif()[ExifTags.Base.Make] == "Maker"
            assert "steps" not in image.info
        assert image.getpixel((3, 4)) == colours(12, 20).getpixel((3, 4))
        assert image.info["steps"] > 0 < image.info["steps_total"]
        image.close()

    def test_a_cut_opens_as_what_it_holds(self, saved: Callable[..., bytes]) -> None:
        data = saved(colours(), exif=EXIF, icc_profile=b"a profile")
        cut = data[: len(data) * 2 // 3]
        image = opened(cut)
        assert not image.info["lossless"] and image.info["icc_profile"] == b"a profile"
        assert image.getexif() == {ExifTags.Base.Orientation: 6}
        decoded = api.decode(cut, pillow.NETWORKS[0])
        assert np.array_equal(np.asarray(image), decoded.pixels)
        assert not image.info["lossless"] and image.info["steps"] == decoded.steps

    def test_damage_is_said(self, saved: Callable[..., bytes]) -> None:
        whole = saved(colours(4, 600), switch="none")
        strip = whole[:-10] + bytes([whole[-10] ^ 1]) + whole[-9:]
        image = opened(strip)
        with pytest.warns(UserWarning, match="the exact pixels of columns .* are damaged"):
            image.load()
        assert len(image.info["damage"]) == 1 and not image.info["lossless"]
        left = np.asarray(image)[:, :100]
        assert np.array_equal(left, np.asarray(colours(4, 600))[:, :100])
        with pytest.raises(OSError, match="are damaged"):
            opened(strip).verify()
        opened(whole).verify()
        with pytest.raises(OSError, match="do not match their checksum"):
            steps = saved(colours())
            opened(steps[:40] + bytes([steps[40] ^ 1]) + steps[41:]).load()

    def test_no_image_left(self, saved: Callable[..., bytes]) -> None:
        data = saved(colours())
        with pytest.raises(OSError, match="cut inside its header"):
            opened(data[:16])
        with pytest.raises(OSError, match="checksum"):
            opened(data[:8] + b"\xff" + data[9:])

    def test_other_files_are_left_to_others(self) -> None:
        assert png(colours()).format == "PNG"
        with pytest.raises(UnidentifiedImageError):
            opened(b"\x89df" + bytes(40))
        with pytest.raises(SyntaxError, match=r"not a \.dfc file"):
            pillow.DfcImageFile(io.BytesIO(bytes(40)))

    def test_an_unknown_network(self, saved: Callable[..., bytes]) -> None:
        image = opened(saved(colours()))
        pillow.NETWORKS.clear()
        with pytest.raises(OSError, match="no shipped network has the fingerprint"):
            image.load()

    def test_copies_and_pickles(self, saved: Callable[..., bytes]) -> None:
        image = opened(saved(colours()))
        assert image.copy().tobytes() == image.rotate(0).tobytes() == colours().tobytes()

    def test_a_thumbnail_takes_a_preview(
        self, saved: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        data = saved(colours(45, 64))
        scales = []

        def decode(*arguments: Any, scale: int, **options: Any) -> Any:
            scales.append(scale)
            return whole(*arguments, scale=scale, **options)

        whole = api.decode
        monkeypatch.setattr(api, "decode", decode)
        image = opened(data)
        image.thumbnail((8, 8))
        assert image.size == (8, 6) and not image.info["lossless"]
        small = colours(45, 64)
        small.thumbnail((8, 8))
        assert np.abs(np.asarray(image, float) - np.asarray(small, float)).mean() < 40
        for ask, size in (((64, 45), (64, 45)), ((32, 22), (32, 23)), ((9, 1), (16, 12))):
            image = opened(data)
            image.draft("L", ask)
            assert image.size == size == image.copy().size and image.mode == "RGB"
        assert scales == [2, 1, 2, 4]
        assert image.draft(None, (1, 1)) is None  # it is loaded


@pytest.mark.usefixtures("steps_pay")
class TestSaving:
    def test_options_are_those_of_encode(
        self, saved: Callable[..., bytes], tiny_codec: Codec
    ) -> None:
        image = colours(24, 32)
        pixels = np.asarray(image)
        for options in ({"bpp": 2}, {"max_bytes": 100}, {"psnr": 20}, {"effort": "fast"}):
            own: dict[str, Any] = {**options, "seed": 7}
            assert saved(image, **own) == tiny_codec.encode(pixels, **own)

    def test_by_name(self, tmp_path: Path, tiny_network: Path) -> None:
        for path in (tmp_path / "x.DFC", str(tmp_path / "y.dfc")):
            colours().save(path, model=tiny_network)
            assert Image.open(path).tobytes() == colours().tobytes()

    @pytest.mark.parametrize(
        "options, sentence",
        [
            ({"quality": 90}, 'not saved with an option "quality"; there are model'),
            ({"bpp": -1}, "bpp"),
            ({"effort": "much"}, "effort"),
            ({"exif": b"nonsense"}, "EXIF data are damaged"),
        ],
    )
    def test_what_cannot_be_meant(
        self, options: dict[str, Any], sentence: str, tmp_path: Path, tiny_network: Path
    ) -> None:
        with pytest.raises(OSError, match=sentence):
            colours().save(tmp_path / "x.dfc", model=tiny_network, **options)
        assert not list(tmp_path.iterdir())

    def test_no_such_network(self, tmp_path: Path) -> None:
        with pytest.raises(OSError, match="no network"):
            colours().save(tmp_path / "x.dfc", model="nonesuch")


class TestMetadata:
    def test_of_a_png(self, saved: Callable[..., bytes]) -> None:
        texts = PngInfo()
        texts.add_text("Title", "Hills")
        texts.add_itxt("Author", "Ünal", lang="de", tkey="Autor")
        given = {"exif": EXIF, "icc_profile": b"a profile", "dpi": (300, 150)}
        image = png(colours(), pnginfo=texts, **given)
        data = saved(image)
        back = opened(data)
        assert back.info["exif"] == b"Exif\0\0" + EXIF.tobytes().removeprefix(b"Exif\0\0")
        assert back.info["icc_profile"] == b"a profile"
        assert back.info["dpi"] == (300, 150)
        assert back.text == {"Title": "Hills", "Author": "Ünal"}  # type: ignore[attr-defined]
        assert back.info["Title"] == "Hills"
        author = next(i.data for i in api.metadata_of(data) if b"Author" in i.data)
        assert author == "Author\0de\0Autor\0Ünal".encode()
        turned = ImageOps.exif_transpose(back)
        assert turned.size == back.size[::-1]
        assert np.array_equal(np.asarray(turned), np.rot90(np.asarray(back), -1))

    def test_every_kind_survives_a_second_time(self, tiny_codec: Codec) -> None:
        """Opened and saved by Pillow: the same items, but for sBIT, which is of another file."""
        metadata = (
            Item(Kind.ICC, b"a profile"),
            Item(Kind.ORIENTATION, b"\x06"),
            Item(Kind.SRGB, b"\1"),
            Item(Kind.GAMA, (45455).to_bytes(4, "big")),
            Item(Kind.CHRM, b"".join((31270 + i).to_bytes(4, "big") for i in range(8))),
            Item(Kind.CICP, bytes([9, 16, 0, 1])),
            Item(Kind.SBIT, bytes([5, 6, 5])),
            Item(Kind.MDCV, bytes(range(24))),
            Item(Kind.CLLI, bytes(range(8))),
            Item(Kind.EXIF, EXIF.tobytes().removeprefix(b"Exif\0\0")),
            Item(Kind.XMP, b"<x:xmpmeta/>"),
            Item(Kind.DENSITY, (11811).to_bytes(4, "big") * 2 + b"\1"),
            Item(Kind.TEXT, "Title\0\0\0Hügel".encode()),
            Item(Kind.IPTC, b"8BIM\x04\x04\0\0\0\0\0\x05abcde\0"),
        )
        first = opened(tiny_codec.encode(np.asarray(colours()), metadata=metadata))
        stream = io.BytesIO()
        first.save(stream, "DFC", model=pillow.NETWORKS[0])
        again = api.metadata_of(stream.getvalue())
        assert again == tuple(item for item in metadata if item.kind != Kind.SBIT)
        assert first.info["gamma"] == 0.45455 and first.info["srgb"] == 1
        assert first.info["photoshop"] == {0x0404: b"abcde"}

    def test_of_a_jpeg(self, saved: Callable[..., bytes], tmp_path: Path) -> None:
        path = tmp_path / "x.jpg"
        colours().save(path, exif=EXIF, comment=b"by hand", dpi=(72, 72), xmp=b"<x/>")
        data = saved(Image.open(path))
        assert api.metadata_of(data) == read_picture(path).metadata

    def test_a_density_without_a_unit_is_a_shape(self, saved: Callable[..., bytes]) -> None:
        assert opened(saved(colours(), aspect=(3, 2))).info["aspect"] == (3, 2)

    def test_none_leaves_out(self, saved: Callable[..., bytes]) -> None:
        image = png(colours(), exif=EXIF, icc_profile=b"a profile")
        assert api.metadata_of(saved(image, exif=None, icc_profile=None)) == ()

    def test_what_a_short_file_leaves_out_is_said(self, saved: Callable[..., bytes]) -> None:
        image = png(colours(), exif=EXIF, icc_profile=b"a profile")
        with pytest.warns(UserWarning, match="stops early, and its EXIF data is not in it"):
            data = saved(image, max_bytes=150)
        assert {item.kind for item in api.metadata_of(data)} == {Kind.ICC, Kind.ORIENTATION}
