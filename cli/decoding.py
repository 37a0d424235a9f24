"""decode: parse, call, print."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from diffcodec.cli.inspection import how_far
from diffcodec.cli.options import (
    Network,
    cut_options,
    file_network_options,
    grouped,
    output_options,
    seed_option,
)
from diffcodec.cli.output import Output
from diffcodec.cli.streams import PIPE, about, beside, name_of, print_json, read, warn
from diffcodec.sampling import SAMPLERS, STEPS, reconstruction

if TYPE_CHECKING:
    from diffcodec.bitstream.types import Progress
    from diffcodec.codec import Decoded
    from diffcodec.file import File
    from diffcodec.progressive.receiver import Reconstruct


@dataclass(frozen=True)
class Shown:
    """--reconstruction, --seed, --sampler-steps: how a cut is shown."""

    reconstruction: str
    seed: int
    sampler_steps: int

    def sampler(self, progress: Progress | None) -> Reconstruct | None:
        """What decodes a cut; None for the mean."""
        steps = self.sampler_steps
        return reconstruction(self.reconstruction, seed=self.seed, steps=steps, progress=progress)


shown_options = grouped(
    "shown",
    Shown,
    click.option(
        "--reconstruction",
        type=click.Choice(list(SAMPLERS)),
        default="mean",
        help="How a cut is shown: "
        + "; ".join(f"{name}, {sampler.about}" for name, sampler in SAMPLERS.items())
        + " (default: mean).",
    ),
    seed_option("what a sampler adds to what was received"),
    click.option(
        "--sampler-steps",
        type=click.IntRange(1),
        default=STEPS,
        metavar="N",
        help=f"Steps of a sampler that takes any number, such as ddim (default: {STEPS}).",
    ),
)


@click.command()
@click.argument("source", metavar="IN")
@click.argument("target", metavar="[OUT]", required=False)
@file_network_options
@cut_options
@click.option(
    "--scale",
    type=click.Choice(["1/2", "1/4", "1/8"]),
    help="A smaller preview, from the steps that matter to it.",
)
@shown_options
@click.option(
    "--strict", is_flag=True, help="Fail unless IN is whole and intact, to the exact pixels."
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["png", "ppm"]),
    help="Format of OUT, if its suffix does not name one (default: png).",
)
@output_options
def decode(
    source: str,
    target: str | None,
    network: Network,
    cut: dict[str, Any],
    scale: str | None,
    shown: Shown,
    strict: bool,
    format_: str | None,
    output: Output,
) -> None:
    """Turn the file IN, or a beginning of it, into the image OUT.

    OUT is IN with the suffix .png, unless it is given. A cut leaves the rest of IN unused. Where
    exact pixels are damaged, OUT shows what the steps say, and a message names the place. The
    images of an archive come out by `diffcodec extract`.

    \b
    Examples:
      diffcodec decode photo.dfc
      head -c 2000 photo.dfc | diffcodec decode - preview.png
      diffcodec decode photo.dfc small.png --scale 1/4
      diffcodec decode photo.dfc --bpp 0.1 --reconstruction sample --seed 7
    """
    target = target or beside(source, f".{format_ or 'png'}")
    output.claim(source, target)

    from diffcodec import image

    kind = format_ or ("png" if target == PIPE else image.format_of(Path(target)))
    data = read(source)

    from diffcodec import api

    with about(source):
        if strict:
            _refuse_less(api.info(data, network.model), name_of(source))
        file = api.open_file(data, network.model, **cut)
        began = time.perf_counter()
        with output.progress("decoding") as progress:
            decoded = api.decode(
                file,
                network.model,
                reconstruct=shown.sampler(progress),
                scale=int(scale[2:]) if scale else 1,
                progress=progress,
                **network.running,
            )
    seconds = time.perf_counter() - began
    output.write(target, image.to_bytes(decoded.pixels, kind))
    for damage in decoded.damage:
        warn(f"{name_of(source)}: {damage}")
    total = "" if decoded.total_bytes is None else f" of {decoded.total_bytes:,}"
    output.say(f"decoded {decoded.bytes_used:,}{total} bytes, {_end(file, decoded)}")
    if output.as_json:
        facts = api.info(file, network.model)
        height, width, channels = decoded.pixels.shape
        print_json(
            {
                "input": source,
                "output": target,
                "width": width,
                "height": height,
                "channels": channels,
                "model": facts["model"],
                "fingerprint": facts["fingerprint"],
                "bytes_used": decoded.bytes_used,
                "total_bytes": decoded.total_bytes,
                "bpp": 8 * decoded.bytes_used / (facts["width"] * facts["height"]),
                "steps": decoded.steps,
                "steps_total": decoded.steps_total,
                "lossless": decoded.lossless,
                "damage": list(decoded.damage),
                "reconstruction": "exact" if decoded.lossless else shown.reconstruction,
                "decoding_seconds": round(seconds, 3),
            }
        )


def _end(file: File, decoded: Decoded) -> str:
    """How far the image goes."""
    if decoded.damage:
        return "damaged"
    if decoded.lossless:
        return "lossless"
    if file.payload.plain and not file.payload.steps:
        return "part of the exact pixels"
    return f"step {decoded.steps} of {decoded.steps_total}"


def _refuse_less(facts: dict[str, Any], name: str) -> None:
    """Raise ClickException for a file, by its api.info, that is cut short or damaged."""
    if not facts["complete"]:
        raise click.ClickException(f"{name} is cut short, {how_far(facts)}")
    if facts["damage"]:
        raise click.ClickException(f"{name}: {facts['damage'][0]}")
