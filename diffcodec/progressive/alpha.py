"""Alpha: a grey image of its own that no network sees, in a section before the colours' payload.

It is exact from its first rows on. What a cut leaves out, and what is damaged, counts as opaque. It
comes first because it is small and all depends on it: photographs cut out by soft and hard masks,
laid on white, had 4 to 7 dB at any cut while alpha was missing, and 26 to 42 dB 1,700 bytes later.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from diffcodec.accounting.trace import Trace
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.sample_format import SampleFormat
from diffcodec.bitstream.sections import ALPHA, Section
from diffcodec.bitstream.types import Float32, Pixels
from diffcodec.file import File
from diffcodec.limits import NEVER, Deadline, OverLimit
from diffcodec.progressive.effort import Effort
from diffcodec.progressive.narrowed import Narrowed, encode_narrowed
from diffcodec.progressive.parts import Parts
from diffcodec.progressive.preview import shrink
from diffcodec.progressive.stand_alone import decode_alone, decode_beginning
from diffcodec.theory.units import from_unit, to_unit


@dataclass(frozen=True, eq=False)
class Alpha:
    """samples: (H, W, 1); exact: whether all of them are; damaged: whether there is any damage."""

    samples: Pixels
    exact: bool
    damaged: bool = False

    @property
    def opacity(self) -> Float32:
        """(1, H, W), 0 .. 1."""
        return np.asarray((to_unit(self.samples, self._format) + 1) / 2, np.float32)

    def shrunk(self, scale: int) -> Alpha:
        """Of a preview."""
        means = shrink(to_unit(self.samples, self._format), scale)
        return replace(self, samples=from_unit(means, self._format))

    @property
    def _format(self) -> SampleFormat:
        return SampleFormat(1, 8 * self.samples.itemsize)


def encode_alpha(parts: Parts, work: Effort, workers: int, trace: Trace | None) -> bytes | None:
    """A section's data of an image's alpha; None if there is none, or it is opaque."""
    if parts.alpha is None:
        return None
    height, width, _ = parts.alpha.shape
    coded = encode_narrowed(parts.alpha, work.level(height * width), workers)
    if trace is not None:
        trace.alpha_bits = coded.ideal_bits
    return coded.data


def decode_alpha(file: File, workers: int, deadline: Deadline = NEVER) -> Alpha | None:
    """What there is of a file's alpha; None if there is none, or it is opaque.

    Raises OverLimit at the deadline.
    """
    header, block = file.header, file.beside.front
    if header.opaque or not header.format.alpha:
        return None
    format = SampleFormat(1, header.format.depth)
    opaque = np.full((header.height, header.width, 1), format.peak, format.dtype)
    section = block.part(ALPHA)
    if section is None:
        known = any(section.kind == ALPHA for section in block.sections)
        return Alpha(opaque, False, known or block.damaged or not block.cut)
    if section.intact is None and not section.data:
        return Alpha(opaque, False)
    try:
        return _decoded(section, opaque, format, workers, deadline)
    except OverLimit:
        raise
    except BitstreamError:
        return Alpha(opaque, False, True)


def _decoded(
    section: Section, opaque: Pixels, format: SampleFormat, workers: int, deadline: Deadline
) -> Alpha:
    """Alpha of a section that is whole, or its beginning; BitstreamError if it is damaged."""
    part = Narrowed.of(section.data, format)
    if section.intact:
        size = opaque.shape[0], opaque.shape[1]
        samples = decode_alone(part.code, size, part.format, workers, deadline)
    else:
        full = np.full(opaque.shape, part.format.peak, part.format.dtype)
        total = section.size - len(section.data) + len(part.code)
        samples = decode_beginning(part.code, total, full, part.format, workers, deadline)
    return Alpha(part.widened(samples), bool(section.intact))
