"""Tags of a TIFF: which describe the picture, and which only how it is stored."""

from __future__ import annotations

from PIL import ExifTags, Image, TiffTags
from PIL.TiffImagePlugin import TiffImageFile

from diffcodec.bitstream.metadata import Kind
from diffcodec.image import exif
from diffcodec.image.gathered import METRE, Gathered
from diffcodec.image.jpeg_metadata import INCH

ICC, XMP, IPTC, RESOURCES, DNG_VERSION = 34675, 700, 33723, 34377, 50706
RESOLUTION_X, RESOLUTION_Y, RESOLUTION_UNIT = 282, 283, 296
EXTRA_SAMPLES = 338
# Of the picture: title, camera, times, people, place. All others of EXIF stand in directories.
DESCRIBING = (269, 270, 271, 272, 285, 305, 306, 315, 316, 18246, 18249, 33432)
DESCRIBING += (40091, 40092, 40093, 40094, 40095)  # Windows: title, comment, author, ...
DIRECTORIES = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
# How pixels are stored: sizes, bits, compression, strips, tiles, palette, ranges, page numbers
_STORING = {254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 277, 278, 279, 280, 281}
_STORING |= {284, 288, 289, 290, 291, 292, 293, 297, 317, 320, 322, 323, 324, 325, 338, 339, 340}
_STORING |= {341, 347, 512, 513, 514, 515, 517, 518, 519, 520, 521, 529, 530, 531, 532, 301, 318}
_STORING |= {319}
_STORING |= {RESOLUTION_X, RESOLUTION_Y, RESOLUTION_UNIT, exif.ORIENTATION, ICC, XMP, RESOURCES}
COLOURS = {301: "its transfer function", 318: "its white point", 319: "its primaries"}


def tiff_metadata(file: TiffImageFile) -> Gathered:
    """Of an open TIFF, whose pixels are not loaded yet: loading turns them, and forgets it."""
    found, tags = Gathered(), file.tag_v2
    if described := _exif(file):
        found.add_exif(described)
    found.add(Kind.ICC, _bytes(tags.get(ICC)))
    found.add(Kind.XMP, _bytes(tags.get(XMP)).rstrip(b"\0"))
    found.add(Kind.IPTC, _bytes(tags.get(RESOURCES)))
    if (records := _bytes(tags.get(IPTC))) and RESOURCES not in tags:
        found.add_iptc(records)
    metres = {2: 1 / INCH, 3: 100.0}.get(tags.get(RESOLUTION_UNIT, 2))
    if RESOLUTION_X in tags and RESOLUTION_Y in tags:
        across, down = float(tags[RESOLUTION_X]), float(tags[RESOLUTION_Y])
        found.add_density(across * (metres or 1), down * (metres or 1), METRE if metres else 0)
    for tag, phrase in COLOURS.items():
        if tag in tags:
            found.lose(phrase)
    for tag in tags:
        if tag not in _STORING and tag not in DESCRIBING and tag not in (*DIRECTORIES, IPTC):
            name = TiffTags.lookup(tag).name
            found.lose(f"its TIFF tag {tag}" + (f" ({name})" if name != "unknown" else ""))
    if any(v % 256 not in (0, v // 256) for v in tags.get(320, ())):
        found.lose("the finer colours of its palette")
    if 0 in tags.get(EXTRA_SAMPLES, ()):
        found.lose("its channels beside colours and alpha")
    return found


def _exif(file: TiffImageFile) -> bytes:
    """EXIF of what describes the picture; empty if nothing does."""
    tags, described = file.tag_v2, Image.Exif()
    for tag in DESCRIBING:
        if tag in tags:
            described[tag] = tags[tag]
    turn = tags.get(exif.ORIENTATION, 1)
    if turn in range(2, 9):
        described[exif.ORIENTATION] = turn
    for directory in DIRECTORIES:
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
