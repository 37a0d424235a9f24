"""Images that need no network, as alpha and archives hold them: changed, their checksums right."""

from __future__ import annotations

from contextlib import suppress
from random import Random

from diffcodec.bitstream.container import MAX_PIXELS, parse_varint
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.plan import Plan
from diffcodec.bitstream.sample_format import SampleFormat
from diffcodec.bitstream.strips import strip_count
from diffcodec.bitstream.tiles import FIRST_CODE
from diffcodec.eval.robustness.fuzz.checksums import mended, often
from diffcodec.eval.robustness.fuzz.mutation import mutated, number, packed
from diffcodec.progressive.narrowed import Narrowed

Shape = tuple[int, int, int]


def varied_plain(
    data: bytes, dice: Random, shape: Shape, depth: int, guarded: bool = False
) -> bytes:
    """The bytes of a plain image (H, W, C), changed; guarded: as its archive's header says.

    Alpha stands behind colours, and a number before these says where.
    """
    if shape[2] in (1, 3):
        return _varied_part(data, dice, shape, depth, guarded)
    with suppress(BitstreamError):
        length, at = parse_varint(data, 0)
        colours, alpha = data[at : at + length], data[at + length :]
        size, channels = shape[:2], shape[2] - 1
        if dice.random() < 0.5 or not alpha:
            colours = _varied_part(colours, dice, (*size, channels), depth, guarded)
        else:
            alpha = _varied_part(alpha, dice, (*size, 1), depth, guarded)
        stated = len(colours) if dice.random() < 0.9 else number(dice)
        return packed(stated) + colours + alpha
    return mutated(data, dice, ())


def _varied_part(data: bytes, dice: Random, shape: Shape, depth: int, guarded: bool) -> bytes:
    changed = mutated(data, dice, ())
    if not often(dice) or shape[0] * shape[1] > MAX_PIXELS:
        return changed
    format, start = SampleFormat(shape[2], depth), b""
    if depth > 8:
        start, changed = changed[:1], changed[1 + guarded :]
    with suppress(BitstreamError):
        format = Narrowed.of(start + changed, format).format
    code = mended(changed, _plan(shape, format), len(changed))
    return start + (guard(start) if guarded and depth > 8 else b"") + code


def guard(byte: bytes) -> bytes:
    """What stands behind the byte on narrowing where an archive guards it."""
    return bytes(255 - value for value in byte)


def _plan(shape: Shape, format: SampleFormat) -> Plan:
    """Without steps: nobody asks what energy one has."""
    height, width, channels = shape
    strips = strip_count(width)
    return Plan(height * width * channels, FIRST_CODE, 0, _never, strips, format.sample_bytes)


def _never(start: int, end: int) -> int:
    raise AssertionError("a plain image has no steps")
