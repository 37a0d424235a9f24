"""What people have: images of every kind, encoded and decoded by the commands, and looked at.

A folder with one file of each kind (inputs/kinds.py) goes through `encode` and `decode`; what comes
back has to have the same pixels and metadata. Beside the bytes of the .dfc file are those of an
optimised PNG and of a lossless WebP with the same pixels and metadata, where WebP can hold them.

    python -m diffcodec.eval.experiments.odd_inputs photo.png --json odd-inputs.json
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path
from typing import Any

import click

from diffcodec.bitstream.metadata import Metadata
from diffcodec.bitstream.types import Pixels
from diffcodec.eval.common import options
from diffcodec.eval.common.results import Result, provenance, write_result
from diffcodec.eval.inputs.files import Input
from diffcodec.eval.inputs.kinds import inputs
from diffcodec.eval.peers.pillow_codecs import LOSSLESS, write
from diffcodec.image import Picture, load, not_kept, read_picture, to_bytes
from diffcodec.image.png_chunks import SIGNATURE, assemble, chunk, chunks
from diffcodec.image.writing import cannot_hold
from diffcodec.progressive.effort import EFFORTS
from diffcodec.zoo import find, stated_fingerprint

Row = dict[str, Any]


def command(*words: str | Path, folder: Path) -> Row:
    """What a command of diffcodec that goes on after bad files says with --json."""
    done = subprocess.run(
        [sys.executable, "-m", "diffcodec", *map(str, words), "--json", "-q"],
        cwd=folder,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    try:
        found = json.loads(done.stdout)
    except ValueError:
        raise click.ClickException(f"diffcodec {words[0]} failed: {done.stderr}") from None
    assert isinstance(found, dict)
    return found


def survey(files: list[Input], model: str, effort: str, folder: Path) -> list[Row]:
    """A row of each file; they are put into folders `in`, `coded` and `back`, which numbers name,
    so that no two have one name."""
    for number, one in enumerate(files):
        place = folder / "in" / f"{number:02}"
        place.mkdir(parents=True)
        with open(os.path.join(os.fsencode(place), one.file), "wb") as file:
            file.write(one.data)
    network = ("-m", str(find(model).resolve()))
    said = command("encode", "in", "-o", "coded", "--effort", effort, *network, folder=folder)
    command("decode", "coded", "-o", "back", *network, folder=folder)
    reasons = {number_of(row["input"]): row["reason"] for row in said["failed"]}
    reasons |= {number_of(row["path"]): row["reason"] for row in said["left_out"]}
    lost = {number_of(row["input"]): row["not_kept"] for row in said["files"]}
    rows = []
    for number, one in enumerate(files):
        row = {"group": one.group, "name": one.name, "input_bytes": len(one.data)}
        row["refused"] = bare(reasons.get(number), number)
        if row["refused"] is None:
            row |= compared(one, folder, f"{number:02}") | {"not_kept": lost.get(number)}
        row["as_it_should"] = one.refused if row["refused"] else came_back(row)
        rows.append(row)
    return rows


def came_back(row: Row) -> bool:
    """Whether nothing is lost."""
    return bool(row["exact"] and row["kept"] and row["named"] and not row["not_kept"])


def number_of(path: str) -> int:
    """Of the folder that a file is in."""
    found = re.search(r"[/\\](\d\d)[/\\]", path)
    assert found is not None
    return int(found[1])


def bare(reason: str | None, number: int) -> str | None:
    """A sentence without the file's name in front."""
    return reason and re.sub(rf"^\S*[/\\]{number:02}[/\\]\S+ ", "", reason)


def compared(one: Input, folder: Path, number: str) -> Row:
    """Whether everything came back, and the bytes of files."""
    source, result = (only_file(folder / where / number) for where in ("in", "back"))
    before, back = read_picture(source), read_picture(result)
    pixels, metadata = before.pixels, before.metadata
    return {
        "shape": list(pixels.shape),
        "depth": 8 * pixels.dtype.itemsize,
        "metadata": [item.kind.name for item in metadata],
        "exact": same_pixels(before, back),
        "kept": not before.lost and back.metadata == metadata,
        "named": result.stem == source.stem,
        "bytes": only_file(folder / "coded" / number).stat().st_size,
        "peers_bytes": {
            "png": png_bytes(one, pixels, metadata),
            "webp": webp_bytes(pixels, metadata),
        },
    }


