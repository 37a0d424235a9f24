"""Which noise levels a file visits, and what a step is expected to carry: known to both sides.

A chain is a list of noise variances v_0 > v_1 > ... in x0 units. A network's optimised schedules
minimise sum 1/2 log2(1 + dSNR D(v)) over the measured error D(v) of the network; DDPM's chains are
there for comparison with papers. State -1 has seen nothing: v = inf, x0_hat = the training mean.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffcodec.bitstream.container import MAX_NODES, ChainKind, Header
from diffcodec.bitstream.decimals import PowerCurve, rounded_log2
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.plan import Plan
from diffcodec.bitstream.step_codes import StepCode
from diffcodec.errors import CheckpointError, OptionError
from diffcodec.theory.schedule import parse_steps

CHAIN_LENGTHS = (6, 12, 25, 50, 100)
LEAST = 1e-30  # of a variance that is above 0


@dataclass(frozen=True)
class Tables:
    """What was measured on training images and is stored with a network
    (diffcodec.network.tables).

    prior_mean: of x0 per channel; prior_variance: around it; v, mse: D(v) at increasing v; chains:
    name -> decreasing noise variances.
    """

    prior_mean: tuple[float, float, float]
    prior_variance: float
    v: NDArray[np.float64]
    mse: NDArray[np.float64]
    chains: dict[str, tuple[float, ...]]

    @staticmethod
    def of(tables: dict[str, Any]) -> Tables:
        """From a checkpoint's tables; raises CheckpointError if they were not measured yet, and for
        numbers that nobody measures."""
        try:
            red, green, blue = map(float, tables["prior_mean"])
            found = Tables(
                prior_mean=(red, green, blue),
                prior_variance=float(tables["prior_variance"]),
                v=np.array(tables["v"], np.float64),
                mse=np.array(tables["mse"], np.float64),
                chains={k: tuple(map(float, c)) for k, c in tables["chains"].items()},
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise CheckpointError(
                "the network has no tables: run diffcodec calibrate on its float form, and export "
                "that again if it is to be an integer one"
            ) from error
        if not found._sound:
            raise CheckpointError(
                "the network's tables make no sense: get the original file again, or run diffcodec "
                "calibrate on its float form"
            )
        return found

    @property
    def _sound(self) -> bool:
        """Whether all numbers are such that a step's energy can be computed, in doubles."""
        curve = self.v.ndim == 1 and self.v.shape == self.mse.shape and self.v.size > 0
        chains = all(
            name == str(len(levels)) and len(levels) <= MAX_NODES and _positive(levels)
            for name, levels in self.chains.items()
        )
        return (
            all(abs(mean) <= 1 for mean in self.prior_mean)
            and curve
            and chains
            and _positive([self.prior_variance, *self.v, *self.mse])
            and _rising(self.v)
            and all(_rising([1 / v for v in levels]) for levels in self.chains.values())
        )

    def to_dict(self) -> dict[str, Any]:
        """As a network's file keeps them: plain JSON types, rounded to what is significant."""
        return {
            "prior_mean": [round(m, 6) for m in self.prior_mean],
            "prior_variance": round(self.prior_variance, 8),
            "v": [float(f"{v:.9g}") for v in self.v],
            "mse": [float(f"{d:.9g}") for d in self.mse],
            "chains": {k: [float(f"{v:.9g}") for v in c] for k, c in self.chains.items()},
        }

    def mean(self, channels: int) -> tuple[float, ...]:
        """The prior mean of each of 3 channels, or of a grey image's one."""
        red, green, blue = self.prior_mean
        return self.prior_mean if channels == 3 else ((red + green + blue) / 3,)

    def error(self, v: float) -> float:
        """D(v): expected squared error per sub-pixel of x0_hat at noise variance v (or inf)."""
        return self.prior_variance if math.isinf(v) else self._curve(v)

    @cached_property
    def _curve(self) -> PowerCurve:
        return PowerCurve(self.v.tolist(), self.mse.tolist())


def _positive(numbers: Iterable[float]) -> bool:
    """Whether all of them are above 0, and neither tiny nor huge."""
    return all(LEAST <= number <= 1 / LEAST for number in numbers)


def _rising(numbers: Sequence[float] | NDArray[np.float64]) -> bool:
    return all(a < b for a, b in pairwise(numbers))


@dataclass(frozen=True)
class Chain:
    """The noise levels of one file."""

    kind: ChainKind
    v: tuple[float, ...]  # decreasing
    tables: Tables

    def noise(self, state: int) -> float:
        """Noise variance of a state; state -1 has seen nothing."""
        return self.v[state] if state >= 0 else math.inf

    def expected(self, start: int, end: int) -> int:
        """Energy index of the step for an ordinary image: 16 log2(dSNR D)."""
        gain = 1 / self.noise(end) - 1 / self.noise(start)
        return rounded_log2(gain * self.tables.error(self.noise(start)), 16)

    def plan(
        self,
        dims: int,
        code: StepCode,
        strips: int = 0,
        sample_bytes: int = 1,
        promised: bool = False,
    ) -> Plan:
        """What the bitstream has to know; strips: of the adaptive coder, 0 if there are none."""
        return Plan(dims, code, len(self.v), self.expected, strips, sample_bytes, promised)


def choose_chain(name: str, tables: Tables) -> Chain:
    """Chain by name: "25", an optimised one, or "ddpm:50" (linear, T = 1000), "cosine:100".

    Raises OptionError for anything else.
    """
    if not isinstance(name, str):
        raise OptionError(f'{name!r} is not the name of a chain; say "ddpm:50", for instance')
    if name in tables.chains:
        return Chain("own", tables.chains[name], tables)
    own = ", ".join(sorted(tables.chains, key=int))
    family = name.partition(":")[0]
    if family in ("quadratic", "sigmoid"):
        raise OptionError(
            f"no header can name the {family} schedule: ddpm:50 and cosine:50 are those of files, "
            f"and diffcodec nll --chain {name} measures this one"
        )
    if family not in ("ddpm", "linear", "cosine"):
        raise OptionError(f'there is no chain "{name}"; the network has {own}, or say ddpm:50')
    try:
        levels = parse_steps(name)
    except ValueError as error:
        raise OptionError(str(error)) from None
    kind: ChainKind = "cosine" if family == "cosine" else "linear"
    return Chain(kind, tuple(levels), tables)


def chain_of(header: Header, tables: Tables) -> Chain:
    """The chain a file was written with; raises BitstreamError if the network has none such."""
    try:
        return choose_chain(header.chain_name, tables)
    except OptionError as error:
        raise BitstreamError(f"the file cannot be decoded with its network: {error}") from None
