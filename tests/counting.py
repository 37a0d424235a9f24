"""A codec that counts how often its network is called."""

from __future__ import annotations

from diffcodec.bitstream.types import Float32
from diffcodec.codec import Codec


class Counting:
    """A codec's network, and how often it was called."""

    def __init__(self, codec: Codec) -> None:
        self.calls = 0
        self.network = codec.denoiser
        self.codec = Codec(self, codec.tables, fingerprint=codec.fingerprint)

    def __call__(self, y: Float32, v: float) -> Float32:
        self.calls += 1
        return self.network(y, v)
