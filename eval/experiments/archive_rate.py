"""What an archive costs, beside the variational bound of the same network, chain and images.

Every chain makes one archive of all images, which is decoded again and compared. Rates are in
bits/dim of all sub-pixels: the bound, on latents of its own (chain_bound.py); the whole file, its
initial bits, heads and checksums included. Net bits are those by which the stacks grew, of the
tiles in bits-back batches alone, beside the bound of the same tiles: others are coded progressively
to supply the initial bits.

    python -m diffcodec.eval.experiments.archive_rate DATA -m cifar10 --chain 50 --chain 100 \\
        --json out.json
"""

from __future__ import annotations

import math
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from diffcodec.api import load_codec
from diffcodec.archive.archive import CHAINS, TILE, make_header, write_archive
from diffcodec.archive.contents import contents
from diffcodec.archive.groups import Source
from diffcodec.archive.reading import extract
from diffcodec.bitstream.archive import Group
from diffcodec.bitstream.archive_header import ArchiveHeader
from diffcodec.bitstream.tiles import tiles_of
from diffcodec.bitstream.types import Pixels
from diffcodec.codec import Codec
from diffcodec.data import load_images
from diffcodec.eval.common import options
from diffcodec.eval.common.environment import peak_memory_bytes
from diffcodec.eval.common.images import about
from diffcodec.eval.common.processes import in_order
from diffcodec.eval.common.progress import progress_bar
from diffcodec.eval.common.results import Result, provenance, write_result
from diffcodec.eval.likelihood.chain_bound import bounds
from diffcodec.eval.peers import peers
from diffcodec.progressive.residual import RESIDUAL, RESIDUALS, Residual
from diffcodec.theory.chain import choose_chain
from diffcodec.theory.units import GREY


def measure(
    codec: Codec, images: Sequence[Pixels], header: ArchiveHeader, processes: int, model: str
) -> Result:
    """One archive of images, (H, W, C) uint8 each, written, read and taken apart.

    model: what other processes load.
    """
    sources = _sources(images)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "all.dfa"
        began = time.perf_counter()
        with progress_bar("archiving") as progress:
            written = write_archive(
                codec, sources, path, header, processes=processes, model=model, progress=progress
            )
        encoded = time.perf_counter()
        exact = _exact(path, images, processes, model)
        decoded = time.perf_counter()
        with open(path, "rb") as file:
            groups = contents(file).groups
    balance, spent = written.spent.balance, written.spent
    tiles, in_batches = _tiles(header, groups, {source.name: source.read() for source in sources})
    with progress_bar("bound") as progress:
        bound = bounds(model, header, tiles, processes, progress)
    values = sum(p.size for p in images)
    net_values = values - spent.progressive_values - spent.graphics_values
    nelbo, net_nelbo = float(bound.sum()), float(bound[in_batches].sum())
    bits = 8 * written.file_bytes
    steps = balance.spent.size - 1
    levels = choose_chain(header.chain_name, codec.tables).v[:steps]
    outside = written.clock.total - written.clock.network
    return {
        "chain": header.chain_name,
        "residual": "adaptive" if header.end else "gaussian",
        "steps": steps,
        "exact": exact,
        "file_bytes": written.file_bytes,
        "nelbo_bpd": nelbo / values,
        "nelbo_standard_error_bpd": _standard_error(bound, tiles),
        "net_bpd": written.net_bits / net_values,
        "nelbo_of_the_same_bpd": net_nelbo / net_values,
        "file_bpd": bits / values,
        "net_overhead_percent": 100 * (written.net_bits / net_nelbo - 1),
        "file_overhead_percent": 100 * (bits / nelbo - 1),
        "initial": {
            "bits": spent.progressive_bits,
            "bpd_of_all": spent.progressive_bits / values,
            "pictures_percent": 100 * spent.progressive_values / values,
            "nelbo_bits_of_the_same": nelbo - net_nelbo,
        },
        "packing_bits": spent.packing_bits,
        "head_bits": 8 * written.head_bytes,
        "groups": written.groups,
        "by_step": {
            "sigma_grey": [None, *(GREY * math.sqrt(v) for v in reversed(levels))],
            "ideal_bits": list(map(float, balance.ideal)),
            "net_bits": list(map(float, balance.spent)),
            "kl_bits": list(map(float, balance.kl)),
        },
        "seconds": {
            "encode": encoded - began,
            "decode": decoded - encoded,
            "process_total": written.clock.total,
            "process_network": written.clock.network,
        },
        "outside_network_percent": 100 * outside / written.clock.total,
    }


