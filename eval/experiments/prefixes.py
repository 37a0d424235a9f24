"""Every prefix of a file is a file: decode them all, and say what they are worth.

python -m diffcodec.eval.experiments.prefixes DATA -m cifar10 --split test --tile 32 --images 3 \\
    --json FILE
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from diffcodec.bitstream.container import parse_header
from diffcodec.bitstream.errors import IncompleteHeader
from diffcodec.codec import Codec
from diffcodec.data import load_images
from diffcodec.eval.common import metrics, options
from diffcodec.eval.common.images import about
from diffcodec.eval.common.results import provenance, write_result


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


@options.measurement
@options.data_argument
@options.model_option("cifar10")
@options.count_option(3)
@options.split_option
@options.tile_option
@options.json_option
def main(data: Path, model: str, count: int, split: str, tile: int, json_path: Path | None) -> None:
    """Decode every prefix of the files of the first images in DATA."""
    images = load_images(data, split, tile)[:count]
    codec = Codec.from_pretrained(model)
    rows = []
    for image in images:
        rows.append(all_prefixes(codec, image))
        click.echo(json.dumps(rows[-1]))
    result = {
        "pictures": rows,
        "dataset": about(data, split, tile, images),
        "model": {"name": codec.name, "fingerprint": codec.fingerprint.hex()},
        **provenance(__name__, threads=codec.workers, processes=1),
    }
    write_result(json_path, result)


if __name__ == "__main__":
    main()
