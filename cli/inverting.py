"""invert: the latents that DDIM makes images of; parse, call, print."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from diffcodec.cli.generating import Generator, about, generator_options, size, states_of
from diffcodec.cli.measuring_options import Selection, selection_options
from diffcodec.cli.options import output_options
from diffcodec.cli.output import Output
from diffcodec.cli.reading_options import reading_options
from diffcodec.cli.sampler_options import Levels, levels_options
from diffcodec.cli.streams import PIPE, print_json

if TYPE_CHECKING:
    from diffcodec.image.picture import Choices


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="IMAGE...")
@click.option(
    "-o",
    "--output",
    "target",
    metavar="FILE",
    help="Keep the latents, .npz, for `diffcodec sample --latent`.",
)
@selection_options
@generator_options
@levels_options
@reading_options
@output_options
def invert(
    sources: tuple[str, ...],
    target: str | None,
    selection: Selection,
    generator: Generator,
    levels: Levels,
    choices: Choices,
    output: Output,
) -> None:
    """Find the noise that DDIM makes images of.

    Images are files, all below folders, or - for one from a pipe, all of one size. DDIM is run
    backwards (section 4.3) and then forwards again, and the error of what comes back is reported:
    mean square, of pixels in [0, 1]. It falls with the number of steps.

    \b
    Examples:
      diffcodec invert x.png -o x.npz --steps 100
      diffcodec invert cifar10/ --split test --tile 32 --count 100 --steps 50
    """
    if target is not None:
        if target == PIPE:
            raise click.UsageError("-o needs a file")
        output.claim_files(sources, {"-o": target})

    import numpy as np

    from diffcodec.eval.common.results import provenance
    from diffcodec.networks import default_model_of
    from diffcodec.sampling.inversion import there_and_back
    from diffcodec.sampling.latents import Latents

    found = selection.read(sources, choices)
    pixels = [image.pixels for image in found.images]
    network = generator.open(default_model_of(pixels))
    x_0 = states_of(network, [(image.name, image.pixels) for image in found.images])
    chain = levels.of(network, "ddim")
    began = time.perf_counter()
    with output.progress("inverting") as progress:
        made = there_and_back(network, x_0, chain, generator.batch(*x_0.shape[2:]), progress)
    seconds = time.perf_counter() - began
    if target is not None:
        output.write(target, Latents.of(made.y, made.v, network.fingerprint).to_bytes())
    mse = float(made.mse.mean())
    if output.as_json:
        print_json(
            {
                "model": about(network) | {"label": generator.label},
                "dataset": found.about | {"shape": list(pixels[0].shape)},
                "steps": len(chain),
                "mse": mse,
                "mse_of_images": [float(error) for error in made.mse],
                "seconds": round(seconds, 3),
                **provenance("diffcodec", network.threads, 1, device=generator.device),
            }
        )
        return
    click.echo(
        f"{len(x_0):,} images, {size(pixels[0].shape)}, {len(chain)} steps: mean square error "
        f"{mse:.2e} of pixels in [0, 1], {-10 * np.log10(max(mse, 1e-30)):.1f} dB"
    )
