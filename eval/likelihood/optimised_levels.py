"""The bound at noise levels that suit the network: an optimised schedule, or the best of all.

DDPM's betas are one choice, and a dear one: their last steps are far too coarse for a network that
knows any noise level. "own" are the levels of its optimised schedule, which its files visit
(`nll --chain 50`), "chosen" the best ones for its measured error D(v) (`nll --chain chosen:1000`,
diffcodec.theory.levels). p_theta is the codec's: beta_tilde widened by that error, and N(x0_hat,
D(v_1)) for the exact pixels.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from diffcodec.bitstream.types import Float64
from diffcodec.errors import OptionError
from diffcodec.eval.likelihood.plan import Settings
from diffcodec.exact.denoiser import ExactDenoiser
from diffcodec.network.tables import PIXELS_BELOW
from diffcodec.theory.chain import Tables
from diffcodec.theory.elbo import Variance
from diffcodec.theory.levels import choose
from diffcodec.theory.schedule import Schedule
from diffcodec.theory.units import GREY

if TYPE_CHECKING:
    from diffcodec.network.denoiser import NetworkDenoiser  # torch; integer networks do without

KINDS = ("own", "chosen")
MOST = 1000  # levels that are chosen at most, as of a network's chains
REACH = 8.0  # standard deviations of an error that are integrated over


def tables_of(network: ExactDenoiser | NetworkDenoiser) -> Tables:
    """Of a network of either kind; raises CheckpointError if they were not measured yet."""
    if isinstance(network, ExactDenoiser):
        return Tables.of(network.graph.facts.get("tables", {}))
    return Tables.of(network.checkpoint.tables)


def settings_of(
    network: ExactDenoiser | NetworkDenoiser,
    chain: str | None,
    steps: int,
    sigma2: Variance | None,
    stride: int,
    seed: int,
) -> Settings:
    """What is asked for, and what the network says where nothing is asked for.

    chain: "own", "chosen", or a schedule's name. Raises OptionError for levels that there are not,
    CheckpointError where tables are needed and missing.
    """
    if chain not in KINDS:
        chain, sigma2 = chain or network.betas, sigma2 or network.sigma2
        if sigma2 != "widened":
            return Settings(chain, steps, sigma2, stride, seed)
        levels: tuple[float, ...] = ()
        v = Schedule.named(chain).respaced(steps).v
    else:
        levels = levels_of(chain, steps, tables_of(network))
        v = np.array(levels)
    errors = tuple(tables_of(network).error(float(level)) for level in v)
    return Settings(chain, steps, sigma2 or "widened", stride, seed, levels, errors)


def levels_of(kind: str, steps: int, tables: Tables) -> tuple[float, ...]:
    """Increasing noise variances, so many; raises OptionError."""
    if kind == "chosen":
        if not 2 <= steps <= MOST:
            raise OptionError(f"2 to {MOST} noise levels can be chosen, not {steps}")
        return chosen(tables, [steps])[steps][::-1]
    if str(steps) not in tables.chains:
        known = ", ".join(sorted(tables.chains, key=int))
        raise OptionError(f"the network has no optimised schedule of {steps} levels, only {known}")
    return tables.chains[str(steps)][::-1]


def chosen(tables: Tables, lengths: Iterable[int]) -> dict[int, tuple[float, ...]]:
    """The best chains, decreasing noise variances, by the tables alone."""
    near = tables.v <= (PIXELS_BELOW / GREY) ** 2
    pixels = np.array([pixel_bpd(mse) for mse in tables.mse])
    best = choose(tables, np.where(near, pixels, np.inf), lengths)
    return {length: choice.v for length, choice in best.items()}


def pixel_bpd(mse: float) -> float:
    """Bits of an exact pixel under N(x0_hat, mse), by its bin, if its error is N(0, mse) too."""
    from scipy.special import ndtr  # the codec needs no scipy

    sigma = GREY * float(np.sqrt(mse))
    z: Float64 = np.linspace(-REACH, REACH, 4001)
    mass = ndtr(z + 0.5 / sigma) - ndtr(z - 0.5 / sigma)
    density = np.exp(-(z**2) / 2)
    return float(-(density * np.log2(np.maximum(mass, 1e-300))).sum() / density.sum())
