"""How much work goes into a file: how many steps, and how thorough the search in each.

More steps cost a call of the network each, in the encoder and in the decoder; more states of the
trellis cost the encoder alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from diffcodec.errors import OptionError
from diffcodec.theory.chain import CHAIN_LENGTHS

STEP_BITS = 100  # ideal bits that a step should carry at least
RATE_BPD = 2.5  # about what an image spends up to the last noise level
SHORT_BITS = 256  # ideal bits of a step below which more than SHORT_NU state bits gain nothing
SHORT_NU = 14


@dataclass(frozen=True)
class Effort:
    """longest: of the network's own chains, at most so many steps; nu: most state bits."""

    longest: int
    nu: int

    def chain(self, dims: int) -> str:
        """The chain for so many sub-pixels: as many steps as leave STEP_BITS to each."""
        steps = [k for k in CHAIN_LENGTHS if k <= self.longest and RATE_BPD * dims / k >= STEP_BITS]
        return str(max(steps, default=CHAIN_LENGTHS[0]))

    def states(self, dims: int) -> int:
        """State bits of the trellis code for so many sub-pixels."""
        long = RATE_BPD * dims / int(self.chain(dims)) >= SHORT_BITS
        return self.nu if long else min(self.nu, SHORT_NU)


DEFAULT = Effort(50, 16)
# Of kodim23 (768x512) against the default: 2 % more bytes in half of the encoder's and two thirds
# of the decoder's time; 1 % fewer in about twice the time.
EFFORTS = {"fast": Effort(25, 14), "default": DEFAULT, "best": Effort(100, 16)}


def effort_of(name: str) -> Effort:
    """By name; raises OptionError if there is none such."""
    try:
        return EFFORTS[name]
    except KeyError:
        raise OptionError(f'there is no effort "{name}", only {", ".join(EFFORTS)}') from None
