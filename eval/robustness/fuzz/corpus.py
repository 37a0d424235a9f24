"""What inputs are made of: the golden files, and small files that are encoded when they are asked
for, always the same."""

from __future__ import annotations

import io
from functools import cache

import numpy as np

from diffcodec.archive.archive import make_header, write_archive
from diffcodec.archive.groups import Source
from diffcodec.bitstream.metadata import Item, Kind, Metadata
from diffcodec.bitstream.profiles import profile_of
from diffcodec.bitstream.types import Pixels
from diffcodec.codec import Codec
from diffcodec.golden import FOLDER, NETWORK, golden_files
from diffcodec.image.picture import Picture

EXIF = b"MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"
ITEMS: Metadata = (
    Item(Kind.ICC, profile_of(bytes([0])) or b""),
    Item(Kind.ORIENTATION, bytes([6])),
    Item(Kind.GAMA, (45455).to_bytes(4, "big")),
    Item(Kind.CICP, bytes([1, 13, 0, 1])),
    Item(Kind.SBIT, bytes([8, 8, 8])),
    Item(Kind.EXIF, EXIF),
    Item(Kind.XMP, b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"),
    Item(Kind.DENSITY, (2835).to_bytes(4, "big") * 2 + b"\1"),
    Item(Kind.TEXT, "Title\0\0\0Übung".encode()),
    Item(Kind.TEXT, b"Comment\0en\0\0" + 20 * b"made up "),
    Item(Kind.IPTC, b"8BIM\4\4\0\0\0\0\0\0"),
)
SLOW = ("polar.dfc", "polar-step.dfc")  # a thirtieth of the speed of the others


@cache
def codec() -> Codec:
    """Of the golden network, on one thread."""
    return Codec.from_pretrained(NETWORK, threads=1)


def golden(suffix: str, *, slow: bool = False) -> list[bytes]:
    """The golden files that end so; slow: those that take long, or all others."""
    names = [one.name for one in golden_files() if one.name.endswith(suffix)]
    return [(FOLDER / name).read_bytes() for name in names if (name in SLOW) is slow]


def image(height: int, width: int, channels: int, depth: int = 8, seed: int = 0) -> Pixels:
    """(H, W, C), a slope with noise on it."""
    noise = np.random.default_rng(seed).integers(0, 9, (height, width, channels))
    y, x, c = np.mgrid[0:height, 0:width, 0:channels]
    samples = (9 * x + 5 * y + 40 * c + noise) & 255
    if depth == 8:
        return np.asarray(samples, np.uint8)
    return np.asarray(samples * 257 ^ noise, "<u2")


def graphics(height: int, width: int, channels: int, depth: int = 8) -> Pixels:
    """(H, W, C), flat squares."""
    y, x, c = np.mgrid[0:height, 0:width, 0:channels]
    samples = ((x // 8 + y // 8 + c) % 3 * 120).astype(np.uint8)
    return samples if depth == 8 else np.asarray(samples.astype("<u2") * 257)


def files() -> list[bytes]:
    """Small .dfc files without steps: strips, graphics, stored pixels, alpha, 16 bits, metadata."""
    encode = codec().encode
    noise = np.random.default_rng(1).integers(0, 256, (8, 9, 3), np.uint8)
    clear = np.concatenate([image(9, 8, 3), graphics(9, 8, 1)], axis=2)
    deep = np.concatenate([image(7, 6, 1, 16), image(7, 6, 1, 16, seed=2)], axis=2)
    return [
        encode(image(8, 8, 3), switch="none"),
        encode(image(9, 7, 1), switch="none", metadata=ITEMS),
        encode(graphics(32, 48, 3), switch="none", metadata=ITEMS[1:2]),
        encode(graphics(16, 40, 1, 16), switch="none"),
        encode(noise, switch="none"),
        encode(clear, switch="none", metadata=ITEMS[5:]),
        encode(deep, switch="none"),
    ]


def archives() -> list[bytes]:
    """Small archives: with the network and without, of one group and of several."""
    small = [Source(f"a/{i:02}.png", Picture(image(6, 5 + i % 2, 3, seed=i))) for i in range(3)]
    deep = np.concatenate([image(6, 7, 3, 16), image(6, 7, 1, 16)], axis=2)
    rich = [
        Source("deep\n.png", Picture(deep, ITEMS[:3]), 10**18, 0o644),
        Source("grey.png", Picture(image(5, 9, 1), ITEMS[1:])),
        Source("flat.png", Picture(graphics(24, 24, 3)), -(10**15), 0o400),
    ]
    return [
        *(_archive(some, "never") for some in (small, rich)),
        _archive([*small, *rich], "always"),
    ]


def _archive(sources: list[Source], network: str) -> bytes:
    stream = io.BytesIO()
    chosen = codec() if network == "always" else None
    header = make_header(chosen, "6", 16, network=network)  # type: ignore[arg-type]
    write_archive(chosen, sources, stream, header)
    return stream.getvalue()
