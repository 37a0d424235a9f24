"""Images are found by what they begin with; whatever is left out is named."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diffcodec import image
from diffcodec.image import scan
from diffcodec.image.scan import Found, find_files, find_images
from diffcodec.image.signatures import READS, format_by, why_no_image
from tests.image_files import pack, pillow

RGB = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
PNG = image.to_bytes(RGB)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as people have them."""
    (tmp_path / "b" / "c").mkdir(parents=True)
    (tmp_path / "album.png").mkdir()
    (tmp_path / ".hidden").mkdir()
    for name in ("z", "b/c/photo.PNG", "b/a.txt", "album.png/1.jfif", ".hidden/x.png", ".y.png"):
        (tmp_path / name).write_bytes(PNG)
    (tmp_path / "empty.png").touch()
    (tmp_path / "notes.png").write_text("notes")
    (tmp_path / "new.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    (tmp_path / "link.png").symlink_to("z")
    (tmp_path / "up").symlink_to("..")
    (tmp_path / "gone.png").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe.png")
    return tmp_path


def test_what_a_folder_holds(folder: Path) -> None:
    found = find_images([folder])
    assert [f.name for f in found.images] == ["album.png/1.jfif", "b/a.txt", "b/c/photo.PNG", "z"]
    assert all(f.path == folder / f.name and f.root == folder for f in found.images)
    assert found.hidden == 2
    assert {(path.name, why) for path, why in found.left_out} == {
        ("empty.png", "is empty"),
        ("gone.png", "is a link, which is not followed"),
        ("link.png", "is a link, which is not followed"),
        ("new.heic", "is HEIC, which is not read; convert it to PNG"),
        ("notes.png", "is not an image"),
        ("pipe.png", "is not a file (a pipe, a device or a socket)"),
        ("up", "is a link, which is not followed"),
    }
    assert [path for path, _ in found.left_out] == sorted(path for path, _ in found.left_out)


def test_files_that_are_named_are_taken(folder: Path) -> None:
    names = ["link.png", "notes.png", ".y.png", "pipe.png", "missing.png"]
    found = find_images([str(folder / name) for name in names])
    assert [f.name for f in found.images] == names and not found.left_out and not found.hidden
    assert found.images[0] == Found("link.png", folder / "link.png", folder / "link.png")
    through = find_images([folder / "up" / folder.name])  # a link to a folder that is named
    assert "z" in [f.name for f in through.images]


def test_sources_come_in_order_and_each_file_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    found = find_images(["z", "b", folder / "b", folder / "z", "b/../z", "album.png"])
    assert [f.name for f in found.images] == ["z", "a.txt", "c/photo.PNG", "1.jfif"]
    assert [str(f.root) for f in found.images] == ["z", "b", "b", "album.png"]
    assert find_images(["."]).images[0].name == "album.png/1.jfif"
    assert [f.name for f in find_images(["x" * 300, "z/z"]).images] == ["x" * 300, "z"]
    assert find_images([]) == scan.Scan([], [])


def test_names_that_are_not_utf_8(tmp_path: Path) -> None:
    raw = [b"\xff.png", b"\xe9t\xe9", "é\n.png".encode(), b"a\\b.png", b"\xf0\x9f\x98\x80.png"]
    for name in raw:
        (tmp_path / os.fsdecode(name)).write_bytes(PNG)
    found = find_images([tmp_path])
    assert [os.fsencode(f.name) for f in found.images] == sorted(raw)
    for f in found.images:
        np.testing.assert_array_equal(image.load(f.path), RGB)
    (tmp_path / os.fsdecode(b"\xfe.png")).write_text("no")
    assert find_images([tmp_path]).left_out[0][1] == "is not an image"


def test_what_cannot_be_read_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, list_folder = open, os.scandir

    def opened(path: Path, mode: str) -> object:
        if path.name == "z":
            raise PermissionError(13, "Permission denied", str(path))
        return whole(path, mode)

    def listed(path: Path) -> object:
        if path.name == "c":
            raise PermissionError(13, "Permission denied", str(path))
        return list_folder(path)

    monkeypatch.setattr("builtins.open", opened)
    monkeypatch.setattr(os, "scandir", listed)
    out = dict(find_images([folder]).left_out)
    reason = "cannot be read (Permission denied)"
    assert out[folder / "z"] == out[folder / "b" / "c"] == reason
    unreadable = folder / "b" / "c"
    assert find_images([unreadable]).left_out == [(unreadable, reason)]


def test_deep_folders(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"x")
    deep = tmp_path / "/".join(["d"] * 1200)
    current = os.getcwd()
    os.chdir(tmp_path)
    try:  # deeper than Python calls itself
        for _ in range(1200):
            os.mkdir("d")
            os.chdir("d")
        Path("a.png").write_bytes(PNG)
    finally:
        os.chdir(current)
    assert [f.path for f in find_images([tmp_path]).images] == [deep / "a.png"]
    os.remove(deep / "a.png")  # what pytest removes, it removes by calling itself
    os.removedirs(deep)


def test_sockets_are_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s.png")
        assert "a socket" in find_images([tmp_path]).left_out[0][1]


def test_other_kinds_of_files_are_found_too(folder: Path) -> None:
    def why_not(beginning: bytes) -> str | None:
        assert 0 < len(beginning) <= 64
        return None if beginning == b"notes" else "is no text"

    found = find_files([folder], why_not)
    assert [f.name for f in found.images] == ["notes.png"]
    assert (folder / "z", "is no text") in found.left_out


@pytest.mark.parametrize("format", ["PNG", "WEBP", "JPEG", "PPM", "BMP", "TIFF", "GIF", "AVIF"])
def test_beginnings(format: str) -> None:
    data = pack(pillow(RGB), format)
    assert format_by(data[:64]) == format and why_no_image(data[:64]) is None
    assert format_by(data[:1]) is None
    assert format_by(b"x" + data[:63]) is None


@pytest.mark.parametrize("beginning", [b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  \r\n\x87\n"])
def test_beginnings_of_jpeg_2000(beginning: bytes) -> None:
    assert format_by(beginning) == "JPEG2000"


def test_a_collection_of_brands_is_avif_if_one_is() -> None:
    assert format_by(b"\0\0\0\x1cftypmif1\0\0\0\0mif1miafavif") == "AVIF"
    assert format_by(b"\0\0\0\x1cftypmif1\0\0\0\0mif1miafheic") == "HEIC"


def test_all_that_is_read_has_a_beginning() -> None:
    formats = {"PNG", "WEBP", "JPEG", "BMP", "TIFF", "GIF", "JPEG2000", "AVIF"}
    assert set(READS) == formats | {"PPM"}  # which is read here
    Image.init()
    assert formats <= set(Image.OPEN)
