"""Targets that read .dfa archives: what they list, their checksums, their images."""

from __future__ import annotations

import io
from collections.abc import Sequence
from random import Random

import numpy as np

from diffcodec.archive.contents import contents
from diffcodec.archive.reading import extract_pictures, metadata_of
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.eval.robustness.fuzz import corpus
from diffcodec.eval.robustness.fuzz.dfa_parts import varied_archive
from diffcodec.eval.robustness.fuzz.mutation import mutated
from diffcodec.eval.robustness.fuzz.target import Target
from diffcodec.limits import Limits
from diffcodec.verify import verify

LIMITS = Limits(max_pixels=1 << 12, max_seconds=10.0, max_memory=1 << 30)


def list_images(data: bytes) -> None:
    """All that `list` and `verify` read: heads, metadata and checksums."""
    file = io.BytesIO(data)
    held = contents(file, limits=LIMITS)
    for group in held.groups:
        assert len(metadata_of(file, group)) == len(group.images)
    assert held.header.version and held.needs_network() in (True, False)
    verify(file)


def extract(data: bytes) -> None:
    """All images, or those with a name."""
    file = io.BytesIO(data)
    held, dice = contents(file, limits=LIMITS), Random(data)
    names = [image.name for image in held.images]
    chosen = dice.sample(names, 1) if names and dice.random() < 0.2 else None
    for one in extract_pictures(corpus.codec(), file, chosen, limits=LIMITS):
        if not isinstance(one.found, BitstreamError):
            assert one.found.shape == one.image.shape
            assert one.found.dtype == (np.uint16 if one.image.depth > 8 else np.uint8)


def _varied(data: bytes, dice: Random, others: Sequence[bytes]) -> bytes:
    return (mutated if dice.random() < 0.25 else varied_archive)(data, dice, others)


def _seeds() -> list[bytes]:
    return corpus.archives() + corpus.golden(".dfa")


_TABLES = 512 << 20  # bytes: of Gaussians as wide as a header may ask for, which are kept

TARGETS = (
    Target("list", "what an archive holds, and its checksums", list_images, _seeds, _varied, 80),
    Target("extract", "the images of an archive", extract, _seeds, _varied, 40, _TABLES),
)
