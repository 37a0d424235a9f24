"""What the model learns of a channel while it codes: what learnt.h does, in numpy."""

from __future__ import annotations

import numpy as np

from diffcodec.bitstream.adaptive.level import LANES, LEVELS, PLAIN, SLOTS
from diffcodec.bitstream.adaptive.starts import views
from diffcodec.bitstream.types import Float32


class Learnt:
    """The parts of one channel of a run (channels, learnt_size) that begins with what is known.

    entries (n, 2): of the plain tables, SLOTS each, then of the hashed ones, 2^bits each and empty
    at first: what is added to the blend's logit, and how often it was. `close` puts the plain ones
    back; everything else is learnt in place.
    """

    def __init__(self, run: Float32, channel: int, level: int, bits: int) -> None:
        model = LEVELS[level]
        parts = {name: part[channel] for name, part in views(run, level).items()}
        self.mixer = parts["mixer"].reshape(model.contexts, model.experts + 1, LANES)
        self.rate = parts["rate"]
        self.power = parts["power"].reshape(model.experts + 1, LANES)
        self.last = parts["last"]
        self.correction = parts["correction"].reshape(-1)
        self.factor = parts["factor"]
        self.scale = parts["scale"]
        self.filter = parts["filter"]
        self.gram = parts["gram"]
        self.bits = bits
        hashed = np.zeros((model.tables - PLAIN << bits, 2), np.float32)
        self._plain = parts["plain"].reshape(-1, 2)
        self.entries = np.concatenate([self._plain, hashed])

    def close(self) -> None:
        """The run holds all that was learnt."""
        self._plain[:] = self.entries[: PLAIN * SLOTS]
