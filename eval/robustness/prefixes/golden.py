"""Every prefix of the golden files.

Their network is one of random weights: what its steps show may get worse, and is not judged. But
every prefix has to be an image from some byte on, and the whole file exact.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np

from diffcodec.archive.reading import extract
from diffcodec.bitstream.container import ARCHIVE_MAGIC
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.types import Pixels
from diffcodec.codec import Codec
from diffcodec.eval.robustness.prefixes.prefix import every, measure, summary
from diffcodec.golden import FOLDER, NETWORK, golden_files

SLOW = 1 << 26  # bytes times samples above which prefixes of a file share what they can


@lru_cache(maxsize=1)
def golden_codec() -> Codec:
    """Of the network that golden files are made with."""
    return Codec.from_pretrained(NETWORK, threads=1)


def whole_golden() -> list[str]:
    """Golden files, but for those that are prefixes of another one."""
    data = {golden.name: (FOLDER / golden.name).read_bytes() for golden in golden_files()}
    return [
        name
        for name, mine in data.items()
        if not any(other != mine and other.startswith(mine) for other in data.values())
    ]


def golden_row(name: str, stride: int = 1) -> dict[str, Any]:
    """All prefixes of a golden file, or every `stride`-th and the whole.

    otherwise: of a file that is slow to decode, prefixes that are something else by themselves.
    """
    codec, data = golden_codec(), (FOLDER / name).read_bytes()
    sizes = sorted({*range(0, len(data), stride), len(data)})
    if data[:4] == ARCHIVE_MAGIC:
        return {"name": name, **archive_row(codec, data, sizes)}
    decoded = codec.decode(data)
    original, otherwise = decoded.pixels, list[int]()
    if len(data) * original.size < SLOW:
        prefixes = [measure(codec, data, size, original) for size in sizes]
    else:
        prefixes, otherwise = every(codec, data, sizes, original)
    row = {"name": name, **summary(data, prefixes), "otherwise": otherwise}
    return row | ({"lossless": None} if decoded.total_bytes is None else {})  # it ends at a cut


def archive_row(codec: Codec, data: bytes, sizes: Sequence[int]) -> dict[str, Any]:
    """Prefixes of an archive: how many images come out of them, and are not the right ones."""
    right = dict(_images(codec, data))
    counts, wrong = [], 0
    for size in sizes:
        try:
            found = list(_images(codec, data[:size]))
        except BitstreamError:
            counts.append(-1)
            continue
        wrong += sum(not np.array_equal(pixels, right[name]) for name, pixels in found)
        counts.append(len(found))
    shown = [size for size, count in zip(sizes, counts, strict=True) if count > 0]
    known = next((i for i, count in enumerate(counts) if count >= 0), len(counts))
    pairs = pairwise(counts)
    return {
        "bytes": len(data),
        "prefixes": len(sizes),
        "images": len(shown),
        "first_image": shown[0] if shown else None,
        "refused_late": sum(count < 0 for count in counts[known:]),
        "fewer": sum(after < before for before, after in pairs),
        "wrong": wrong,
        "lossless": counts[-1] == len(right),
    }


def _images(codec: Codec, data: bytes) -> Iterator[tuple[str, Pixels]]:
    """The images that come out of an archive or its beginning."""
    for image, found in extract(codec, io.BytesIO(data)):
        if isinstance(found, np.ndarray):
            yield image.name, found
