"""Whether an image is all there, as far as Pillow does not look."""

from __future__ import annotations

from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from diffcodec.image import png_chunks
from diffcodec.image.boxes import jp2_whole


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
