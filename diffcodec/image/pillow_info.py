"""Metadata as Pillow's readers put it into `Image.info`, and as its writers take it from there."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import Any

from PIL import Image

from diffcodec.bitstream.metadata import Kind, Metadata
from diffcodec.image.exif import PREFIX, bare, with_orientation
from diffcodec.image.gathered import INCH, METRE, Gathered, per_inch_or_centimetre

UNIT = 100_000  # of gAMA and cHRM
# What Pillow has no name for stands under the chunk's name, as bytes. sBIT is of the file that the
# pixels came from, and would be wrong of others.
_PLAIN = {"cicp": Kind.CICP, "mdcv": Kind.MDCV, "clli": Kind.CLLI}


def info_of(metadata: Metadata) -> dict[str, Any]:
    """icc_profile, exif, xmp, dpi or aspect, gamma, chromaticity, srgb, photoshop, and texts by
    their keywords, as of Pillow's own PNG and JPEG files."""
    items = {item.kind: item.data for item in metadata if item.kind != Kind.TEXT}
    info: dict[str, Any] = {}
    for keyword, text in texts_of(metadata).items():
        info[keyword] = text
    for kind, name in ((Kind.ICC, "icc_profile"), (Kind.XMP, "xmp")):
        if kind in items:
            info[name] = items[kind]
    turn = items.get(Kind.ORIENTATION)
    exif = items.get(Kind.EXIF)
    if turn:
        exif = with_orientation(exif, turn[0])
    if exif:
        info["exif"] = PREFIX + exif
    if Kind.DENSITY in items:
        across, down, unit = per_inch_or_centimetre(items[Kind.DENSITY])
        scale = 2.54 if unit == 2 else 1
        info["dpi" if unit else "aspect"] = across * scale, down * scale
    if Kind.GAMA in items:
        info["gamma"] = int.from_bytes(items[Kind.GAMA], "big") / UNIT
    if Kind.CHRM in items:
        info["chromaticity"] = tuple(n / UNIT for n in struct.unpack(">8I", items[Kind.CHRM]))
    if Kind.SRGB in items:
        info["srgb"] = items[Kind.SRGB][0]
    if Kind.IPTC in items:
        info["photoshop"] = dict(_resources(items[Kind.IPTC]))
    return info | {name: items[kind] for name, kind in _PLAIN.items() if kind in items}


def texts_of(metadata: Metadata) -> dict[str, str]:
    """Texts by their keywords."""
    words = [item.data.decode().split("\0", 3) for item in metadata if item.kind == Kind.TEXT]
    return {keyword: text for keyword, _, _, text in words}


def metadata_of(info: Mapping[str, Any], texts: Mapping[str, str]) -> Metadata:
    """The inverse, of `Image.info` and what a caller gives in its place; None: leave it out.

    exif: bytes or an Image.Exif; texts: those of a PNG, with languages if they have any. Raises
    ValueError for EXIF that is none.
    """
    found = Gathered()
    found.add(Kind.ICC, info.get("icc_profile") or b"")
    _add_exif(info.get("exif"), found)
    xmp = info.get("xmp") or b""
    found.add(Kind.XMP, xmp.encode() if isinstance(xmp, str) else xmp)
    if info.get("dpi"):
        across, down = info["dpi"]
        found.add_density(float(across) / INCH, float(down) / INCH, METRE)
    elif info.get("aspect"):
        across, down = info["aspect"]
        found.add_density(across, down, 0)
    if info.get("gamma"):
        found.add(Kind.GAMA, round(info["gamma"] * UNIT).to_bytes(4, "big"))
    if info.get("chromaticity"):
        numbers = [round(n * UNIT) for n in info["chromaticity"]]
        found.add(Kind.CHRM, struct.pack(">8I", *numbers))
    if info.get("srgb") is not None:
        found.add(Kind.SRGB, bytes([info["srgb"]]))
    if isinstance(info.get("photoshop"), Mapping):
        found.add(Kind.IPTC, _packed(info["photoshop"]))
    for name, kind in _PLAIN.items():
        found.add(kind, info.get(name) or b"")
    if isinstance(info.get("comment"), bytes):
        found.add_comment(info["comment"])
    for keyword, text in texts.items():
        language, translated = getattr(text, "lang", "") or "", getattr(text, "tkey", "") or ""
        found.add_text(keyword, text, _word(language), _word(translated))
    return found.sorted()


def _add_exif(exif: Any, found: Gathered) -> None:
    if not exif:
        return
    data = exif.tobytes() if isinstance(exif, Image.Exif) else bytes(exif)
    if bare(data) is None:
        raise ValueError("the EXIF data are damaged; leave them out with exif=None")
    found.add_exif(data)


def _word(word: str | bytes) -> str:
    return word.decode() if isinstance(word, bytes) else word


def _resources(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and data of Photoshop's resources; a name between them is left out, as by Pillow."""
    at = 0
    while data[at : at + 4] == b"8BIM" and len(data) >= at + 7:
        number = int.from_bytes(data[at + 4 : at + 6], "big")
        at += 6 + (data[at + 6] + 2) // 2 * 2
        size = int.from_bytes(data[at : at + 4], "big")
        yield number, data[at + 4 : at + 4 + size]
        at += 4 + (size + 1) // 2 * 2


def _packed(resources: Mapping[int, Any]) -> bytes:
    """Those that are bytes; Pillow takes the density apart, which is kept as such."""
    return b"".join(
        b"8BIM" + struct.pack(">HHI", number, 0, len(data)) + data + b"\0" * (len(data) % 2)
        for number, data in resources.items()
        if isinstance(data, bytes)
    )
