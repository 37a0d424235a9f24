"""A sampler with all that it takes but images: what commands choose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from diffcodec.bitstream.types import Float64
from diffcodec.errors import OptionError
from diffcodec.sampling.ddim import ddim, sigma2_of
from diffcodec.sampling.ddpm import Error, ddpm
from diffcodec.sampling.langevin import EACH, SNR, langevin, step_size
from diffcodec.sampling.taus import below
from diffcodec.sampling.walk import Guide, Noise, Walk
from diffcodec.theory.denoiser import BatchDenoiser
from diffcodec.theory.elbo import Variance

Name = Literal["ddpm", "ddim", "langevin"]


@dataclass(frozen=True)
class Method:
    """levels: decreasing noise variances in x0 units; the rest as in ddpm, ddim and langevin.

    Raises OptionError for what these refuse, before any of the work.
    """

    name: Name
    levels: Sequence[float]
    eta: float = 0.0
    sigma2: Variance = "beta_tilde"
    error: Error | None = None
    snr: float = SNR
    each: int = EACH
    guide: Guide | None = None

    def __post_init__(self) -> None:
        if self.name == "ddim":
            for v_t, v_s in pairwise(self.levels):
                sigma2_of(self.eta, v_s, v_t)
        if self.name == "langevin":
            step_size(self.snr, self.each, 1.0)
        if self.name == "ddpm" and self.sigma2 == "widened" and self.error is None:
            raise OptionError("the network has no tables of its error, which widened needs")

    def walk(self, denoiser: BatchDenoiser, y: Float64, noise: Noise, v: float) -> Walk:
        """From states y, (N, C, H, W), of noise v, down the levels below it."""
        levels = below(self.levels, v)
        if self.name == "ddpm":
            return ddpm(denoiser, y, levels, noise, self.sigma2, self.error, self.guide)
        if self.name == "ddim":
            return ddim(denoiser, y, levels, self.eta, noise, self.guide)
        return langevin(denoiser, y, levels, noise, self.snr, self.each, self.guide)

    def visits(self, v: float) -> int:
        """How many states such a walk visits."""
        return len(below(self.levels, v)) + (self.name == "langevin")
