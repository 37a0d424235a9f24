"""What has been found in a file besides its pixels, and what of it cannot be kept."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from diffcodec.bitstream.metadata import Item, Kind, Metadata
from diffcodec.bitstream.metadata_items import ITEM, MAX_BYTES
from diffcodec.bitstream.sound_items import sound
from diffcodec.image import exif

PHRASES = 100  # on what is lost; a file may make up a million
INCH = 0.0254  # metres
METRE = 1  # the unit of a PNG's pHYs; 0 is none
IPTC_RESOURCE = b"8BIM\x04\x04\0\0"  # Photoshop's image resource that holds IPTC


@dataclass
class Gathered:
    """items, and phrases on what is lost, as they are found; room: bytes that further items may
    have, so that a file of theirs can be read again."""

    items: list[Item] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    room: int = MAX_BYTES // 2
    _kinds: set[Kind] = field(default_factory=set)

    def add(self, kind: Kind, data: bytes) -> None:
        """One more item; of every kind but TEXT the first one counts, others are lost."""
        if not data:
            return
        if not sound(kind, data):
            self.lose(f"its {kind.name} data, which are damaged")
        elif kind != Kind.TEXT and kind in self._kinds:
            self.lose(f"a second {kind.name}")
        elif len(data) + ITEM > self.room:
            self.lose(f"further {kind.name} data, which are too large")
        else:
            self.items.append(Item(kind, bytes(data)))
            self._kinds.add(kind)
            self.room -= len(data) + ITEM

    def lose(self, phrase: str) -> None:
        """Something that cannot be kept, said once."""
        if len(self.lost) < PHRASES and phrase not in self.lost:
            self.lost.append(phrase if len(self.lost) < PHRASES - 1 else "much else")

    def add_exif(self, data: bytes) -> None:
        """EXIF, and what it says of orientation."""
        tags = exif.bare(data)
        if tags is None:
            self.lose("its EXIF data, which are damaged")
            return
        self.add(Kind.EXIF, tags)
        if (turn := exif.orientation(tags)) != 1:
            self.add(Kind.ORIENTATION, bytes([turn]))

    def add_comment(self, data: bytes) -> None:
        """A comment without a keyword."""
        self.add_text("Comment", decoded(data.rstrip(b"\0")))

    def add_text(self, keyword: str, text: str, language: str = "", translated: str = "") -> None:
        """A text with its keyword, which names it in English."""
        words = (keyword, language, translated, text)
        if any("\0" in word for word in words[:3]):
            self.lose("a text whose keyword is damaged")
        elif text:
            self.add(Kind.TEXT, "\0".join(words).encode("utf-8", "replace"))

    def add_density(self, across: float, down: float, unit: int) -> None:
        """Pixels per metre, or without a unit how many are as long as how many."""
        if not (math.isfinite(across) and math.isfinite(down)):
            return
        x, y = round(across), round(down)
        if 0 < x < 1 << 31 and 0 < y < 1 << 31 and not (unit != METRE and x == y):
            data = x.to_bytes(4, "big") + y.to_bytes(4, "big") + bytes([unit])
            self.add(Kind.DENSITY, data)

    def add_iptc(self, records: bytes) -> None:
        """IPTC records without Photoshop's resource around them."""
        size = len(records).to_bytes(4, "big")
        self.add(Kind.IPTC, IPTC_RESOURCE + size + records + b"\0" * (len(records) % 2))

    def sorted(self) -> Metadata:
        """In rising order of kind, texts as found."""
        return tuple(sorted(self.items, key=lambda item: item.kind))


def per_inch_or_centimetre(data: bytes) -> tuple[float, float, int]:
    """Of a DENSITY item: across, down, and 1 for inches, 2 for centimetres, 0 for neither.

    Inches where they give whole numbers, within what rounding to a metre leaves open.
    """
    across, down = (int.from_bytes(data[i : i + 4], "big") for i in (0, 4))
    if data[8:9] != bytes([METRE]):
        return across, down, 0
    x, y = round(across * INCH), round(down * INCH)
    if (round(x / INCH), round(y / INCH)) == (across, down):
        return x, y, 1
    return across / 100, down / 100, 2


def decoded(data: bytes) -> str:
    """Bytes of a text of which nobody says how it is written."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")
