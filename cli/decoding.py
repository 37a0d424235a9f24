"""decode: parse, call, print."""

from __future__ import annotations

import io
import time
from pathlib import Path

import click

from diffcodec.cli.inspection import how_far
from diffcodec.cli.options import (
    bpp_option,
    bytes_option,
    cut,
    model_option,
    output_options,
    steps_option,
    threads_option,
)
from diffcodec.cli.streams import (
    PIPE,
    about,
    beside,
    claim,
    name_of,
    narrate,
    print_json,
    progress_bar,
    read,
    write,
)


@click.command()
@click.argument("source", metavar="IN")
@click.argument("target", metavar="[OUT]", required=False)
@model_option
@bytes_option
@bpp_option
@steps_option
@click.option(
    "--scale",
    type=click.Choice(["1/2", "1/4", "1/8"]),
    help="A smaller preview, from the steps that matter to it.",
)
@click.option(
    "--reconstruction",
    type=click.Choice(["mean", "sample", "ddim"]),
    default="mean",
    help="Of a cut: mean, the least error; sample, one image that fits; ddim, the same without "
    "noise (mean).",
)
@click.option(
    "--seed", type=click.IntRange(0, 2**32 - 1), default=0, help="Of what is drawn, not received."
)
@click.option("--ddim-steps", type=click.IntRange(1), default=20, metavar="N", help="Of ddim (20).")
@click.option("--strict", is_flag=True, help="Fail unless IN is whole, to the exact pixels.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["png", "ppm"]),
    help="Of OUT, where no suffix tells (default: png).",
)
@threads_option
@output_options
def decode(
    source: str,
    target: str | None,
    model: str | None,
    max_bytes: int | None,
    bpp: float | None,
    steps: int | None,
    scale: str | None,
    reconstruction: str,
    seed: int,
    ddim_steps: int,
    strict: bool,
    format_: str | None,
    threads: int | None,
    force: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Turn IN, or whatever was received of it, into the image OUT (IN with the suffix .png).

    \b
    Examples:
      diffcodec decode photo.dfc
      head -c 2000 photo.dfc | diffcodec decode - preview.png
      diffcodec decode photo.dfc small.png --scale 1/4
      diffcodec decode photo.dfc --bpp 0.1 --reconstruction sample --seed 7
    """
    limits = cut(max_bytes=max_bytes, bpp=bpp, max_steps=steps)
    target = target or beside(source, f".{format_ or 'png'}")
    claim(source, target, force=force, as_json=as_json)

    from diffcodec import image

    kind = format_ or ("png" if target == PIPE else image.format_of(Path(target)))
    data = read(source)
    from diffcodec.bitstream.container import ARCHIVE_MAGIC

    if data[:4] == ARCHIVE_MAGIC:
        if limits or scale:
            raise click.UsageError("an archive holds whole images only; it cannot be cut")
        _decode_archive(source, target, kind, data, model, threads, force, quiet, as_json)
        return

    from diffcodec import api
    from diffcodec.sampling import reconstruction as sample

    options = {**limits, "threads": threads, "scale": int(scale[2:]) if scale else 1}
    with about(source):
        facts = api.info(data, model)
        if strict and not facts["complete"]:
            raise click.ClickException(f"{name_of(source)} is cut short, {how_far(facts)}")
        began = time.perf_counter()
        with progress_bar("decoding", quiet=quiet) as progress:
            shown = sample.reconstruction(
                reconstruction, seed=seed, steps=ddim_steps, progress=progress
            )
            decoded = api.decode(data, model, progress=progress, reconstruct=shown, **options)
    seconds = time.perf_counter() - began
    write(target, image.to_bytes(decoded.pixels, kind), force=force)
    total = "" if decoded.total_bytes is None else f" of {decoded.total_bytes:,}"
    end = "lossless" if decoded.lossless else f"step {decoded.steps} of {decoded.steps_total}"
    narrate(f"decoded {decoded.bytes_used:,}{total} bytes, {end}", quiet=quiet)
    if as_json:
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
                "reconstruction": "exact" if decoded.lossless else reconstruction,
                "decoding_seconds": round(seconds, 3),
            }
        )


def _decode_archive(
    source: str,
    target: str,
    kind: str,
    data: bytes,
    model: str | None,
    threads: int | None,
    force: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    from diffcodec import image
    from diffcodec.archive import archive
    from diffcodec.codec import Codec

    began = time.perf_counter()
    with about(source), progress_bar("decoding", quiet=quiet) as progress:
        held = archive.contents(io.BytesIO(data))
        if held.damage:
            raise click.ClickException(f"{name_of(source)}: {held.damage[0].reason}")
        if len(held.images) != 1:
            raise click.ClickException(
                f"{name_of(source)} holds {len(held.images)} images; use diffcodec extract"
            )
        codec = Codec.from_pretrained(model or archive.model_of(held), threads)
        pixels = archive.only_image(codec, data, progress)
    seconds = time.perf_counter() - began
    write(target, image.to_bytes(pixels, kind), force=force)
    narrate(f"decoded {len(data):,} bytes, lossless", quiet=quiet)
    if as_json:
        height, width, channels = pixels.shape
        facts = {"input": source, "output": target, "width": width, "height": height}
        more = {"channels": channels, "model": codec.name, "bytes_used": len(data)}
        print_json({**facts, **more, "lossless": True, "decoding_seconds": round(seconds, 3)})
