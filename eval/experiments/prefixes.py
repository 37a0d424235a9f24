"""Every prefix of a file is a file: decode them all, and say what they are worth.

python -m diffcodec.eval.experiments.prefixes DATA -m cifar10 --split test --tile 32 --images 3 \\
    --json FILE
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from diffcodec.bitstream.container import parse_header
from diffcodec.bitstream.errors import IncompleteHeader
from diffcodec.codec import Codec
from diffcodec.data import digest, load_images
from diffcodec.errors import DataError
from diffcodec.eval.common import metrics
from diffcodec.eval.common.environment import environment, portable
from diffcodec.files import write_atomic


def all_prefixes(codec: Codec, pixels: NDArray[np.uint8]) -> dict[str, Any]:
    """One image's record: how many prefixes decode, and the largest loss from one more byte.

    Prefixes within the header hold no image and must say so; raises AssertionError otherwise,
    and BitstreamError if another one does not decode.
    """
    data = codec.encode(pixels)
    _, header = parse_header(data)
    for length in range(1, header):
        try:
            parse_header(data[:length])
        except IncompleteHeader:
            continue
        raise AssertionError(f"{length} bytes of a header of {header} were taken for a whole one")
    sizes = range(header, len(data) + 1)
    errors = []
    for decoded in codec.decode_cuts(data, sizes):
        errors.append(max(metrics.mse(decoded.pixels, pixels), 1e-3))
        exact = decoded.lossless and np.array_equal(decoded.pixels, pixels)
    db = -10 * np.log10(errors)
    return {
        "bytes": len(data),
        "header_bytes": header,
        "prefixes_decoded": len(errors),
        "exact": exact,
        "largest_fall_db": float(np.maximum(np.maximum.accumulate(db) - db, 0).max()),
    }


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("data", type=click.Path(exists=True, path_type=Path))
@click.option("-m", "--model", default="cifar10", show_default=True, help="Network: name or file.")
@click.option("--images", "count", type=click.IntRange(1), default=3, show_default=True)
@click.option("--split", default="all", help='Only files or folders whose names begin so: "test".')
@click.option("--tile", type=click.IntRange(0), default=0, help="Cut into tiles of this side.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the results.")
def main(data: Path, model: str, count: int, split: str, tile: int, json_path: Path | None) -> None:
    """Decode every prefix of the files of the first images in DATA."""
    try:
        images = load_images(data, split, tile)[:count]
        codec = Codec.from_pretrained(model)
    except (DataError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    rows = []
    for image in images:
        rows.append(all_prefixes(codec, image))
        click.echo(json.dumps(rows[-1]))
    result = {
        "pictures": rows,
        "dataset": {"name": data.stem, "images": len(images), "sha256": digest(images)},
        "model": {"name": codec.name, "fingerprint": codec.fingerprint.hex()},
        "environment": environment(codec.workers, 1),
        "command": f"python -m diffcodec.eval.experiments.prefixes {portable(sys.argv[1:])}",
    }
    if json_path is not None:
        text = json.dumps(result, indent=1, allow_nan=False) + "\n"
        write_atomic(json_path, text.encode())


if __name__ == "__main__":
    main()
