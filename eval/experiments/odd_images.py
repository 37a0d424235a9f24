"""Images that no photograph looks like: what their lossless files take, in bytes and in time.

Flat colour, a ramp, graphics, noise, rows and columns of pixels; a smooth image stands beside
them for the time. The images are made here, the same ones everywhere.

    python -m diffcodec.eval.experiments.odd_images photo --json odd-pictures.json
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
from PIL import Image, ImageDraw

from diffcodec.bitstream.types import Pixels
from diffcodec.codec import Codec
from diffcodec.eval.common import options
from diffcodec.eval.common.coded import measure
from diffcodec.eval.common.results import provenance, write_result
from diffcodec.eval.peers.pillow_codecs import lossless

PEERS = ("png", "webp")
SIDE = 512


def images(side: int = SIDE) -> Iterator[tuple[str, Pixels]]:
    """Names and (H, W, C) uint8 pixels."""
    rng = np.random.default_rng(0)
    rows, columns = np.indices((side, side)) * 255 // side
    walk = np.cumsum(rng.integers(-9, 10, (5000, 3)), axis=0)
    walk = 255 - np.abs(walk % 510 - 255)
    yield "one colour", np.full((side, side, 3), (12, 200, 90), np.uint8)
    yield "ramp", np.stack([rows, columns, np.full_like(rows, 64)], axis=-1).astype(np.uint8)
    yield "graphics", graphics(side)
    waves = np.sin(rows / 9.0) + np.cos(columns / 7.0) + rng.normal(0, 0.05, rows.shape)
    yield "smooth, with grain", (127 + 50 * waves).astype(np.uint8)[..., None].repeat(3, axis=2)
    yield "noise", rng.integers(0, 256, (side // 2, side // 2, 3), np.uint8)
    yield "a row", walk[None].astype(np.uint8)
    yield "a column", walk[:, None, :1].astype(np.uint8)
    yield "tiny", rng.integers(0, 256, (3, 3, 3), np.uint8)


def graphics(side: int) -> Pixels:
    """Overlapping discs, bars and lines in flat colours, (side, side, 3) uint8."""
    image = Image.new("RGB", (side, side), "white")
    draw, rng = ImageDraw.Draw(image), np.random.default_rng(1)
    for i in range(40):
        x, y, w, h = (int(n) for n in rng.integers(0, side, 4) // (1, 1, 4, 4))
        colour = tuple(int(c) for c in rng.integers(0, 256, 3))
        shape = (draw.ellipse, draw.rectangle)[i % 2]
        shape((x, y, x + w, y + h), fill=colour, outline="black")
        draw.line((x, y, *(int(n) for n in rng.integers(0, side, 2))), fill=colour)
    return np.asarray(image, np.uint8)


def row(codec: Codec, name: str, pixels: Pixels) -> dict[str, Any]:
    """An image's files: bytes, seconds, and whether the pixels came back."""
    found = measure(pixels, codec.encode, lambda data: codec.decode(data).pixels).point
    peers = {peer: lossless(pixels, peer).point.bytes for peer in PEERS}
    return {
        "name": name,
        "shape": list(pixels.shape),
        "bytes": found.bytes,
        "exact": found.mse == 0,
        "encode_seconds": found.encode_seconds,
        "decode_seconds": found.decode_seconds,
        "peers_bytes": peers,
    }


def to_text(rows: list[dict[str, Any]]) -> str:
    """The rows for people."""
    from tabulate import tabulate

    lines = []
    for one in rows:
        sizes = [int(np.prod(one["shape"])), one["bytes"], *one["peers_bytes"].values()]
        lines.append([one["name"], *sizes, one["encode_seconds"], one["decode_seconds"]])
    head = ["image", "raw", "diffcodec", "PNG", "WebP", "encode (s)", "decode (s)"]
    return tabulate(lines, head, intfmt=",", floatfmt=".2f")


@options.measurement
@click.argument("model")
@click.option("--side", type=click.IntRange(8), default=SIDE, show_default=True, help="Pixels.")
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True)
@options.json_option
def main(model: str, side: int, threads: int, json_path: Path | None) -> None:
    """Lossless files of images that no photograph looks like, by MODEL."""
    codec = Codec.from_pretrained(model, threads)
    rows = [row(codec, name, pixels) for name, pixels in images(side)]
    result = {
        "odd_pictures": rows,
        "model": {"name": codec.name, "fingerprint": codec.fingerprint.hex()},
        **provenance(__name__, threads=threads, processes=1),
    }
    write_result(json_path, result)
    click.echo(to_text(rows))
    if not all(one["exact"] for one in rows):
        raise click.ClickException("some images did not come back exactly")


if __name__ == "__main__":
    main()
