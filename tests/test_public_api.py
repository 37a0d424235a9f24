"""The names of `import diffcodec`: paths as text and as paths, bytes, streams."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import diffcodec
from diffcodec import Codec
from diffcodec.bitstream.metadata import Item, Kind
from diffcodec.bitstream.types import Pixels

DENSITY = (Item(Kind.DENSITY, (11811).to_bytes(4, "big") * 2 + b"\1"),)


@pytest.mark.parametrize("kind", [str, Path])
def test_images_by_path(
    kind: type[str] | type[Path], small_rgb: Pixels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("photo.png", "below/photo.webp", str(tmp_path / "photo.tif")):
        Path(name).parent.mkdir(exist_ok=True)
        diffcodec.save(small_rgb, kind(name))
        assert np.array_equal(diffcodec.load(kind(name)), small_rgb)
        assert np.array_equal(diffcodec.read_picture(kind(name)).pixels, small_rgb)
    diffcodec.save(small_rgb, kind("named"), "png", DENSITY)
    assert diffcodec.read_picture(kind("named")).metadata == DENSITY
    with pytest.raises(FileNotFoundError):
        diffcodec.load(kind("nothing.png"))
    with pytest.raises(diffcodec.ImageError, match=r'"\.doc"'):
        diffcodec.save(small_rgb, kind("photo.doc"))


def test_images_as_bytes_and_streams(small_rgb: Pixels, tmp_path: Path) -> None:
    stream = io.BytesIO()
    diffcodec.save(small_rgb, stream, metadata=DENSITY)
    data = stream.getvalue()
    stream.seek(0)
    assert np.array_equal(diffcodec.load(stream), small_rgb)
    assert np.array_equal(diffcodec.load(data), small_rgb)
    assert diffcodec.read_picture(data).metadata == DENSITY
    (tmp_path / "a.png").write_bytes(data)
    with open(tmp_path / "a.png", "rb") as file:
        assert diffcodec.read_picture(file).metadata == DENSITY


@pytest.mark.usefixtures("steps_pay")
@pytest.mark.parametrize("kind", [str, Path])
def test_networks_by_path(
    kind: type[str] | type[Path], small_rgb: Pixels, tiny_network: Path, tiny_codec: Codec
) -> None:
    model = kind(tiny_network)
    data = Codec.from_pretrained(model, 1).encode(small_rgb, metadata=DENSITY)
    assert diffcodec.encode(small_rgb, model, threads=1, metadata=DENSITY) == data
    decoded = diffcodec.decode(data, model)
    assert np.array_equal(decoded.pixels, small_rgb) and decoded.metadata == DENSITY
    assert diffcodec.info(data, model)["model"] == tiny_codec.name
    assert len(diffcodec.truncate(data, max_steps=1, model=model)) < len(data)


def test_a_picture_goes_around(tiny_network: Path, tmp_path: Path, small_rgb: Pixels) -> None:
    """As README has it."""
    diffcodec.save(small_rgb, tmp_path / "photo.png", metadata=DENSITY)
    picture = diffcodec.read_picture(str(tmp_path / "photo.png"), diffcodec.Choices())
    assert isinstance(picture, diffcodec.Picture) and picture.lost == ()
    data = diffcodec.encode(picture.pixels, tiny_network, metadata=picture.metadata)
    shown = diffcodec.decode(data, tiny_network)
    assert isinstance(shown, diffcodec.Decoded) and shown.lossless
    diffcodec.save(shown.pixels, str(tmp_path / "view.png"), metadata=shown.metadata)
    assert diffcodec.read_picture(tmp_path / "view.png").metadata == DENSITY


@pytest.mark.parametrize("pixels", [None, "photo.png", [[1]], np.zeros((4, 4)), np.zeros(3)])
def test_what_are_no_pixels(pixels: Any, tmp_path: Path) -> None:
    with pytest.raises(diffcodec.OptionError, match="uint8 or uint16"):
        diffcodec.encode(pixels)
    with pytest.raises(diffcodec.ImageError, match="pixels are"):
        diffcodec.save(pixels, tmp_path / "a.png")


def test_a_name_is_no_file() -> None:
    for function in (diffcodec.decode, diffcodec.info, diffcodec.truncate):
        with pytest.raises(diffcodec.BitstreamError, match="read it first"):
            function("photo.dfc")  # type: ignore[arg-type]
