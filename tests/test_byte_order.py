"""Checksums, fingerprints and bytes of files do not depend on the machine's byte order.

Arrays that have the highest byte first are what a big-endian machine has by default.
"""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from diffcodec.bitstream.byte_order import from_little_endian, little_endian
from diffcodec.data import digest as digest_of_set
from diffcodec.golden import digest
from diffcodec.network.tensors import fingerprint
from diffcodec.progressive.plain import pixel_crc

SAMPLES = np.arange(0, 30000, 1000, dtype=np.uint16).reshape(5, 6, 1)
BIG = SAMPLES.astype(">u2")


def test_numbers_become_bytes_and_back() -> None:
    assert little_endian(BIG).tobytes() == little_endian(SAMPLES).tobytes()
    assert little_endian(SAMPLES[:2]).tobytes()[2:4] == bytes([1000 & 255, 1000 >> 8])
    for dtype in (SAMPLES.dtype, BIG.dtype, np.dtype(np.uint8)):
        numbers = np.arange(200).astype(dtype)
        back = from_little_endian(little_endian(numbers).tobytes(), dtype)
        assert back.dtype == dtype and np.array_equal(back, numbers)


def test_what_is_so_already_is_not_copied() -> None:
    for array in (SAMPLES.astype("<u2"), np.zeros((3, 4), np.uint8)):
        assert np.shares_memory(little_endian(array), array)
    assert little_endian(SAMPLES.T).flags.c_contiguous


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "f2", "f4", "f8"])
def test_fingerprints_of_networks(dtype: str) -> None:
    tensor = np.arange(-50, 50).reshape(4, 25)
    marks = {
        fingerprint({"a": 1}, {"weight": tensor.astype(order + dtype), "empty": tensor[:0]})
        for order in "<>"
    }
    assert len(marks) == 1


def test_checksums_and_digests_of_pixels() -> None:
    planes = np.ascontiguousarray(SAMPLES.transpose(2, 0, 1))
    assert pixel_crc(planes.astype(">u2")) == pixel_crc(planes)
    assert pixel_crc(planes) == zlib.crc32(SAMPLES.astype("<u2").tobytes())
    assert digest([BIG]) == digest([SAMPLES])
    assert digest_of_set([BIG]) == digest_of_set([SAMPLES])
