"""PBM, PGM, PPM and PAM: plain and binary, of 8 and 16 bits.

Samples of fewer than 256 values are scaled to 0..255; of more there must be 65536.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from diffcodec.bitstream.types import Pixels

_TOKEN = re.compile(rb"(?:\s|#[^\r\n]*[\r\n])*([^\s#]+)")
_PAM_LINE = re.compile(rb"\s*(?:#[^\n]*|(\w+)[ \t]+([^\n]+)|(ENDHDR))[ \t]*\r?\n")
_CHANNELS = {b"P1": 1, b"P2": 1, b"P3": 3, b"P4": 1, b"P5": 1, b"P6": 3}
_COMMENT = re.compile(rb"#[^\r\n]*")
DEPTHS = {1: b"GRAYSCALE", 2: b"GRAYSCALE_ALPHA", 3: b"RGB", 4: b"RGB_ALPHA"}


@dataclass(frozen=True)
class Header:
    """magic: P1 to P7; peak: the largest sample; at: where samples begin."""

    magic: bytes
    width: int
    height: int
    channels: int
    peak: int
    at: int

    @property
    def bitmap(self) -> bool:
        """PBM: 1 is black."""
        return self.magic in (b"P1", b"P4")

    @property
    def plain(self) -> bool:
        """Samples are decimal numbers."""
        return self.magic in (b"P1", b"P2", b"P3")


def parse_header(data: bytes) -> Header:
    """Raises ValueError if it is not one."""
    return _pam(data) if data[:2] == b"P7" else _classic(data)


def _classic(data: bytes) -> Header:
    magic, at, numbers = data[:2], 2, []
    for _ in range(2 if magic in (b"P1", b"P4") else 3):
        token = _TOKEN.match(data, at)
        if not token or len(token[1]) > 9 or not token[1].isdigit():
            raise ValueError("its header is not a row of numbers")
        at = token.end()
        numbers.append(int(token[1]))
    width, height, peak = (*numbers, 1)[:3]
    return Header(magic, width, height, _CHANNELS[magic], peak, at + 1)


def _pam(data: bytes) -> Header:
    fields: dict[bytes, bytes] = {}
    at = 2
    while line := _PAM_LINE.match(data, at):
        at = line.end()
        if line[3]:
            break
        if line[1]:
            fields[line[1]] = line[2].strip()
    else:
        raise ValueError("its header has no end")
    try:
        sizes = [int(fields[key]) for key in (b"WIDTH", b"HEIGHT", b"DEPTH", b"MAXVAL")]
    except (KeyError, ValueError) as error:
        raise ValueError("its header lacks a number") from error
    width, height, channels, peak = sizes
    # Two channels are alpha by their name alone; black and white is grey with a peak of 1
    kind = fields.get(b"TUPLTYPE", DEPTHS.get(channels, b"")).replace(
        b"BLACKANDWHITE", b"GRAYSCALE"
    )
    if kind != DEPTHS.get(channels):
        raise ValueError("its samples are neither grey nor RGB, with or without alpha")
    return Header(b"P7", width, height, channels, peak, at)


def parse_pixels(data: bytes, header: Header, truncated: bool = False) -> tuple[Pixels, int]:
    """The samples after a header, (H, W, C) uint8 or uint16, and where they end.

    Raises ValueError if some are missing (with `truncated` they are 0) or above the peak.
    """
    count = header.height * header.width * header.channels
    if header.plain:
        values, end = _plain(data, header, count)
    elif header.bitmap:
        row = -(-header.width // 8)
        end = header.at + header.height * row
        packed = np.frombuffer(data[header.at : end].ljust(end - header.at, b"\0"), np.uint8)
        bits = np.unpackbits(packed.reshape(header.height, row), axis=1, count=header.width)
        values = bits.reshape(-1)
    else:
        wide = header.peak > 255
        end = header.at + (count << wide)
        part = data[header.at : end][: (len(data) - header.at) >> wide << wide]
        values = np.frombuffer(part, ">u2" if wide else np.uint8)
    if not truncated and (end > len(data) or len(values) < count):
        raise ValueError("pixels are missing")
    if values.size and values.max() > header.peak:
        raise ValueError(f"a sample is {values.max()}, above its maximum of {header.peak}")
    full = np.zeros(count, np.uint16 if header.peak > 255 else np.uint8)
    full[: len(values)] = values if header.peak > 255 else _scaled(values, header)
    return full.reshape(header.height, header.width, header.channels), end  # type: ignore[return-value]


def _plain(data: bytes, header: Header, count: int) -> tuple[Pixels, int]:
    text = _COMMENT.sub(b" ", data[header.at :])
    words = [bytes([b]) for b in b"".join(text.split())] if header.bitmap else text.split()
    if any(not word.isdigit() or len(word) > 5 for word in words[:count]):
        raise ValueError("a sample is not a number")
    return np.array([int(word) for word in words[:count]], np.uint32), len(data)


def _scaled(values: Pixels, header: Header) -> Pixels:
    """To 0..255, the nearest."""
    if header.bitmap:
        return np.where(values, 0, 255).astype(np.uint8)
    table = np.rint(np.arange(header.peak + 1) * 255 / header.peak).astype(np.uint8)
    return table[values]


def pack(pixels: Pixels) -> bytes:
    """PGM, PPM, or with alpha PAM, from (H, W, C) uint8 or uint16."""
    height, width, channels = pixels.shape
    wide = pixels.dtype != np.uint8
    peak = 65535 if wide else 255
    if channels in (1, 3):
        head = b"P%d\n%d %d\n%d\n" % (5 if channels == 1 else 6, width, height, peak)
    else:
        head = b"P7\nWIDTH %d\nHEIGHT %d\nDEPTH %d\nMAXVAL %d\nTUPLTYPE %s\nENDHDR\n" % (
            width,
            height,
            channels,
            peak,
            DEPTHS[channels],
        )
    return head + pixels.astype(">u2" if wide else np.uint8).tobytes()
