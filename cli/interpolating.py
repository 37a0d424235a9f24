"""interpolate: images between two; parse, call, print."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from diffcodec.cli.coding_options import seed_option
from diffcodec.cli.drawing import Job, claim_grid, described, draw, write_grid
from diffcodec.cli.generating import (
    Generator,
    about,
    generator_options,
    read_pixels,
    size,
    states_of,
)
from diffcodec.cli.options import output_options
from diffcodec.cli.output import Output
from diffcodec.cli.reading_options import reading_options
from diffcodec.cli.sampler_options import (
    Levels,
    Sampler,
    levels_options,
    sampler_options,
    schedule_of,
    timesteps_option,
)
from diffcodec.cli.streams import PIPE, print_json

if TYPE_CHECKING:
    from diffcodec.bitstream.types import Float64
    from diffcodec.cli.sampler_options import AnyNetwork
    from diffcodec.image.picture import Choices
    from diffcodec.sampling.method import Method

T = (500,)  # as DDPM's Figure 8
POINTS = 9  # lambda = 0.1, 0.2 .. 0.9


@click.command()
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option(
    "-o", "--output", "target", metavar="FILE", required=True, help="Where the images go, in one."
)
@timesteps_option("Mix x_t of these timesteps, a row each (default: 500).")
@click.option(
    "--points",
    type=click.IntRange(1),
    default=POINTS,
    metavar="N",
    help=f"So many images between the two (default: {POINTS}).",
)
@click.option(
    "--space",
    type=click.Choice(["ddpm", "ddim"]),
    default="ddpm",
    help="ddpm: mix noisy images on a line; ddim: mix latents, which DDIM finds of both, on a "
    "sphere (default: ddpm).",
)
@generator_options
@sampler_options("default: ddpm; with --space ddim only ddim")
@levels_options
@seed_option("the noise, which all images share")
@reading_options
@output_options
def interpolate(
    first: str,
    second: str,
    target: str,
    t: Sequence[int] | None,
    points: int,
    space: str,
    generator: Generator,
    sampler: Sampler,
    levels: Levels,
    seed: int,
    choices: Choices,
    output: Output,
) -> None:
    """Draw images between A and B.

    Both are noised to x_t with the same noise, mixed, and drawn from there (DDPM, section 4.4): at
    small t the mixture is one of pixels, at large t of what the images show. A row shows A, the
    mixtures from lambda = 0, which reconstructs A, to lambda = 1, and B.

    \b
    Examples:
      diffcodec interpolate a.png b.png -o between.png
      diffcodec interpolate a.png b.png --t 125,250,500,1000 --steps 200 -o coarse-to-fine.png
      diffcodec interpolate a.png b.png --space ddim --steps 100 -o between.png
    """
    if space == "ddim" and (t is not None or sampler.name not in (None, "ddim") or sampler.eta):
        raise click.UsageError("--space ddim mixes x_T without noise: leave out --t and --sampler")
    if [first, second].count(PIPE) > 1:
        raise click.UsageError(f"{PIPE} is one image from standard input; name it once")
    claim_grid(output, target, [first, second])

    from diffcodec.eval.common.ranks import Ranks
    from diffcodec.eval.common.results import provenance
    from diffcodec.networks import default_model_of

    named = [(name, read_pixels(name, choices)) for name in (first, second)]
    images = [pixels for _, pixels in named]
    network = generator.open(default_model_of(images))
    x_0 = states_of(network, named)
    method = sampler.method(network, levels, space)
    began = time.perf_counter()
    if space == "ddim":
        jobs = [_on_a_sphere(network, method, x_0, points, seed, output)]
    else:
        jobs = _on_lines(network, method, x_0, t or T, points, seed)
    height, width, _ = images[0].shape
    drawn = draw(jobs, generator.batch(height, width), Ranks(), output, "sampling") or []
    columns = points + 2
    rows = [drawn[i : i + columns] for i in range(0, len(drawn), columns)]
    shown = [image for row in rows for image in (images[0], *row, images[1])]
    write_grid(output, target, shown, columns + 2)
    seconds = time.perf_counter() - began
    output.say(f"{len(drawn):,} images, {size(images[0].shape)}, in {seconds:.1f} s")
    if output.as_json:
        print_json(
            {
                "model": about(network) | {"label": generator.label},
                "sampler": described(method),
                "space": space,
                "t": list(t or T) if space == "ddpm" else None,
                "images": {"count": len(drawn), "shape": list(images[0].shape)},
                "seed": seed,
                "seconds": round(seconds, 3),
                **provenance("diffcodec", network.threads, 1, device=generator.device),
            }
        )


def _on_lines(
    network: AnyNetwork, method: Method, x_0: Float64, t: Sequence[int], points: int, seed: int
) -> list[Job]:
    """Mixtures of x_t, a job for each t (Figures 8 and 9)."""
    from diffcodec.sampling.mixing import linear, shares
    from diffcodec.sampling.starts import between, on_the_way
    from diffcodec.sampling.taus import level_of

    jobs = []
    for v in [level_of(one, schedule_of(network)) for one in t]:
        ends = on_the_way(x_0, v, seed)
        walk = between(network, method, ends, v, shares(points), linear, seed)
        jobs.append(Job(range(points + 2), method.visits(v), walk))
    return jobs


def _on_a_sphere(
    network: AnyNetwork, method: Method, x_0: Float64, points: int, seed: int, output: Output
) -> Job:
    """Mixtures of the latents that DDIM finds of both images."""
    from diffcodec.sampling.ddim import invert
    from diffcodec.sampling.mixing import shares, spherical
    from diffcodec.sampling.starts import between
    from diffcodec.sampling.walk import counted

    with output.progress("inverting") as progress:
        *_, end = counted(invert(network, x_0, method.levels), progress, len(method.levels))
    walk = between(network, method, end.y, end.v, shares(points), spherical, seed)
    return Job(range(points + 2), method.visits(end.v), walk)
