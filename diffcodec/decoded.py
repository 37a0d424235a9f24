"""What comes out of a file: an image, how far it goes, and what it carries."""

from __future__ import annotations

from dataclasses import dataclass, replace

from diffcodec.beside import ALPHA_DAMAGE
from diffcodec.bitstream.container import Header
from diffcodec.bitstream.metadata import Metadata
from diffcodec.bitstream.sample_format import SampleFormat
from diffcodec.bitstream.types import Pixels
from diffcodec.file import File
from diffcodec.progressive.alpha import Alpha
from diffcodec.progressive.fit import fit, size_for
from diffcodec.progressive.parts import put_together
from diffcodec.progressive.receiver import Received

ASTRAY = (
    "the network gives other numbers here than where the file was made, so its exact pixels cannot "
    "be decoded, and what its steps say is shown, which is lossy; decode it on the machine, and "
    "with the libraries, that made it"
)


@dataclass(frozen=True)
class Decoded:
    """A decoded image and what it was decoded from.

    pixels: (H, W, C) of the format that was encoded, a preview's smaller; bytes_used of total_bytes
    (None: the file has no lossless end); steps complete of steps_total; lossless: these are the
    exact pixels, their checksum matches; damage: a sentence on each part that is damaged: exact
    pixels, in whose place the steps are shown, alpha, which counts as opaque, or metadata, which is
    left out; or on exact pixels that only another machine can decode (ASTRAY); metadata: what has
    arrived of it.
    """

    pixels: Pixels
    bytes_used: int
    total_bytes: int | None
    steps: int
    steps_total: int
    lossless: bool
    header: Header
    damage: tuple[str, ...] = ()
    metadata: Metadata = ()

    @property
    def format(self) -> SampleFormat:
        """Channels and depth of the pixels."""
        return self.header.format


def decoded_image(file: File, received: Received, alpha: Alpha | None) -> Decoded:
    """The image of a file: its colours as they were received, and its alpha, if it has one."""
    damage, exact = file.damage, received.lossless
    if received.astray:
        damage = (*damage, ASTRAY)
    if alpha is not None:
        exact = exact and alpha.exact
        if alpha.damaged and ALPHA_DAMAGE not in damage:
            damage = (*damage, ALPHA_DAMAGE)
    return Decoded(
        pixels=put_together(file.header, received.pixels, None if alpha is None else alpha.samples),
        bytes_used=file.bytes_used,
        total_bytes=file.header.total_bytes,
        steps=received.steps,
        steps_total=file.header.nodes,
        lossless=exact,
        header=file.header,
        damage=damage,
        metadata=file.beside.metadata,
    )


def fitted(decoded: Decoded, size: int) -> Decoded:
    """The image made so small that its longest side has at most so many pixels."""
    header = decoded.header
    to = size_for((header.height, header.width), size)
    pixels = fit(decoded.pixels, header.format, to)
    whole_image = to == (header.height, header.width)
    return replace(decoded, pixels=pixels, lossless=decoded.lossless and whole_image)
