"""Whether an image is all there, and taking what there is of one that is not.

Pillow's switch for images that are cut short is one for the whole process: readers that need it
off run beside each other, one that needs it on runs alone.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image, ImageFile
from PIL.TiffImagePlugin import TiffImageFile

from diffcodec.image import png_chunks
from diffcodec.image.boxes import jp2_whole

_ready = threading.Condition()
_reading = 0  # how many read with the switch off


@contextmanager
def truncated_images(accepted: bool) -> Iterator[None]:
    """While Pillow reads: whether an image that is cut short is taken as far as it goes."""
    with _alone() if accepted else _together():
        yield


@contextmanager
def _together() -> Iterator[None]:
    global _reading
    with _ready:
        _reading += 1
    try:
        yield
    finally:
        with _ready:
            _reading -= 1
            _ready.notify_all()


@contextmanager
def _alone() -> Iterator[None]:
    with _ready:
        _ready.wait_for(lambda: _reading == 0)
        before = ImageFile.LOAD_TRUNCATED_IMAGES
        ImageFile.LOAD_TRUNCATED_IMAGES = True
        try:
            yield
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = before


def check_whole(file: Image.Image, data: bytes) -> None:
    """Raise ValueError if something is missing or damaged. file: open, not loaded; data: all."""
    if file.format == "PNG":
        png_chunks.check(data)
    elif file.format == "JPEG2000" and not jp2_whole(data):
        raise ValueError("its end is missing")
    elif isinstance(file, TiffImageFile):
        _check_tiles(file)


def _check_tiles(file: TiffImageFile) -> None:
    """Strips or tiles have to cover the image: Pillow leaves the rest black."""
    planes = len(file.getbands()) if file.tag_v2.get(284, 1) == 2 else 1
    covered = 0
    for tile in file.tile:
        left, top, right, bottom = tile.extents or (0, 0, *file.size)
        covered += (right - left) * (bottom - top) * (planes if tile.codec_name == "libtiff" else 1)
    if covered < file.width * file.height * planes:
        raise ValueError("strips of pixels are missing")
