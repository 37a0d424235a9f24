"""sample: images from a network; parse, call, print."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from diffcodec.cli.coding_options import seed_option
from diffcodec.cli.drawing import Targets, described, draw, targets_options
from diffcodec.cli.generating import Generator, about, generator_options, size
from diffcodec.cli.options import grouped, output_options
from diffcodec.cli.output import Output
from diffcodec.cli.reading_options import reading_options
from diffcodec.cli.sampler_options import Levels, Sampler, levels_options, sampler_options
from diffcodec.cli.starts import SMALL, Asked, FromImage, FromLatents, progressive, start_options
from diffcodec.cli.streams import PIPE, print_json

if TYPE_CHECKING:
    from diffcodec.image.picture import Choices
    from diffcodec.sampling.walk import Guide


@dataclass(frozen=True)
class Guidance:
    """--guide, --scale: a classifier that samples follow."""

    classifier: str | None = None
    scale: float | None = None

    def of(self, label: int | None, shape: tuple[int, int, int], device: str) -> Guide | None:
        """For images (C, H, W); raises CheckpointError and OptionError."""
        if self.classifier is None:
            if self.scale is not None:
                raise click.UsageError("--scale is about --guide CLASSIFIER")
            return None
        if label is None:
            raise click.UsageError("--guide leads to a class: name it with --class N")
        from diffcodec.classifier.guide import load_guide

        scale = 1.0 if self.scale is None else self.scale
        guide = load_guide(self.classifier, label, scale, device)
        guide.check(shape)
        return guide if scale else None


guide_options = grouped(
    "guidance",
    Guidance,
    click.option(
        "--guide",
        "classifier",
        metavar="NAME|PATH",
        help="A classifier of noisy images, which leads samples to --class.",
    ),
    click.option(
        "--scale", type=float, metavar="X", help="How strongly the classifier leads (default: 1)."
    ),
)


@click.command()
@start_options
@targets_options
@generator_options
@sampler_options("default: ddim; ddpm with --from-image")
@levels_options
@guide_options
@seed_option("the noise; that of an image depends on this and its number alone")
@reading_options
@output_options
def sample(
    asked: Asked,
    targets: Targets,
    generator: Generator,
    sampler: Sampler,
    levels: Levels,
    guidance: Guidance,
    seed: int,
    choices: Choices,
    output: Output,
) -> None:
    """Draw images from a network.

    By DDPM's Algorithm 2, by DDIM or by annealed Langevin dynamics, at any noise levels. A seed
    gives the same images whatever the batches and the processes are; under torchrun every process
    draws its share.

    \b
    Examples:
      diffcodec sample -m cifar10 -n 64 -o grid.png
      diffcodec sample -n 64 --sampler ddpm --sigma2 beta_tilde --steps 200 -o grid.png
      diffcodec sample -n 8 --progressive -o progressive.png
      diffcodec sample --from-image x.png --t 250,500,750 --repeat 4 -o shared.png
      diffcodec sample --latent x.npz --steps 100 -o back.png
      diffcodec sample --guide classifier.safetensors --class 3 --scale 2 -o cats.png
      torchrun --nproc-per-node 8 -m diffcodec sample -n 50000 --npz many.npz --device cuda
    """
    asked.check(targets)

    from diffcodec.eval.common.ranks import Ranks
    from diffcodec.eval.common.results import provenance
    from diffcodec.networks import PHOTOGRAPHS

    ranks = Ranks.join()
    output = output if ranks.first else replace(output, quiet=True)
    if ranks.world > 1 and PIPE in asked.files:
        raise click.UsageError("under torchrun all processes read the input: name a file")
    start = asked.start(choices)
    if ranks.first:
        targets.claim(output, start.count, asked.files)
    default = "cifar10" if (start.sides or SMALL) == SMALL else PHOTOGRAPHS
    network = generator.open(default, guidance.classifier is not None)
    channels, height, width = shape = start.shape(network)
    guide = guidance.of(generator.label, shape, generator.device)
    usual = "ddpm" if isinstance(start, FromImage) else "ddim"
    method = sampler.method(network, levels, usual, guide)
    if isinstance(start, FromLatents) and start.latents.network != network.fingerprint:
        output.say(f"these are latents of another network than {network.name}")
    jobs, began = start.jobs(network, method, seed), time.perf_counter()
    if asked.progressive:
        jobs = [progressive(job) for job in jobs]
    images = draw(jobs, generator.batch(height, width), ranks, output, "sampling")
    if images is None:  # the first process reports
        return
    targets.write(output, images, jobs[0].columns)
    seconds = time.perf_counter() - began
    output.say(f"{start.count:,} images, {size((height, width, channels))}, in {seconds:.1f} s")
    if output.as_json:
        print_json(
            {
                "model": about(network) | {"label": generator.label},
                "sampler": described(method),
                "images": {"count": start.count, "shape": [height, width, channels]},
                "seed": seed,
                "seconds": round(seconds, 3),
                **provenance("diffcodec", network.threads, ranks.world, device=generator.device),
            }
        )
