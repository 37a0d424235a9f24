"""Tags of a TIFF: which describe the picture, and which only how it is stored."""

from __future__ import annotations

from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from diffcodec.bitstream.metadata import Kind
from diffcodec.image import exif
from diffcodec.image.gathered import INCH, METRE, Gathered

ICC, XMP, IPTC, RESOURCES, DNG_VERSION = 34675, 700, 33723, 34377, 50706
RESOLUTION_X, RESOLUTION_Y, RESOLUTION_UNIT = 282, 283, 296
EXTRA_SAMPLES = 338
_LOST = {
    301: "its transfer function",
    318: "its white point",
    319: "its primaries",
    330: "its further images",
    400: "its fax parameters",
    37724: "its Photoshop layers",
}
# How pixels are stored: sizes, bits, compression, strips, tiles, palette, ranges, page numbers
STORING = {254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 277, 278, 279, 280, 281}
STORING |= {284, 288, 289, 290, 291, 292, 293, 297, 317, 320, 322, 323, 324, 325, 338, 339, 340}
STORING |= {341, 347, 512, 513, 514, 515, 517, 518, 519, 520, 521, 529, 530, 531, 532, 301, 318}
STORING |= {319}
STORING |= {RESOLUTION_X, RESOLUTION_Y, RESOLUTION_UNIT, ICC, XMP, RESOURCES, IPTC}
STORING |= {34665, 34853, 40965}  # the directories


def tiff_metadata(file: TiffImageFile) -> Gathered:
    """Of an open TIFF, whose pixels are not loaded yet: loading turns them, and forgets it."""
    found, tags = Gathered(), file.tag_v2
    try:
        described = _exif(file)
    except Exception:  # Pillow's writer raises almost anything on odd values
        found.lose("its tags that describe it, which are damaged")
    else:
        found.add_exif(described) if described else None
    found.add(Kind.ICC, _bytes(tags.get(ICC)))
    found.add(Kind.XMP, _bytes(tags.get(XMP)).rstrip(b"\0"))
    found.add(Kind.IPTC, _bytes(tags.get(RESOURCES)))
    if (records := _bytes(tags.get(IPTC))) and RESOURCES not in tags:
        found.add_iptc(records)
    metres = {2: 1 / INCH, 3: 100.0}.get(tags.get(RESOLUTION_UNIT, 2))
    if RESOLUTION_X in tags and RESOLUTION_Y in tags:
        across, down = float(tags[RESOLUTION_X]), float(tags[RESOLUTION_Y])
        found.add_density(across * (metres or 1), down * (metres or 1), METRE if metres else 0)
    for tag, phrase in _LOST.items():
        if tag in tags:
            found.lose(phrase)
    if any(v % 256 not in (0, v // 256) for v in tags.get(320, ())):
        found.lose("the finer colours of its palette")
    if 0 in tags.get(EXTRA_SAMPLES, ()):
        found.lose("its channels beside colours and alpha")
    return found


def _exif(file: TiffImageFile) -> bytes:
    """EXIF of what describes the picture; empty if nothing does."""
    tags, described = file.tag_v2, Image.Exif()
    for tag in tags:
        upright = tag == exif.ORIENTATION and tags[tag] == 1
        if tag not in STORING and tag not in _LOST and not upright:
            described[tag] = tags[tag]
    for directory in exif.DIRECTORIES:
        if directory in tags and (inner := file.getexif().get_ifd(directory)):
            described.get_ifd(directory).update(inner)
            described[directory] = dict(inner)
    return described.tobytes() if len(described) else b""


def _bytes(value: object) -> bytes:
    """Of a tag that holds bytes, in whatever type it is written."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode("latin-1", "replace")
    if isinstance(value, tuple) and all(isinstance(v, int) and 0 <= v < 256 for v in value):
        return bytes(value)
    return b""
