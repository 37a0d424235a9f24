"""The generative half: samplers of images, and ways to show a cut.

Samplers are functions, one a file, in the symbols of their papers (ddpm, ddim, langevin), and so is
what is made with them: progressive generation, interpolation, inversion. Here are the ways to show
a cut, by name: the mean of what fits, or one image that fits.

x0_hat is the mean of all images that fit what was received: no other choice has a smaller squared
error, and none looks as smooth. The other samplers walk the rest of the chain without its bits and
show one image that fits, as far as the network knows images, at up to twice the squared error.
They are for cuts only: the exact pixels of a whole file are not theirs to change.

A new one is a function of cuts.py, and a line of SAMPLERS. Nothing here imports numpy, so that help
can list them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from diffcodec.errors import OptionError

if TYPE_CHECKING:
    from diffcodec.bitstream.types import Float32, Progress
    from diffcodec.progressive.receiver import Reconstruct
    from diffcodec.progressive.shared import Shared, State

    Function = Callable[[Shared, State, Float32, "Options"], Float32]

STEPS = 20


@dataclass(frozen=True)
class Options:
    """What a sampler may be asked for; each takes what it needs.

    seed: of its noise; steps: how many, where the file's chain does not say; progress: is called
    with (done, total) as it goes.
    """

    seed: int = 0
    steps: int = STEPS
    progress: Progress | None = None

    def report(self, done: int, total: int) -> None:
        """So many calls of the network are done."""
        if self.progress is not None:
            self.progress(done, total)


@dataclass(frozen=True)
class Sampler:
    """A way to show a cut.

    about: for help; label: beside a report's slider; load: gives its function, imported on first
    use. The function takes what both sides share, the received state, its x0_hat and Options, and
    returns (C, H, W) float32 in x0 units. None: x0_hat is shown as it is.
    """

    about: str
    label: str
    load: Callable[[], Function] | None


def _ancestral() -> Function:
    from diffcodec.sampling.cuts import ancestral

    return ancestral


def _ddim() -> Function:
    from diffcodec.sampling.cuts import ddim

    return ddim


SAMPLERS = {
    "mean": Sampler("the least squared error", "diffcodec", None),
    "sample": Sampler("one image that fits", "diffcodec, a sample", _ancestral),
    "ddim": Sampler("one without added noise", "diffcodec, DDIM", _ddim),
}


def reconstruction(
    name: str, *, seed: int = 0, steps: int = STEPS, progress: Progress | None = None
) -> Reconstruct | None:
    """What `Codec.decode` takes as `reconstruct` for a name of SAMPLERS; None for the mean.

    seed, steps, progress: as in Options. Raises OptionError for an unknown name.
    """
    if name not in SAMPLERS:
        raise OptionError(f'there is no reconstruction "{name}"; there are {", ".join(SAMPLERS)}')
    load = SAMPLERS[name].load
    if load is None:
        return None
    function, options = load(), Options(seed, steps, progress)
    return lambda shared, state, x0_hat: function(shared, state, x0_hat, options)
