"""What an image carries besides its pixels: items of a kind and bytes. FORMAT.md specifies them.

What colours and their arrangement depend on stands early in a file, so that a cut is shown right;
the rest follows after the exact pixels.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class Kind(IntEnum):
    """What an item is. Those below LATE stand early in a file.

    ICC: a colour profile. ORIENTATION: one byte, 1..8 as in EXIF; the pixels are not turned. SRGB
    to CLLI, and DENSITY (pHYs): the data of the PNG chunk. EXIF: its TIFF structure, without "Exif"
    in front. XMP: a packet, UTF-8. TEXT: keyword, language, translated keyword and text, in UTF-8
    with zero bytes between them. IPTC: Photoshop's image resources, as in JPEG's APP13.
    """

    ICC = 1
    ORIENTATION = 2
    SRGB = 3
    GAMA = 4
    CHRM = 5
    CICP = 6
    SBIT = 7
    MDCV = 8
    CLLI = 9
    EXIF = 16
    XMP = 17
    DENSITY = 18
    TEXT = 19
    IPTC = 20


LATE = 16


class Item(NamedTuple):
    """One thing that an image carries; of TEXT there may be several."""

    kind: Kind
    data: bytes

    @property
    def early(self) -> bool:
        """Whether it has to be known to show the image."""
        return self.kind < LATE


Metadata = tuple[Item, ...]  # in rising order of kind
