"""Which bound `diffcodec nll` measures: noise levels, variance, which timesteps an image meets."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from diffcodec.cli.coding_options import CHAIN, seed_option
from diffcodec.cli.options import grouped

if TYPE_CHECKING:
    from diffcodec.eval.likelihood.plan import Settings
    from diffcodec.exact.denoiser import ExactDenoiser
    from diffcodec.network.denoiser import NetworkDenoiser

# What --chain may name, by what optimised_levels.settings_of calls it.
FAMILIES = {
    "": "own",
    "ddpm": "linear",
    "linear": "linear",
    "quadratic": "quadratic",
    "sigmoid": "sigmoid",
    "cosine": "cosine",
    "chosen": "chosen",
    "recipe": None,
}
RECIPE = "recipe:1000"


@dataclass(frozen=True)
class Bound:
    """--chain, --sigma2, --stride, --seed: which bound is measured."""

    chain: str | None
    sigma2: Any
    stride: int
    seed: int

    @property
    def levels(self) -> tuple[str | None, int]:
        """What --chain says: "ddpm:50" is ("linear", 50); None for what the recipe says."""
        asked = self.chain or RECIPE
        found = re.fullmatch("(?:([a-z]+):)?([1-9][0-9]*)", asked)
        if not found:
            raise click.UsageError(
                f"--chain {asked} is neither a number nor a chain such as ddpm:50"
            )
        if (family := found[1] or "") not in FAMILIES:
            known = ", ".join(name for name in FAMILIES if name)
            raise click.UsageError(f"--chain {asked} is of an unknown schedule; there are {known}")
        return FAMILIES[family], int(found[2])

    def settings(self, network: ExactDenoiser | NetworkDenoiser, images: int) -> Settings:
        """For a network and so many images; UsageError for what there is not."""
        from diffcodec.errors import CheckpointError
        from diffcodec.eval.likelihood.optimised_levels import settings_of

        if self.sigma2 == "learned" != network.sigma2:
            raise click.UsageError(f"{network.name} has no learned variance; leave out --sigma2")
        try:
            settings = settings_of(network, *self.levels, self.sigma2, self.stride, self.seed)
            _ = settings.schedule, settings.offsets(images)
        except CheckpointError:
            raise
        except ValueError as error:
            raise click.UsageError(str(error)) from error
        return settings


bound_options = grouped(
    "bound",
    Bound,
    click.option(
        "--chain",
        metavar="K|NAME:N",
        help=f"{CHAIN}; also quadratic:N and sigmoid:N, chosen:N, the N best levels for the "
        f"network's error, and recipe:N, of the timesteps that its recipe names (default: "
        f"{RECIPE}).",
    ),
    click.option(
        "--sigma2",
        type=click.Choice(["beta", "beta_tilde", "learned", "widened"]),
        help="Variance of p_theta (default: that of the network's recipe, beta for most; for K "
        "and chosen:N widened, which is beta_tilde and what the network's error adds).",
    ),
    click.option(
        "--stride",
        type=click.IntRange(1),
        default=1,
        metavar="M",
        help="Each image meets every M-th t only (and t = 1 to 10): the same means, less precise.",
    ),
    seed_option("the noise in x_t"),
)
