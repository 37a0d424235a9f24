"""Files that decode to known pixels, and metadata, on every machine and in every version.

They were made once, with a small network of their own that lies beside them, and stay as they are:
`index.json` holds the SHA-256 of what is in each.
"""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from diffcodec.archive.reading import extract
from diffcodec.beside import parse_beside
from diffcodec.bitstream.byte_order import little_endian
from diffcodec.bitstream.container import ARCHIVE_MAGIC, parse_header
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.metadata import Metadata
from diffcodec.bitstream.types import Pixels
from diffcodec.codec import Codec

FOLDER = Path(__file__).parent
NETWORK = FOLDER / "golden.safetensors"
INDEX = FOLDER / "index.json"


@dataclass(frozen=True)
class Golden:
    """A file, what it is, and the SHA-256 of the pixels and the metadata that it holds."""

    name: str
    about: str
    sha256: str

    def decodes(self, codec: Codec) -> bool:
        """Does it give the known pixels, and metadata?"""
        data = (FOLDER / self.name).read_bytes()
        try:
            return digest(decode(codec, data), carried(data)) == self.sha256
        except BitstreamError:
            return False


def golden_files() -> list[Golden]:
    """All of them, in the order of the index."""
    index: dict[str, dict[str, Any]] = json.loads(INDEX.read_text("utf-8"))
    return [Golden(name, **facts) for name, facts in index.items()]


def decode(codec: Codec, data: bytes) -> list[Pixels]:
    """The image of a .dfc file, or all of an archive; raises BitstreamError."""
    if data[:4] != ARCHIVE_MAGIC:
        return [codec.decode(data).pixels]
    found = [pixels for _, pixels in extract(codec, io.BytesIO(data))]
    for pixels in found:
        if isinstance(pixels, BitstreamError):
            raise pixels
    return [pixels for pixels in found if isinstance(pixels, np.ndarray)]


def carried(data: bytes) -> Metadata:
    """The metadata of a .dfc file; of an archive none."""
    if data[:4] == ARCHIVE_MAGIC:
        return ()
    return parse_beside(data, *parse_header(data)).metadata


def digest(images: list[Pixels], metadata: Metadata = ()) -> str:
    """SHA-256 over the shape, as text, and the pixels of each (H, W, C), then kind and data of
    each item of metadata."""
    sha = hashlib.sha256()
    for pixels in images:
        sha.update(str(pixels.shape).encode() + little_endian(pixels).tobytes())
    for kind, data in metadata:
        sha.update(bytes([kind]) + data)
    return sha.hexdigest()