def auto_bytes(codec: Codec, images: Sequence[Pixels], header: ArchiveHeader) -> int:
    """What the same images take where those are plain that take fewer bytes so."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "all.dfa"
        return write_archive(codec, _sources(images), path, replace(header, plain=True)).file_bytes


def _sources(images: Sequence[Pixels]) -> list[Source]:
    return [Source(f"{i:05}.png", pixels) for i, pixels in enumerate(images)]


def _exact(path: Path, images: Sequence[Pixels], processes: int, model: str) -> bool:
    """Does every image come back?"""
    with open(path, "rb") as file:
        names = [[p.name for p in group.images] for group in contents(file).groups]
    back: dict[str, Pixels] = {}
    for found in in_order(partial(_extractor, model, path), names, processes, "extracting"):
        back |= found
    return all(
        np.array_equal(back.get(f"{i:05}.png", ()), pixels) for i, pixels in enumerate(images)
    )


def _extractor(model: str, path: Path) -> Callable[[list[str]], dict[str, Pixels]]:
    """With a network that is read once in a process."""
    return partial(_extract, load_codec(model, 1), path)


def _extract(codec: Codec, path: Path, names: list[str]) -> dict[str, Pixels]:
    with open(path, "rb") as file:
        pairs = [(p.name, pixels) for p, pixels in extract(codec, file, names)]
    for name, pixels in pairs:
        if isinstance(pixels, ValueError):
            print(f"{name} was refused: {pixels}", file=sys.stderr)
    return {name: pixels for name, pixels in pairs if isinstance(pixels, np.ndarray)}


def _tiles(
    header: ArchiveHeader, groups: Sequence[Group], images: dict[str, Pixels]
) -> tuple[list[Pixels], NDArray[np.bool_]]:
    """All tiles of an archive, and which of them are in bits-back batches."""
    parts: list[Pixels] = []
    in_batches: list[bool] = []
    for group in groups:
        for tile in tiles_of([p.shape for p in group.images], header.tile):
            parts.append(tile.of(images[group.images[tile.image].name]))
        for entry in group.entries:
            in_batches += [entry.count > 0] * entry.tiles
    return parts, np.array(in_batches)


def _standard_error(bound: NDArray[np.float64], tiles: Sequence[Pixels]) -> float | None:
    """Of the mean over tiles, bits/dim."""
    if len(tiles) < 2:
        return None
    bpd = bound / np.array([tile.size for tile in tiles])
    return float(bpd.std(ddof=1) / math.sqrt(len(tiles)))


def compare(images: Sequence[Pixels]) -> Result:
    """Bits/dim of other lossless codecs, each image its own file."""
    sizes: dict[str, int] = {}
    for pixels in images:
        for name, point in peers.lossless(pixels).items():
            sizes[name] = sizes.get(name, 0) + point.bytes
    values = sum(p.size for p in images)
    return {name: {"bytes": size, "bpd": 8 * size / values} for name, size in sizes.items()}


@options.measurement
@options.data_argument
@options.model_option("cifar10")
@options.count_option()
@options.split_option
@click.option("--cut", type=click.IntRange(0), default=0, help="Cut files into N x N images.")
@click.option("--tile", type=int, default=TILE, show_default=True, help="Side of coded tiles.")
@click.option("--chain", "chains", multiple=True, default=(CHAINS[RESIDUAL],), show_default=True)
@click.option("--residual", type=click.Choice(RESIDUALS), default=RESIDUAL, show_default=True)
@click.option("--auto", is_flag=True, help="Also measure an archive with --network auto.")
@options.processes_option
@click.option("--peers/--no-peers", "with_peers", default=True, help="Measure PNG and others too.")
@options.json_option
def main(
    data: Path,
    model: str,
    count: int | None,
    split: str,
    cut: int,
    tile: int,
    chains: tuple[str, ...],
    residual: Residual,
    auto: bool,
    processes: int,
    with_peers: bool,
    json_path: Path | None,
) -> None:
    """Archives of the images in DATA, one a chain: bound, net bits, file bits."""
    images = load_images(data, split, cut)[:count]
    codec = Codec.from_pretrained(model, 1)
    result: Result = {
        "name": f"diffcodec {codec.name}",
        "results": [],
        "peers_lossless": compare(images) if with_peers else {},
        "dataset": about(data, split, cut, images),
        "model": {"name": codec.name, "fingerprint": codec.fingerprint.hex(), "tile": tile},
        **provenance(__name__, threads=1, processes=processes),
    }
    for chain in chains:
        header = make_header(codec, chain, tile, network="always", residual=residual)
        row = measure(codec, images, header, processes, model)
        if auto:
            row["auto_bytes"] = auto_bytes(codec, images, header)
        result["results"].append(row)
        click.echo(
            f"chain {chain}: bound {row['nelbo_bpd']:.4f}, net {row['net_bpd']:.4f} "
            f"({row['net_overhead_percent']:+.3f} %), file {row['file_bpd']:.4f} bits/dim "
            f"({row['file_overhead_percent']:+.3f} %), {row['outside_network_percent']:.1f} % of "
            f"the time outside the network, {'exact' if row['exact'] else 'NOT EXACT'}"
        )
        result["peak_memory_bytes"] = peak_memory_bytes()
        write_result(json_path, result)  # after every chain: the next one may take hours
    for name, peer in result["peers_lossless"].items():
        click.echo(f"{name}: {peer['bpd']:.4f} bits/dim")
    if not all(row["exact"] for row in result["results"]):
        raise click.ClickException("some images did not come back exactly")


if __name__ == "__main__":
    main()
