"""EXIF as bytes: a TIFF structure, of which little has to be known here."""

from __future__ import annotations

from typing import Literal, NamedTuple

from PIL import ExifTags, Image

ORIENTATION = 0x0112
PREFIX = b"Exif\0\0"
DIRECTORIES = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)


class _Entry(NamedTuple):
    type: int
    number: int  # of values
    at: int  # of its value


def bare(exif: bytes) -> bytes | None:
    """Without "Exif" in front; None if it is no TIFF structure."""
    while exif.startswith(PREFIX):
        exif = exif[len(PREFIX) :]
    return exif if exif[:4] in (b"II*\0", b"MM\0*") else None


def orientation(exif: bytes) -> int:
    """2..8, or 1 where it says nothing, or nothing that means something."""
    entry = _find(exif, ORIENTATION)
    if entry is None or entry.type != 3 or entry.number != 1:
        return 1
    turn = int.from_bytes(exif[entry.at : entry.at + 2], _order(exif))
    return turn if 1 <= turn <= 8 else 1


def with_orientation(exif: bytes | None, turn: int) -> bytes:
    """The same (or new), saying how to turn the image."""
    if exif and orientation(exif) == turn:
        return exif
    entry = _find(exif, ORIENTATION) if exif else None
    if exif and entry and entry.type == 3:
        value = turn.to_bytes(2, _order(exif))
        return exif[: entry.at] + value + exif[entry.at + 2 :]
    tags = (parsed(exif) if exif else None) or Image.Exif()
    tags[ORIENTATION] = turn
    return tags.tobytes().removeprefix(PREFIX)


def parsed(exif: bytes) -> Image.Exif | None:
    """As Pillow's dictionary, for formats that write it anew; None if it is too damaged for that.

    Call it where warnings are ignored.
    """
    tags = Image.Exif()
    try:
        tags.load(exif)
        for directory in DIRECTORIES:
            tags.get_ifd(directory)
        tags.tobytes()
    except Exception:  # Pillow raises almost anything on odd values
        return None
    return tags


def has_thumbnail(exif: bytes) -> bool:
    """Whether there is a second directory, which describes a thumbnail."""
    start, count = _directory(exif)
    at = start + 12 * count
    return bool(int.from_bytes(exif[at : at + 4], _order(exif)))


def _order(exif: bytes) -> Literal["little", "big"]:
    return "little" if exif[:2] == b"II" else "big"


def _directory(exif: bytes) -> tuple[int, int]:
    """Where its entries begin, and how many there are room for."""
    start = int.from_bytes(exif[4:8], _order(exif))
    count = int.from_bytes(exif[start : start + 2], _order(exif))
    return start + 2, max(0, min(count, (len(exif) - start - 2) // 12))


def _find(exif: bytes, tag: int) -> _Entry | None:
    order = _order(exif)
    start, count = _directory(exif)
    for at in range(start, start + 12 * count, 12):
        if int.from_bytes(exif[at : at + 2], order) == tag:
            kind = int.from_bytes(exif[at + 2 : at + 4], order)
            return _Entry(kind, int.from_bytes(exif[at + 4 : at + 8], order), at + 8)
    return None
