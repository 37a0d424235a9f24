"""Whether an item of metadata is what its kind says: what is not would fail those who use it."""

from __future__ import annotations

from diffcodec.bitstream.metadata import Kind

# Bytes of data. FORMAT.md, section 7.
SIZES = {
    Kind.ORIENTATION: range(1, 2),
    Kind.SRGB: range(1, 2),
    Kind.GAMA: range(4, 5),
    Kind.CHRM: range(32, 33),
    Kind.CICP: range(4, 5),
    Kind.SBIT: range(1, 5),
    Kind.MDCV: range(24, 25),
    Kind.CLLI: range(8, 9),
    Kind.DENSITY: range(9, 10),
}
_TIFF = (b"II*\0", b"MM\0*")


def sound(kind: Kind, data: bytes) -> bool:
    """Whether such data can be of this kind; it is not looked into what they say beyond that."""
    sizes = SIZES.get(kind)
    if sizes is not None and len(data) not in sizes:
        return False
    if kind == Kind.ORIENTATION:
        return 1 <= data[0] <= 8
    if kind == Kind.EXIF:
        return data[:4] in _TIFF
    if kind == Kind.TEXT:
        return data.count(b"\0") >= 3 and _is_text(data)
    return True


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
