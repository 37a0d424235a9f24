"""Targets that read .dfc files: the header, the file taken apart, its image."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from random import Random

from diffcodec import api
from diffcodec.accounting.audit import audit
from diffcodec.accounting.ledger import to_text
from diffcodec.bitstream.container import parse_header
from diffcodec.eval.robustness.fuzz import corpus
from diffcodec.eval.robustness.fuzz.dfc_parts import varied_file, varied_header
from diffcodec.eval.robustness.fuzz.mutation import mutated
from diffcodec.eval.robustness.fuzz.target import Target
from diffcodec.file import File
from diffcodec.golden import NETWORK
from diffcodec.limits import Limits
from diffcodec.verify import verify

LIMITS = Limits(max_pixels=1 << 12, max_seconds=10.0, max_memory=1 << 30)
LARGER = replace(LIMITS, max_pixels=1 << 16, max_seconds=30.0)


def read_header(data: bytes) -> None:
    """The header alone."""
    header, head = parse_header(data)
    assert 0 < head <= len(data) and header.width * header.height <= 1 << 26
    assert header.nodes <= 1000 and header.pack()[:4] == data[:4]


def take_apart(data: bytes) -> None:
    """All that needs no network's weights: layers, sections, `info`, `ledger`, `verify`."""
    found = verify(io.BytesIO(data), NETWORK)
    assert found.bytes == len(data) and (found.guarded or 0) <= len(data)
    file = File.parse(data, corpus.codec().tables)
    assert file.damage == tuple(file.damage)
    api.info(file, NETWORK)
    to_text(audit(file, None))


def decode(data: bytes, limits: Limits = LIMITS) -> None:
    """The image of all of it and of a prefix, and a preview."""
    codec, dice = corpus.codec(), Random(data)
    header, head = parse_header(data)
    whole = codec.decode(data, limits=limits)
    assert whole.pixels.shape == (header.height, header.width, header.format.channels)
    way = dice.randrange(4)
    if way == 0:
        codec.decode(data, limits=limits, scale=dice.choice((2, 4, 8)))
    elif way == 1:
        codec.decode(data[: dice.randrange(head, len(data) + 1)], limits=limits)
    elif way == 2:
        part = data[: dice.randrange(head, len(data) + 1)]
        for shown in codec.progressive(part, limits=limits):
            assert shown.pixels.shape == whole.pixels.shape


def _varied(data: bytes, dice: Random, others: Sequence[bytes]) -> bytes:
    way = dice.random()
    if way < 0.25:
        return mutated(data, dice, others)
    if way < 0.4:
        return varied_header(data, dice, others)
    return varied_file(data, dice, others, corpus.codec().tables)


def _seeds() -> list[bytes]:
    return corpus.golden(".dfc") + corpus.files()


TARGETS = (
    Target(
        "header",
        "the header of a .dfc file",
        read_header,
        _seeds,
        lambda data, dice, others: (mutated if dice.random() < 0.4 else varied_header)(
            data, dice, others
        ),
        weight=100,
    ),
    Target("file", "a .dfc file, its image not decoded", take_apart, _seeds, _varied, weight=120),
    Target(
        "decode", "a .dfc file, whole, cut and as a preview", decode, _seeds, _varied, weight=150
    ),
    Target(
        "polar",
        "the same with steps of the polar code, which take a tenth of a second each",
        partial(decode, limits=LARGER),
        lambda: corpus.golden(".dfc", slow=True),
        _varied,
        weight=3,
    ),
)
