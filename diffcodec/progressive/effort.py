"""How much work goes into a file: how many steps, how thorough the search in each, what follows.

More steps cost a call of the network each, in the encoder and in the decoder, and so does a switch
to the exact pixels at less noise; a code with more states, or a longer list, costs the encoder
alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from diffcodec.bitstream.adaptive.starts import SMALL, SMALL_LEVEL
from diffcodec.bitstream.step_codes import BY_NAME, StepCode
from diffcodec.errors import OptionError
from diffcodec.theory.chain import CHAIN_LENGTHS

STEP_BITS = 100  # ideal bits that a step should carry at least
RATE_BPD = 2.5  # about what an image spends up to the last noise level
SHORT_BITS = 512  # ideal bits of a step below which more states than SHORT's gain little
SHORT = BY_NAME["butterfly:14"]
# An image of 32x32 is too small to learn from: of CIFAR-10's first 32 test images files took 3.789
# bits/dim with the switch at 0.6 grey levels, 4.18 at 3. At 48x48 it is 2.905 and 2.815.
TINY, TINY_SWITCH = 32 * 32, 0.7
# Finer samples are mostly noise, which steps do not tell cheaper than the adaptive coder: 192x192
# images of 16 and 12 bits took 0.6 to 1.9 % less with the switch at 12 grey levels than at 3.
DEEP_SWITCH = 12.0


@dataclass(frozen=True)
class Effort:
    """longest: of the network's optimised schedules, at most so many steps; code_of_long: of the
    messages of steps of SHORT_BITS and more; switch_of_large: grey levels of noise at which the
    exact pixels follow; level_of_large: of the adaptive coder, bitstream.adaptive.LEVELS, for
    images that are not small."""

    longest: int
    code_of_long: StepCode
    switch_of_large: float
    level_of_large: int

    def chain(self, dims: int) -> str:
        """The chain for so many sub-pixels: as many steps as leave STEP_BITS to each."""
        steps = [k for k in CHAIN_LENGTHS if k <= self.longest and RATE_BPD * dims / k >= STEP_BITS]
        return str(max(steps, default=CHAIN_LENGTHS[0]))

    def code(self, dims: int) -> StepCode:
        """The code of the steps' messages for so many sub-pixels."""
        long = RATE_BPD * dims / int(self.chain(dims)) >= SHORT_BITS
        return self.code_of_long if long else SHORT

    def switch(self, pixels: int, depth: int) -> float:
        """Grey levels of noise at which the exact pixels follow, for so many of so many bits."""
        if depth > 8:
            return DEEP_SWITCH
        return TINY_SWITCH if pixels <= TINY else self.switch_of_large

    def level(self, pixels: int) -> int:
        """Of the adaptive coder, for so many pixels; a small image takes no time at any."""
        return SMALL_LEVEL if pixels <= SMALL else self.level_of_large


DEFAULT = Effort(50, BY_NAME["polar:32"], switch_of_large=3.0, level_of_large=1)
# Of Kodak's images (768x512) against the default: 7 % more bytes in half the time on both sides;
# 3 % fewer in one and a half times the time.
EFFORTS = {
    "fast": Effort(25, BY_NAME["polar:32"], switch_of_large=6.0, level_of_large=0),
    "default": DEFAULT,
    "best": Effort(100, BY_NAME["polar:64"], switch_of_large=6.0, level_of_large=2),
}


def effort_of(name: str) -> Effort:
    """By name; raises OptionError if there is none such."""
    try:
        return EFFORTS[name]
    except (KeyError, TypeError):
        raise OptionError(f'there is no effort "{name}", only {", ".join(EFFORTS)}') from None