def only_file(folder: Path) -> Path:
    """The file in a folder."""
    (path,) = folder.iterdir()
    return path


def same_pixels(a: Picture, b: Picture) -> bool:
    """The same samples of the same depth."""
    one, other = a.pixels, b.pixels
    return one.shape == other.shape and one.dtype == other.dtype and bool((one == other).all())


def png_bytes(one: Input, pixels: Pixels, metadata: Metadata) -> int:
    """Of the smallest PNG at hand, which may be the input itself."""
    plain = to_bytes(pixels)
    beside = len(to_bytes(pixels, "png", metadata)) - len(plain)
    made = [beside + len(packed_again(plain))]
    if pixels.dtype.itemsize == 1:
        made.append(beside + len(write(pixels, **LOSSLESS["png"])))
    if one.data.startswith(SIGNATURE):
        made.append(len(packed_again(one.data)))
    return min(made)


def packed_again(png: bytes) -> bytes:
    """The same PNG, its pixels compressed with zlib's best level."""
    parts = list(chunks(png))
    rows = zlib.decompress(b"".join(part.body for part in parts if part.kind == b"IDAT"))
    at = next(i for i, part in enumerate(parts) if part.kind == b"IDAT")
    others = [part for part in parts if part.kind != b"IDAT"]
    others.insert(at, chunk(b"IDAT", zlib.compress(rows, 9)))
    return min(assemble(others), png, key=len)


def webp_bytes(pixels: Pixels, metadata: Metadata) -> int | None:
    """Of a lossless WebP; None if it cannot hold all of this."""
    if cannot_hold(pixels, "webp") or not_kept(metadata, "webp"):
        return None
    whole = len(to_bytes(pixels, "webp", metadata))
    if pixels.shape[2] == 2:  # of these Pillow makes no WebP itself
        return whole
    beside = whole - len(to_bytes(pixels, "webp"))
    return min(whole, len(write(pixels, **LOSSLESS["webp"])) + beside)


def to_text(rows: list[Row]) -> str:
    """The rows for people."""
    from tabulate import tabulate

    lines = []
    for row in rows:
        if row["refused"]:
            lines.append([row["name"], row["refused"], "", "", "", ""])
            continue
        peers = [row["peers_bytes"]["png"], row["peers_bytes"]["webp"] or "-"]
        answers = ["exact" if row["exact"] else "NOT EXACT", "yes" if row["kept"] else "NO"]
        lines.append([row["name"], *answers, row["bytes"], *peers])
    head = ["input", "pixels", "metadata kept", "diffcodec", "PNG", "WebP"]
    return tabulate(lines, head, intfmt=",", maxcolwidths=[None, 60, None, None, None, None])


@options.measurement
@click.argument("image", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--side", type=click.IntRange(16), default=64, show_default=True, help="Pixels.")
@click.option("--effort", type=click.Choice(list(EFFORTS)), default="fast", show_default=True)
@options.model_option("photo-large")
@options.json_option
def main(image: Path, side: int, effort: str, model: str, json_path: Path | None) -> None:
    """Encode and decode files of every kind, made of the middle of IMAGE, RGB of 8 bits."""
    photo = load(image)
    top, left = ((length - side) // 2 for length in photo.shape[:2])
    if top < 0 or left < 0 or photo.shape[2] != 3 or photo.dtype.itemsize != 1:
        raise click.ClickException(f"{image} is not RGB of 8 bits with {side} pixels on each side")
    photo = photo[top : top + side, left : left + side]
    with tempfile.TemporaryDirectory() as folder:
        rows = survey(list(inputs(photo)), model, effort, Path(folder))
    fingerprint = stated_fingerprint(find(model))
    result: Result = {
        "odd_inputs": rows,
        "picture": image.stem,
        "side": side,
        "effort": effort,
        "model": {"name": find(model).stem, "fingerprint": fingerprint and fingerprint.hex()},
        **provenance(__name__, threads=os.cpu_count() or 1, processes=1),
    }
    write_result(json_path, result)
    click.echo(to_text(rows))
    wrong = [row["name"] for row in rows if not row["as_it_should"]]
    if wrong:
        raise click.ClickException(f"not as it should be: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
