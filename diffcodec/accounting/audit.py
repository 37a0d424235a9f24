"""The ledger of a progressive file: what was spent, from the file; the ideal, from its encoder.

Every bit is counted where the parser meets it, so the sum is that of the file whatever the encoder
believes. What the image would ideally cost only its encoder knows (a Trace): without it the
ideals of path bits and pixels are None.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from diffcodec.accounting.ledger import Entry, Ledger
from diffcodec.accounting.trace import Trace
from diffcodec.beside import payload_end
from diffcodec.bitstream.payload import Piece
from diffcodec.bitstream.rate import energy_of
from diffcodec.bitstream.sections import ALPHA, CRC, Block
from diffcodec.bitstream.strips import strips
from diffcodec.file import File
from diffcodec.theory.gaussian import mi_bpd

FILLING = 8  # fewer bits than this of a step determine nothing, whatever its code


def audit(file: File, trace: Trace | None = None) -> Ledger:
    """The ledger of a file, or of a prefix of one, that was parsed to its end.

    trace: of the encoder of the file. Of a step or block of pixels that a cut left
    incomplete, the ideal is the share of its bits that is there.
    """
    data, header = file.data, file.header
    front = data[file.head : file.head + header.front]
    entries = [Entry("header", 8 * file.head), *_beside(front, file.beside.front, trace)]
    number = 0  # of a block of pixels
    for piece in _named(file):
        if piece.kind == "path":
            entries.append(_path(piece, file, trace))
        elif piece.kind == "pixels":
            entries.append(_pixels(piece, number, file, trace))
            number += 1
        else:
            entries.append(Entry(piece.kind, piece.bits, step=piece.step))
    if (end := payload_end(header)) is not None:
        entries += _beside(data[end:], file.beside.back, trace)
    return Ledger("progressive", len(file.data), tuple(entries)).check()


def _beside(data: bytes, block: Block, trace: Trace | None) -> Iterator[Entry]:
    """The sections of a block, as far as it is there. Metadata takes what it takes."""
    left = len(data)
    for section in block.sections:
        head, body = 8 * min(section.head, left), 8 * len(section.data)
        yield Entry("length", head)
        if section.kind == ALPHA:
            share = len(section.data) / section.size if section.size else 0.0
            yield Entry("alpha", body, None if trace is None else share * trace.alpha_bits)
        else:
            yield Entry("metadata", body, body)
        left -= section.head + len(section.data)
        checksum = min(CRC, left) if len(section.data) == section.size else 0
        if checksum:
            yield Entry("checksum", 8 * checksum)
        left -= checksum
    if left:
        yield Entry("cut", 8 * left)


def _named(file: File) -> Iterator[Piece]:
    """The payload's pieces; what is left of a step after the last whole byte's worth is filling.

    An encoder that stops after a step fills the last byte with zeros. To the parser they look like
    the beginning of one more step.
    """
    payload = file.payload
    last = payload.steps[-1] if payload.steps else None
    step = len(payload.steps) - 1
    tail = [p for p in payload.pieces if p.step == step] if last and not last.complete else []
    bits = sum(piece.bits for piece in tail)
    filling = 0 < bits < FILLING
    yield from (p for p in payload.pieces if not (filling and p.step == step))
    if filling:
        zero = file.data[-1] % (1 << bits) == 0
        yield Piece("padding" if zero and file.header.total_bytes is None else "cut", bits)


def _path(piece: Piece, file: File, trace: Trace | None) -> Entry:
    assert piece.step is not None
    step = file.payload.steps[piece.step]
    v_from, v_to = file.chain.noise(step.start), file.chain.noise(step.end)
    if trace is None:
        return Entry("path", piece.bits, None, piece.step, v_from, v_to)
    traced = trace.steps[piece.step]
    assert math.isclose(traced.v_to, v_to) and traced.path_bits == step.n_bits
    share = piece.bits / step.n_bits
    stated = (
        float(mi_bpd(energy_of(step.energy))) * file.header.dims
    )  # what the stated energy is worth
    return Entry(
        kind="path",
        spent_bits=piece.bits,
        ideal_bits=share * traced.mi_bits,
        step=piece.step,
        v_from=v_from,
        v_to=v_to,
        kl_bits=share * traced.kl_bits,
        causes={"rounding of the energy": share * (stated - traced.mi_bits)},
    )


def _pixels(piece: Piece, number: int, file: File, trace: Trace | None) -> Entry:
    """A block of pixels; its ideals are known as far as the block is there."""
    block, columns = file.payload.blocks[number], None
    if file.payload.coding is not None:
        strip = strips(file.header.width)[number]
        columns = strip.start, strip.stop - 1
    if trace is None:
        return Entry("pixels", piece.bits, None, columns=columns)
    share = 1.0 if block.complete else len(block.data) / trace.block_bytes[number]
    gaussian = share * trace.gaussian_bits[number] if trace.gaussian_bits else None
    ideal = share * trace.block_bits[number]
    return Entry("pixels", piece.bits, ideal, kl_bits=gaussian, columns=columns)
