"""Which noise levels a sampler visits: a subsequence tau of DDPM's timesteps, or other levels.

All are variances v in x0 units, decreasing. Timesteps are the paper's t = 1..1000 of the betas that
a network was trained with.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from diffcodec.errors import OptionError
from diffcodec.theory.chain import Tables
from diffcodec.theory.schedule import Schedule

T = 1000
SPACINGS = ("linear", "quadratic", "geometric", "optimised")


def spaced(
    spacing: str, steps: int, schedule: Schedule, tables: Tables | None = None
) -> tuple[float, ...]:
    """So many levels from alpha_bar_T on, by name of SPACINGS.

    "linear", "quadratic": tau_i as i or i^2 (DDIM, appendix D.2), t = 1 and T among them; with
    `geometric`, levels of equal ratio between those two (NCSN, section 4.3). "optimised": those of
    the network's optimised schedule, after T's. Raises OptionError for what there is not.
    """
    if spacing == "optimised":
        return _optimised(steps, schedule, tables)
    if spacing not in SPACINGS:
        raise OptionError(f'there is no spacing "{spacing}"; there are {", ".join(SPACINGS)}')
    if not 2 <= steps <= schedule.T:
        raise OptionError(f"there can be 2 to {schedule.T} steps, not {steps}")
    if spacing == "linear":
        return decreasing(schedule.respaced(steps))
    if spacing == "quadratic":
        return decreasing(schedule.subset(_quadratic(steps, schedule.T)))
    return tuple(np.geomspace(schedule.v[-1], schedule.v[0], steps).tolist())


def chosen(taus: Sequence[int], schedule: Schedule) -> tuple[float, ...]:
    """The levels of these timesteps, increasing; raises OptionError for what are none."""
    try:
        return decreasing(schedule.subset(taus))
    except ValueError as error:
        raise OptionError(f"taus {','.join(map(str, taus))}: {error}") from error


def level_of(t: int, schedule: Schedule) -> float:
    """v of a timestep; raises OptionError for one outside 1..T."""
    if not 1 <= t <= schedule.T:
        raise OptionError(f"t is {t}: it must lie in 1..{schedule.T}")
    return float(schedule.v[t - 1])


def below(levels: Sequence[float], v: float) -> tuple[float, ...]:
    """The rest of a walk from a state of noise v: that, and the levels below it."""
    return (v, *(level for level in levels if level < v))


def decreasing(schedule: Schedule) -> tuple[float, ...]:
    """The levels of a chain, noisiest first."""
    return tuple(schedule.v[::-1].tolist())


def _quadratic(steps: int, T: int) -> list[int]:
    """1 .. T, as i^2, each at least 1 above the one before."""
    return [max(1 + (T - 1) * i**2 // (steps - 1) ** 2, 1 + i) for i in range(steps)]


def _optimised(steps: int, schedule: Schedule, tables: Tables | None) -> tuple[float, ...]:
    chains = {} if tables is None else tables.chains
    if str(steps) not in chains:
        known = ", ".join(sorted(chains, key=int)) or "none"
        raise OptionError(
            f"the network has no optimised schedule of {steps} levels; it has {known}"
        )
    return below(chains[str(steps)], float(schedule.v[-1]))
