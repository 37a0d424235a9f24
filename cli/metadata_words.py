"""What metadata is called in tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

WORDS = {  # by diffcodec.bitstream.metadata.Kind
    "ICC": "ICC profile",
    "ORIENTATION": "orientation",
    "SRGB": "sRGB intent",
    "GAMA": "gamma",
    "CHRM": "chromaticities",
    "CICP": "colour code points",
    "SBIT": "significant bits",
    "MDCV": "mastering display",
    "CLLI": "content light level",
    "EXIF": "EXIF",
    "XMP": "XMP",
    "DENSITY": "density",
    "TEXT": "text",
    "IPTC": "IPTC",
}


def listing(items: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """One on each item of api.info's "metadata", with its bytes."""
    for item in items:
        yield f"{WORDS[item['kind'].upper()]} {item['bytes']:,} byte{'s' * (item['bytes'] != 1)}"
