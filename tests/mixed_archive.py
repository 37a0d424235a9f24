"""Archives of images for the network and, between them, images that do without it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from diffcodec.archive.account import Written
from diffcodec.archive.archive import Network, make_header, write_archive
from diffcodec.archive.contents import Contents, contents
from diffcodec.archive.groups import Source
from diffcodec.archive.reading import extract
from diffcodec.bitstream.adaptive import KERNEL
from diffcodec.bitstream.types import Pixels
from diffcodec.codec import Codec
from tests.gaussian import gaussian_codec, gaussian_image

CODEC = gaussian_codec()
compiled = pytest.mark.skipif(KERNEL is None, reason="numpy takes a thousand times as long")


def drawing(number: int) -> Pixels:
    """(32, 32, 3): a bar on a ground."""
    pixels = np.full((32, 32, 3), 20 * number, np.uint8)
    pixels[number : 2 * number + 2, 5:20] = (200, 30, 10 * number)
    return pixels


def mixed() -> list[Source]:
    """Images for the network and, between them, some that it is not needed for."""
    pictures = [drawing(i) if i in (1, 4, 5) else gaussian_image(i) for i in range(9)]
    return [Source(f"{i}.png", pixels) for i, pixels in enumerate(pictures)]


PLAIN = {"1.png", "4.png", "5.png"}  # of `mixed`


def write(
    target: Path, some: Sequence[Source], network: Network = "auto", **options: Any
) -> Written:
    header = make_header(CODEC, "25", network=network)
    return write_archive(CODEC, some, target, header, **options)


def read(path: Path, codec: Codec | None = CODEC, names: list[str] | None = None) -> dict[str, Any]:
    with open(path, "rb") as file:
        return {p.name: pixels for p, pixels in extract(codec, file, names)}


def held(path: Path) -> Contents:
    with open(path, "rb") as file:
        return contents(file, check=True)


def check(path: Path, some: Sequence[Source], codec: Codec | None = CODEC) -> None:
    got = read(path, codec)
    assert sorted(got) == sorted(s.name for s in some)
    for source in some:
        assert np.array_equal(got[source.name], source.read())
