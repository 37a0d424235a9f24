"""Small encodes whose bytes must not change: what `tests/encodes.json` holds the SHA-256 of.

The headers of files that end with the coder of version 1 are turned back into version 1's, which
differ in the version alone.

`python -m tests.encodes` writes the file anew; who does so says that every encoder changed.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from diffcodec.archive.archive import make_header, write_archive
from diffcodec.archive.groups import Source
from diffcodec.bitstream.container import parse_header
from diffcodec.bitstream.types import Pixels
from diffcodec.codec import Codec
from diffcodec.golden import NETWORK
from diffcodec.image import load
from diffcodec.progressive.residual import Residual
from tests.synthetic import synthetic_image
from tests.trusting import trust_steps

FILE = Path(__file__).parent / "encodes.json"
SUFFIXES: dict[Residual, str] = {"gaussian": "", "adaptive": "-adaptive"}  # of archives' names
DOG = Path(__file__).parent / "images" / "dog.png"


def graphics() -> Pixels:
    """(48, 64, 3) uint8: two flat rectangles on a flat ground."""
    pixels = np.full((48, 64, 3), 250, np.uint8)
    pixels[8:20, 10:50] = (200, 30, 30)
    pixels[25:40, 30:60] = (20, 60, 180)
    return pixels


def encodes() -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each."""
    codec = Codec.from_pretrained(NETWORK, threads=1)
    yield from ((name, of_version_1(data)) for name, data in files(codec))
    yield from archives(codec)
    with pytest.MonkeyPatch.context() as patch:
        trust_steps(patch)
        yield from adaptive(codec)


def adaptive(codec: Codec) -> Iterator[tuple[str, bytes]]:
    """Of single images, with the coder of version 2."""
    part, grey = load(DOG)[96:144, 64:128], synthetic_image(24, 40, 1, seed=41)
    yield "adaptive", codec.encode(part, code="trellis:16")
    yield "adaptive-fast", codec.encode(part, effort="fast", code="trellis:14")
    yield "adaptive-grey", codec.encode(grey, switch=20.0, code="trellis:14")
    yield "adaptive-none", codec.encode(part, switch="none", effort="fast", code="trellis:14")
    yield "butterfly", codec.encode(part, code="butterfly:16")
    yield "butterfly-fast", codec.encode(part, effort="fast", code="butterfly:14")
    yield "butterfly-grey", codec.encode(grey, switch=20.0, code="butterfly:8")
    yield "butterfly-bytes", codec.encode(part, code="butterfly:12", max_bytes=700)
    large = synthetic_image(200, 220, 3, seed=13)
    for code in ("polar:32", "polar:64"):
        yield code, codec.encode(large, chain="ddpm:20", code=code, max_steps=13)


def of_version_1(data: bytes) -> bytes:
    """A file whose header says that it is of version 1."""
    header, start = parse_header(data)
    return replace(header, version=1).pack() + data[start:]


def files(codec: Codec) -> Iterator[tuple[str, bytes]]:
    """Of single images, with the coder of version 1."""
    encode = partial(codec.encode, residual="gaussian", code="trellis:16")
    dog = load(DOG)
    part, grey = dog[96:144, 64:128], synthetic_image(24, 40, 1, seed=41)
    yield "rgb", encode(part)
    yield "rgb-fast", encode(part, effort="fast", code="trellis:14")
    yield "rgb-best", encode(part, effort="best", code="trellis:12")
    yield "rgb-bytes", encode(part, max_bytes=700)
    yield "rgb-bpp", encode(part, bpp=1.5)
    yield "rgb-psnr", encode(part, psnr=20.0)
    yield "rgb-steps", encode(part, max_steps=5, seed=9)
    yield "grey", encode(grey, code="trellis:14")
    yield "grey-ddpm", encode(grey, chain="ddpm:20", code="trellis:8")
    yield "grey-cosine", encode(grey, chain="cosine:20", code="trellis:10")
    yield "graphics", encode(graphics(), code="trellis:10")
    yield "narrow", encode(synthetic_image(3, 70, 3, seed=42), code="trellis:10")
    noise = np.random.default_rng(43).integers(0, 256, (20, 20, 3), np.uint8)
    yield "noise", encode(noise, code="trellis:10")
    yield "one-pixel", encode(noise[:1, :1], code="trellis:10")


def archives(codec: Codec) -> Iterator[tuple[str, bytes]]:
    """Of sets of them."""
    part, grey = load(DOG)[96:144, 64:128], synthetic_image(24, 40, 1, seed=41)
    sets = {
        "archive": [*(synthetic_image(16, 24, 3, seed=50 + i) for i in range(6)), grey],
        "archive-tiles": [part, graphics(), synthetic_image(40, 33, 3, seed=60)],
    }
    for name, images in sets.items():
        sources = [Source(f"{i}.png", pixels) for i, pixels in enumerate(images)]
        tile = 128 if name == "archive" else 32
        for residual, suffix in SUFFIXES.items():
            with tempfile.TemporaryDirectory() as folder:
                target = Path(folder) / "a.dfa"
                header = make_header(codec, "25", tile, network="always", residual=residual)
                write_archive(codec, sources, target, header)
                yield name + suffix, target.read_bytes()


def digests() -> dict[str, dict[str, object]]:
    """Length and SHA-256 of each."""
    return {
        name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in encodes()
    }


if __name__ == "__main__":
    FILE.write_text(json.dumps(digests(), indent=1) + "\n", encoding="utf-8")
