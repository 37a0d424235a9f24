"""Options on how images are drawn: the sampler, its noise levels, and what guides it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from diffcodec.cli.options import Decorator, grouped

if TYPE_CHECKING:
    from diffcodec.exact.denoiser import ExactDenoiser
    from diffcodec.network.denoiser import NetworkDenoiser
    from diffcodec.sampling.method import Method
    from diffcodec.sampling.walk import Guide
    from diffcodec.theory.schedule import Schedule

    AnyNetwork = ExactDenoiser | NetworkDenoiser

# Of diffcodec.sampling.taus, which imports numpy; a test sees to it that they are all here.
SPACINGS = ("linear", "quadratic", "geometric", "optimised")
# Of each sampler: how many levels, and their spacing, where it is not said.
DEFAULTS = {"ddpm": (1000, "linear"), "ddim": (50, "quadratic"), "langevin": (200, "geometric")}
OWN = {"eta": "ddim", "sigma2": "ddpm", "snr": "langevin", "each": "langevin"}  # whose options


@dataclass(frozen=True)
class Levels:
    """--steps, --spacing, --taus: which noise levels are visited."""

    steps: int | None = None
    spacing: str | None = None
    taus: Sequence[int] | None = None

    def __post_init__(self) -> None:
        if self.taus is not None and (self.steps, self.spacing) != (None, None):
            raise click.UsageError("--taus says what --steps and --spacing do: leave them out")

    def of(self, network: AnyNetwork, sampler: str) -> tuple[float, ...]:
        """Decreasing noise variances; raises OptionError for levels that there are not."""
        from diffcodec.eval.likelihood.optimised_levels import tables_of
        from diffcodec.sampling import taus

        schedule = schedule_of(network)
        if self.taus is not None:
            return taus.chosen(self.taus, schedule)
        steps, spacing = DEFAULTS[sampler]
        spacing = self.spacing or spacing
        tables = tables_of(network) if spacing == "optimised" else None
        return taus.spaced(spacing, steps if self.steps is None else self.steps, schedule, tables)


@dataclass(frozen=True)
class Sampler:
    """--sampler, and what one of them takes."""

    name: Any = None
    eta: float | None = None
    sigma2: Any = None
    snr: float | None = None
    each: int | None = None

    def method(
        self, network: AnyNetwork, levels: Levels, default: Any, guide: Guide | None = None
    ) -> Method:
        """What is asked for; default: a sampler. Raises OptionError for what there is not."""
        from diffcodec.eval.likelihood.optimised_levels import tables_of
        from diffcodec.sampling.method import Method

        name = self.name or default
        chosen = levels.of(network, name)
        given = {key: value for key in OWN if (value := getattr(self, key)) is not None}
        for key in given:
            if OWN[key] != name:
                raise click.UsageError(f"--{key} is about {OWN[key]}, not {name}: leave it out")
        if name == "ddpm":
            given.setdefault("sigma2", _usual_variance(network, len(chosen)))
            _check_variance(given["sigma2"], network)
            if given["sigma2"] == "widened":
                given["error"] = tables_of(network).error
        return Method(name, chosen, guide=guide, **given)


def _usual_variance(network: AnyNetwork, steps: int) -> str:
    """That of the recipe; with few steps beta would leave noise in the image (DDIM, table 1)."""
    from diffcodec.sampling.taus import T

    return "beta_tilde" if network.sigma2 == "beta" and steps < T else network.sigma2


def _check_variance(sigma2: str, network: AnyNetwork) -> None:
    from diffcodec.errors import OptionError

    if sigma2 == "learned" != network.sigma2:
        raise OptionError(
            f"{network.name} has no learned variance: take --sigma2 beta, beta_tilde or widened"
        )


def schedule_of(network: AnyNetwork) -> Schedule:
    """The chain of T = 1000 that the network's timesteps are of."""
    from diffcodec.sampling.taus import T
    from diffcodec.theory.schedule import Schedule

    return Schedule.named(network.betas, T)


def whole_numbers(
    _: click.Context, option: click.Parameter, value: str | None
) -> tuple[int, ...] | None:
    """ "1,10,100" to whole numbers."""
    if value is None:
        return None
    try:
        return tuple(int(part) for part in value.split(","))
    except ValueError:
        message = f"{value!r} is no list of whole numbers such as 1,10,100"
        raise click.BadParameter(message, param=option) from None


def timesteps_option(what: str) -> Decorator[Any]:
    """--t T,T,...: timesteps."""
    return click.option("--t", "t", callback=whole_numbers, metavar="T,T,...", help=what)


levels_options = grouped(
    "levels",
    Levels,
    click.option(
        "--steps",
        type=click.IntRange(1),
        metavar="K",
        help="So many noise levels (default: ddpm 1000, ddim 50, langevin 200).",
    ),
    click.option(
        "--spacing",
        type=click.Choice(SPACINGS),
        help="How they are spaced, over T = 1000 timesteps: linear, quadratic; over log v: "
        "geometric; or the network's optimised schedule of K levels (default: ddpm linear, ddim "
        "quadratic, langevin geometric).",
    ),
    click.option(
        "--taus",
        callback=whole_numbers,
        metavar="T,T,...",
        help="These timesteps, increasing, instead.",
    ),
)


def sampler_options(default: str) -> Decorator[Any]:
    """--sampler and all that samplers take; default: a phrase on which one is it."""
    return grouped(
        "sampler",
        Sampler,
        click.option(
            "--sampler",
            "name",
            type=click.Choice(list(DEFAULTS)),
            help=f"DDPM's Algorithm 2, DDIM, or NCSN's annealed Langevin dynamics ({default}).",
        ),
        click.option(
            "--eta",
            type=float,
            metavar="X",
            help="Noise of ddim's steps: 0 none, 1 as much as ddpm with beta_tilde (default: 0).",
        ),
        click.option(
            "--sigma2",
            type=click.Choice(["beta", "beta_tilde", "learned", "widened"]),
            help="Variance of ddpm's p_theta (default: that of the network's recipe, but "
            "beta_tilde for beta with fewer than 1000 steps); widened is beta_tilde and what the "
            "network's error adds.",
        ),
        click.option(
            "--snr",
            type=float,
            metavar="X",
            help="Size of langevin's steps: gradient against noise (default: 0.3).",
        ),
        click.option(
            "--each",
            type=click.IntRange(1),
            metavar="N",
            help="langevin's steps at each level (default: 5).",
        ),
    )
