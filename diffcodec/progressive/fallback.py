"""When the network is no help: a coarse preview, then plain pixels, for graphics and noise.

Steps end where the file would become larger than its pixels by a 128th and SPARE bytes, or twice as
large as the image as graphics. Its pixels then follow plain, after the steps that are at most a
128th of the pixels' bytes, or a 16th of the graphics'. The same happens to a file that is WORTH
times as large as one with plain pixels, which the adaptive coder makes smaller than graphics often.
"""

from __future__ import annotations

from diffcodec.bitstream.payload_writer import PayloadWriter, PixelCode
from diffcodec.bitstream.types import Pixels
from diffcodec.progressive.plain import encode_graphics, encode_plain, plain_payload
from diffcodec.progressive.shared import Shared
from diffcodec.progressive.steps import Walk

PREVIEW, GRAPHICS_PREVIEW = 128, 16
SPARE, GRAPHICS_MOST = 32, 2
# What steps may cost: they make previews, but where the network is no help, more than they give.
WORTH = 1.1
# Of the bytes as graphics: photographs take less with steps, and need not be coded twice.
DOUBT = 0.9
# A shorter side than this, and the network, which pads to 32, takes too long for what it saves.
NARROW = 8


class Fallback:
    """The steps of an image that are kept if its pixels follow plain.

    most: bytes of a payload above which they do; enough: up to which they surely do not. steps:
    those of the preview.
    """

    def __init__(
        self, planes: Pixels, writer: PayloadWriter, level: int | None, *, narrow: bool
    ) -> None:
        """planes: (C, H, W); narrow: whether a narrow image gets plain pixels at once.

        level: of the adaptive coder; None, and it codes no plain pixels.
        """
        self._graphics = encode_graphics(planes)
        graphics = sum(map(len, self._graphics))
        self.planes, self.level, self.steps = planes, level, 0
        self._preview, self._node = writer.copy(), -1
        stored = planes.nbytes
        self._room = min(stored // PREVIEW, graphics // GRAPHICS_PREVIEW)
        self.most = min(stored + stored // PREVIEW + SPARE, GRAPHICS_MOST * graphics)
        if narrow and min(planes.shape[1:]) < NARROW:
            self.most = self._room
        self.enough = self.most if level is None else min(self.most, DOUBT * graphics)

    def remember(self, writer: PayloadWriter, walk: Walk) -> None:
        """Keep the steps so far if there is room for them before plain pixels."""
        if writer.length <= self._room:
            self._preview, self._node, self.steps = writer.copy(), walk.state.node, walk.steps

    def payload(self, shared: Shared) -> tuple[bytes, PixelCode]:
        """The preview's steps and the plain pixels; and how these are coded."""
        code = encode_plain(shared, self.planes, self.level, self._graphics)
        return plain_payload(self._preview, self._node, self.planes, code), code

    def worth(self, payload: bytes, plain: bytes) -> bool:
        """Whether a payload with all steps is not much larger than the plain one, nor too large."""
        most = 0.0 if self.level is None else min(self.most, WORTH * len(plain))
        return len(payload) <= max(len(plain), most)
