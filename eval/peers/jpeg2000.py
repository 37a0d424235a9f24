"""JPEG 2000 (OpenJPEG, through Pillow): a file for each rate, and one layered file cut anywhere.

Files are bare codestreams, 85 bytes shorter than a .jp2. Of files aimed at a rate the better of the
9/7 and the 5/3 wavelet counts.

Pillow reads no truncated codestream. A decoder that does shows the packets that are complete; so
does this one: it replaces the missing packets by empty ones, of one byte each, and mends the length
of the tile. Where packets end it learns from a second copy of the file that lists their lengths
(PLT), as a reader of packet headers would from the first; only the bytes of the first are counted.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from diffcodec.bitstream.types import Pixels
from diffcodec.eval.common.coded import File, PeerError, best, measure
from diffcodec.eval.peers.budgets import cuts
from diffcodec.eval.peers.pillow_codecs import coded, read, write

SOT, SOD, PLT, EOC = b"\xff\x90", b"\xff\x93", b"\xff\x58", b"\xff\xd9"
LOWEST_BPP, HIGHEST_BPP = 0.02, 24.0  # of the layers of a file that is to be cut


def lossless(pixels: Pixels) -> File:
    """With the 5/3 wavelet, which is exact."""
    return coded(pixels, **_settings(pixels, irreversible=False))


def aimed(pixels: Pixels, budgets: Sequence[int]) -> list[File | None]:
    """The best file within each budget (bytes), its rate control aimed at the budget."""
    return [
        best(_aimed(pixels, b, irreversible=True), _aimed(pixels, b, irreversible=False))
        for b in budgets
    ]


def _aimed(pixels: Pixels, budget: int, irreversible: bool) -> File | None:
    # The rate control misses its aim by a fraction of a percent: aim lower until the file fits.
    aim = max(float(budget), 1.0)
    settings = _settings(pixels, irreversible=irreversible)
    for _ in range(6):
        layers = [max(pixels.size / aim, 1.0)]
        file = coded(pixels, quality_mode="rates", quality_layers=layers, **settings)
        if len(file.data) <= budget:
            return file
        aim = max(aim - 1.5 * (len(file.data) - budget), 1.0)
    return None


def layered(pixels: Pixels, budgets: Sequence[int], *, irreversible: bool) -> list[File | None]:
    """One file in quality layers, cut at every budget (bytes); its 5/3 form ends losslessly."""
    settings = _settings(pixels, irreversible=irreversible)
    settings |= {"quality_mode": "rates", "quality_layers": _layers(pixels, irreversible)}
    start = time.perf_counter()
    data = write(pixels, **settings)
    seconds = time.perf_counter() - start
    ends = packet_ends(data, write(pixels, plt=True, **settings))
    decode = partial(read_cut, ends=ends, channels=pixels.shape[2])
    return cuts(pixels, data, decode, budgets, encode_seconds=seconds)


def layered_lossless(pixels: Pixels) -> File:
    """All of the file that `layered` cuts, with the 5/3 wavelet."""
    settings = _settings(pixels, irreversible=False)
    layers = _layers(pixels, irreversible=False)
    encode = partial(write, quality_mode="rates", quality_layers=layers, **settings)
    return measure(pixels, encode, partial(read, channels=pixels.shape[2]))


def packet_ends(data: bytes, listed: bytes) -> list[int]:
    """Where each packet of a codestream of one tile ends; `listed`: the same with a PLT marker.

    The first number is where the packets begin. Raises PeerError if the two do not agree.
    """
    start, (start_listed, lengths) = _packets(data)[0], _packets(listed)
    if data[start:] != listed[start_listed:] or sum(lengths) != len(data) - start - len(EOC):
        raise PeerError("JPEG 2000: the lengths of packets do not fit the file")
    return [start, *(start + np.cumsum(lengths)).tolist()]


def read_cut(data: bytes, ends: Sequence[int], channels: int) -> Pixels:
    """Decode a beginning of a codestream; PeerError if not even its headers are whole."""
    whole = int(np.searchsorted(ends, len(data), "right")) - 1
    if whole < 0:
        raise PeerError("JPEG 2000: the cut is inside the headers")
    missing = len(ends) - 1 - whole
    mended = bytearray(data[: ends[whole]] + bytes(missing))
    tile = mended.index(SOT)
    struct.pack_into(">I", mended, tile + 6, len(mended) - tile)
    return read(bytes(mended + EOC), channels)


def _settings(pixels: Pixels, *, irreversible: bool) -> dict[str, Any]:
    colour = {"mct": 1} if pixels.shape[2] == 3 else {}
    return {"format": "JPEG2000", "irreversible": irreversible, "no_jp2": True, **colour}


def _layers(pixels: Pixels, irreversible: bool) -> list[float]:
    """Compression ratios of the layers, falling; few for small images, as each costs bytes."""
    count = int(np.clip(pixels.shape[0] * pixels.shape[1] // 4096, 6, 40))
    rates = np.geomspace(LOWEST_BPP, HIGHEST_BPP, count)
    raw = 8.0 * pixels.shape[2]
    return [max(raw / rate, 1.0) for rate in rates.tolist()] + ([] if irreversible else [1.0])


def _packets(data: bytes) -> tuple[int, list[int]]:
    """Where the packets of a codestream begin, and their lengths if it lists them."""
    at, lengths = 2, []
    while (marker := data[at : at + 2]) != SOD:
        size = int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == PLT:
            value = 0
            for byte in data[at + 5 : at + 2 + size]:
                value = value << 7 | byte & 127
                if byte < 128:
                    lengths.append(value)
                    value = 0
        at += 2 + size
    return at + 2, lengths
