"""One file to one image: what `decode` does here, and in workers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from diffcodec.cli.coding_options import seed_option
from diffcodec.cli.inspection import how_far
from diffcodec.cli.many import Job, Record
from diffcodec.cli.options import grouped
from diffcodec.cli.streams import name_of, read
from diffcodec.eval.common.words import counted
from diffcodec.sampling import SAMPLERS, STEPS, reconstruction

if TYPE_CHECKING:
    from diffcodec.bitstream.types import Pixels, Progress
    from diffcodec.limits import Limits
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


class Made(NamedTuple):
    """A whole image file; what --json says about it, but for the names; a phrase on how far it
    goes.
    """

    data: bytes
    record: Record
    how_far: str


@dataclass(frozen=True)
class Decoder:
    """A network, how much of a file is used and how it is shown, and what becomes of it.

    scale: 2, 4, 8 or 1; size: of the longest side, in its place; strip: no metadata is written;
    strict: refuse what is less than the image; limits: what a file may ask for.
    """

    model: str | None
    running: dict[str, Any]
    cut: dict[str, Any]
    scale: int
    size: int | None
    shown: Shown
    strip: bool
    strict: bool
    limits: Limits

    def decode(self, data: bytes, format: str, name: str, progress: Progress | None = None) -> Made:
        """An image of a file's bytes; name: of the file.

        Raises ClickException that names the file where `strict` asks for more, and errors of files,
        options and images.
        """
        import numpy as np

        from diffcodec import api, image
        from diffcodec.bitstream.container import parse_header

        self.limits.check(parse_header(data)[0])
        if self.strict:
            _refuse_less(api.info(data, self.model), format, name)
        file = api.open_file(data, self.model, **self.cut)
        sample = file.header.format
        _refuse_unless_held(np.zeros((1, 1, sample.channels), sample.dtype), format, name)
        began = time.perf_counter()
        decoded = api.decode(
            file,
            self.model,
            reconstruct=self.shown.sampler(progress),
            scale=self.scale,
            size=self.size,
            limits=self.limits,
            progress=progress,
            **self.running,
        )
        seconds = time.perf_counter() - began
        if self.strict and decoded.damage:
            raise click.ClickException(f"{name}: {decoded.damage[0]}")
        metadata = () if self.strip else decoded.metadata
        facts = api.info(file, self.model)
        lost = image.not_kept(metadata, format)
        if not self.strip and (unknown := facts["metadata_unknown"]):
            lost.append(f"metadata of {counted(unknown, 'kind')} that this version does not know")
        if self.strict and lost:
            raise click.ClickException(
                f"{name}: {format.upper()} does not keep {', '.join(lost)}; name another format, "
                "or leave out --strict"
            )
        height, width, channels = decoded.pixels.shape
        record = {
            "format": format,
            "width": width,
            "height": height,
            "channels": channels,
            "depth": 8 * decoded.pixels.dtype.itemsize,
            "model": facts["model"],
            "fingerprint": facts["fingerprint"],
            "bytes_used": decoded.bytes_used,
            "total_bytes": decoded.total_bytes,
            "bpp": 8 * decoded.bytes_used / (facts["width"] * facts["height"]),
            "steps": decoded.steps,
            "steps_total": decoded.steps_total,
            "lossless": decoded.lossless,
            "exact": decoded.lossless and format in image.EXACT,
            "not_kept": lost,
            "damage": list(decoded.damage),
            "reconstruction": "exact" if decoded.lossless else self.shown.reconstruction,
            "decoding_seconds": round(seconds, 3),
        }
        _refuse_unless_held(decoded.pixels, format, name)
        made = image.to_bytes(decoded.pixels, format, metadata)
        return Made(made, record, _end(facts, decoded.steps, decoded.lossless))


def decode_file(decoder: Decoder, format: str | None, job: Job) -> Record:
    """Make an image's file, whole or not at all, in a folder that is made; the record of --json.

    format: of the image; None for what the suffix says.
    """
    from diffcodec import image

    name = name_of(job.source)
    kind = format or image.format_of(job.target)
    made = decoder.decode(read(job.reads), kind, name)
    job.write(made.data)
    return {"input": job.source, "output": job.target, **made.record}


def losses(record: Record) -> Iterator[str]:
    """What is damaged, and what of an image its new file does not keep."""
    for damage in record["damage"]:
        yield f"{name_of(record['input'])}: {damage}"
    for phrase in record["not_kept"]:
        yield f"{name_of(record['output'])}: {phrase} is not kept"


def remarks(record: Record) -> Iterator[str]:
    """What else may be news about a decoded image."""
    name, format = name_of(record["output"]), record["format"].upper()
    if record["lossless"] and not record["exact"]:
        yield f"{name}: {format} comes close to the pixels, but does not keep them"


def _end(facts: Record, steps: int, lossless: bool) -> str:
    """How far the image goes."""
    if facts["damage"]:
        return "damaged"
    if lossless:
        return "lossless"
    if facts["pixels"] and not facts["steps_available"]:
        return "part of the exact pixels"
    return f"step {steps} of {facts['steps_total']}"


def _refuse_unless_held(pixels: Pixels, format: str, name: str) -> None:
    """Raise ClickException for pixels that a format cannot hold, before they are decoded if that is
    known then.
    """
    from diffcodec.image import cannot_hold

    if reason := cannot_hold(pixels, format):
        raise click.ClickException(f"{name}: {format.upper()} {reason}; name another format")


def _refuse_less(facts: Record, format: str, name: str) -> None:
    """Raise ClickException for a file, by its api.info, that is cut short or damaged, and for a
    format that does not keep pixels.
    """
    from diffcodec.image import LOSSY

    if not facts["complete"]:
        raise click.ClickException(f"{name} is cut short, {how_far(facts)}")
    if facts["damage"]:
        raise click.ClickException(f"{name}: {facts['damage'][0]}")
    if format in LOSSY:
        raise click.ClickException(
            f"{name}: {format.upper()} does not keep pixels; name another format, or leave out "
            "--strict"
        )
