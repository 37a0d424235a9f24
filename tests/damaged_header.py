"""Archive headers that are cut or altered, at every byte."""

from __future__ import annotations

import io

import pytest

from diffcodec.bitstream.archive_header import read_header
from diffcodec.bitstream.errors import BitstreamError


def assert_damage_is_noticed(header: bytes) -> None:
    """A header is refused wherever it is cut, and whichever byte is another one."""
    for i in range(len(header)):
        with pytest.raises(BitstreamError):
            read_header(io.BytesIO(header[:i]))
        wrong = bytearray(header)
        wrong[i] ^= 0x14
        with pytest.raises(BitstreamError):
            read_header(io.BytesIO(wrong))
