"""How much work goes into a file: how many steps, and how thorough the search in each.

More steps cost a call of the network each, in the encoder and in the decoder; more states of the
trellis cost the encoder alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from diffcodec.chain import CHAIN_LENGTHS, OptionError

STEP_BITS = 100  # ideal bits that a step should carry at least
RATE_BPD = 2.5  # about what a picture spends up to the last noise level


@dataclass(frozen=True)
class Effort:
    """longest: of the network's own chains, at most so many steps; nu: state bits of the code."""

    longest: int
    nu: int

    def chain(self, dims: int) -> str:
        """The chain for so many sub-pixels: as many steps as leave STEP_BITS to each."""
        steps = [k for k in CHAIN_LENGTHS if k <= self.longest and RATE_BPD * dims / k >= STEP_BITS]
        return str(max(steps, default=CHAIN_LENGTHS[0]))


DEFAULT = Effort(50, 14)
# Of kodim23 (768x512) against the default: 2.5 % more bytes in 0.51 of the encoder's and 0.57 of
# the decoder's time; 1.5 % fewer in 2.2 and 2.0 times it.
EFFORTS = {"fast": Effort(25, 14), "default": DEFAULT, "best": Effort(100, 16)}


def effort_of(name: str) -> Effort:
    """By name; raises OptionError if there is none such."""
    try:
        return EFFORTS[name]
    except KeyError:
        raise OptionError(f'there is no effort "{name}", only {", ".join(EFFORTS)}') from None
