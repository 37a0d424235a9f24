"""One image, one file, cut at five sizes: what progressive, lossy to lossless, looks like.

    python -m diffcodec.eval.experiments.demo [IMAGE] --out demo/

It needs the codec and Pillow alone, so that `make demo` installs nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from diffcodec.bitstream.types import Pixels
from diffcodec.eval.common import metrics

if TYPE_CHECKING:
    from diffcodec.codec import Codec

IMAGE = Path(__file__).resolve().parents[2] / "tests" / "images" / "dog.png"
CUTS, LOWEST_BPP, HIGHEST_BPP = 5, 0.1, 5.0  # the whole file follows
HEADER = 40  # bytes: a cut below this holds little more than the header
MARGIN, TEXT = 8, 40  # pixels of the strip


@dataclass(frozen=True)
class Shown:
    """A cut: its bytes, pixels (H, W, C) uint8, PSNR in dB (None: exact), seconds so far."""

    bytes: int
    pixels: Pixels
    psnr: float | None
    seconds: float

    @property
    def bpp(self) -> float:
        """Bits per pixel."""
        return metrics.bpp(self.bytes, self.pixels.shape)

    @property
    def quality(self) -> str:
        """PSNR, or that nothing is lost."""
        return "exact" if self.psnr is None else f"{self.psnr:.1f} dB"


def strip(original: Pixels, cuts: Sequence[Shown]) -> Image.Image:
    """The cuts side by side and the original (H, W, C) last, bytes and quality under each."""
    captions = [(f"{cut.bytes:,} bytes", f"{cut.bpp:.2f} bpp, {cut.quality}") for cut in cuts]
    captions.append(("original", f"{original.size:,} bytes raw"))
    images = [_enlarged(pixels) for pixels in [*(cut.pixels for cut in cuts), original]]
    width, height = images[0].size
    cell = width + MARGIN
    sheet = Image.new("RGB", (MARGIN + cell * len(images), height + 2 * MARGIN + TEXT), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(15)
    for i, (image, lines) in enumerate(zip(images, captions, strict=True)):
        left = MARGIN + i * cell
        sheet.paste(image, (left, MARGIN))
        for row, text in enumerate(lines):
            at = (left + width / 2, height + MARGIN + 4 + 19 * row)
            draw.text(at, text, fill="black", font=font, anchor="ma")
    return sheet


def _enlarged(pixels: Pixels) -> Image.Image:
    """As a Pillow image, small ones with enlarged pixels so that a caption fits below."""
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).convert("RGB")
    factor = max(1, round(200 / image.width))
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)


def cut_sizes(shape: tuple[int, ...], whole: int) -> list[int]:
    """Sizes in bytes, each the same factor above the last, for an image of this (H, W, C)."""
    pixels = shape[0] * shape[1]
    lowest = max(HEADER, LOWEST_BPP * pixels / 8)
    sizes = {int(size) for size in np.geomspace(lowest, HIGHEST_BPP * pixels / 8, CUTS)}
    return sorted(size for size in sizes if HEADER <= size < whole)


def cuts(codec: Codec, data: bytes, pixels: Pixels) -> Iterator[Shown]:
    """The file of an image (H, W, C) decoded at every cut, and at last whole."""
    sizes = [*cut_sizes(pixels.shape, len(data)), len(data)]
    start = time.perf_counter()
    for size, decoded in zip(sizes, codec.decode_cuts(data, sizes), strict=True):
        psnr = None if decoded.lossless else metrics.psnr(metrics.mse(decoded.pixels, pixels))
        yield Shown(size, decoded.pixels, psnr, time.perf_counter() - start)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("image", default=IMAGE, type=click.Path(exists=True, path_type=Path))
@click.option(
    "-m",
    "--model",
    metavar="NAME|PATH",
    help="A shipped network, a network's file, or a folder of diffusers (default: as the size "
    "suggests).",
)
@click.option("--out", default=Path("demo"), show_default=True, type=click.Path(path_type=Path))
def main(image: Path, model: str | None, out: Path) -> None:
    """Encode IMAGE once, cut the file at five sizes, decode every cut, lay them side by side."""
    from diffcodec.api import default_model
    from diffcodec.codec import Codec
    from diffcodec.image import load

    try:
        pixels = load(image)
        codec = Codec.from_pretrained(model or default_model(pixels))
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    start = time.perf_counter()
    data = codec.encode(pixels)
    seconds = time.perf_counter() - start
    out.mkdir(parents=True, exist_ok=True)
    file, sheet = out / f"{image.stem}.dfc", out / f"{image.stem}-cuts.png"
    file.write_bytes(data)
    click.echo(f"{file}: {len(data):,} bytes, encoded in {seconds:.1f} s")
    click.echo("    bytes     bpp     PSNR  decoded after, s")
    shown = []
    for cut in cuts(codec, data, pixels):
        click.echo(f"{cut.bytes:9,} {cut.bpp:7.3f} {cut.quality:>8} {cut.seconds:8.1f}")
        shown.append(cut)
    if not np.array_equal(shown[-1].pixels, pixels):
        raise click.ClickException(
            "the whole file did not give the exact pixels back; diffcodec selftest finds out why"
        )
    strip(pixels, shown).save(sheet, optimize=True)
    click.echo(f"{sheet}: the cuts side by side, the original last")


if __name__ == "__main__":
    main()
