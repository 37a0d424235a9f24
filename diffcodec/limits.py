"""Limits: how much a file may ask of those who decode it.

A header of 30 bytes may claim 2^26 pixels and 1,000 steps, which are 6 GiB and a day. Who decodes
says how many pixels, how much memory and how many seconds are all right (`Limits`): pixels and
memory are known from the header, and refused before any work; seconds are not, as they depend on
the network and the machine, and decoding stops between two steps, or within a strip (`Deadline`);
a call of the network, which is some seconds for tens of megapixels, is waited for.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

from diffcodec.bitstream.container import MAX_PIXELS, Header
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.checks import real, whole
from diffcodec.errors import OptionError

# What decoding took at most: the program with its network, and bytes for each pixel of an image.
# Of three channels with steps it was BYTES; further channels, and two bytes a sample, are planes.
# A ROW has borders besides, of the network's windows and of strips: all there is of narrow images.
BASE = 640 << 20
BYTES = 100
PLANE = 8
ROW = 2200
SURE = 4.0  # times the seconds that are allowed, by the steps so far, are a reason to stop early
EARLY = 2.0  # seconds that have to pass before that


class OverLimit(BitstreamError):
    """A file asks for more pixels, memory or seconds than its reader allows."""


@dataclass(frozen=True)
class Limits:
    """What a file may ask of who decodes it; None: anything.

    max_pixels: of the image (of one image of an archive); max_seconds: for one image, or the images
    of an archive that are decoded together; max_memory: in bytes, by an estimate from the header.
    Raises OptionError for what is no such number.
    """

    max_pixels: int | None = MAX_PIXELS
    max_seconds: float | None = 3600.0
    max_memory: int | None = 4 << 30

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            right = real(value) if name == "max_seconds" else whole(value)
            if value is not None and not (right and value > 0 and math.isfinite(value)):
                raise OptionError(f"{name} is {value!r}: it must be a number above 0, or None")

    def check(self, header: Header) -> None:
        """Raises OverLimit for a file whose header asks for more pixels or memory."""
        what = f"the file's image of {header.width} x {header.height} pixels"
        self.check_pixels(header.width * header.height, what)
        self.check_memory(memory_of_file(header), what)

    def check_pixels(self, pixels: int, what: str) -> None:
        """Raises OverLimit for more of them; what: a phrase on what has them."""
        if self.max_pixels is not None and pixels > self.max_pixels:
            raise OverLimit(
                f"{what} has more than the {self.max_pixels:,} pixels that are allowed; allow more "
                "with --max-pixels"
            )

    def check_memory(self, size: int, what: str) -> None:
        """Raises OverLimit for more bytes of it; what: a phrase on what takes them."""
        if self.max_memory is not None and size > self.max_memory:
            raise OverLimit(
                f"{what} takes about {_bytes(size)} of memory to decode, more than the "
                f"{_bytes(self.max_memory)} that are allowed; allow more with --max-memory"
            )

    def deadline(self, steps: int = 0) -> Deadline:
        """From now on; steps: calls of the network that are to be made, 0 if nobody knows."""
        return Deadline(self.max_seconds, steps)


@dataclass(frozen=True)
class Deadline:
    """Seconds, None for any number, from when it was made; steps: that are to be taken in them."""

    seconds: float | None = None
    steps: int = 0
    began: float = field(default_factory=time.monotonic)

    def check(self, done: int = 0) -> None:
        """Raises OverLimit when they are over, and where they will surely not do.

        done: steps so far.
        """
        if self.seconds is None:
            return
        spent = time.monotonic() - self.began
        much = f"the {self.seconds:,g} second{'s' * (self.seconds != 1)} that are allowed"
        steps = f", {done} of {self.steps} steps done" if self.steps else ""
        if spent > self.seconds:
            raise OverLimit(
                f"decoding took longer than {much}{steps}; allow more with --max-seconds"
            )
        ahead = spent / done * self.steps if done else 0.0
        if spent > EARLY and ahead > SURE * self.seconds:
            raise OverLimit(
                f"decoding would take about {ahead:,.0f} seconds, more than {much}; allow more "
                "with --max-seconds, or take fewer --steps"
            )


USUAL = Limits()  # of files from anywhere
ANY = Limits(None, None, None)
NEVER = Deadline()


def memory_of_file(header: Header) -> int:
    """Bytes that decoding a .dfc file takes, about; float networks may take more."""
    format = header.format
    return memory_of((header.height, header.width), format.channels, format.depth)


def memory_of(size: tuple[int, int], channels: int, depth: int) -> int:
    """Bytes that decoding an image of this size, (H, W), takes, about."""
    planes = max(channels - 3, 0) + (depth > 8) * channels
    return BASE + size[0] * (ROW + size[1] * (BYTES + PLANE * planes))


def _bytes(size: int) -> str:
    return f"{size / 2**30:,.1f} GiB" if size >= 1 << 30 else f"{size / 2**20:,.0f} MiB"
