"""The photographs that `photo` is trained on, from a folder of free ones, ready to be drawn from.

    python -m diffcodec.training.photographs SOURCE OUT

Lossless pictures stay as they are. Lossy ones (AVIF, JPEG) are scaled down, twice, by two different
factors, until little is left of what their compression did: a network that saw it would learn to
blur. Pictures whose line in SOURCE/CREDITS.tsv contains one of the words of --without are left out.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import click
from PIL import Image

from diffcodec.data import entries

LOSSY = frozenset({".avif", ".jpg", ".jpeg"})
SCALES = (2 / 3, 0.45)
CREDITS = "CREDITS.tsv"


def prepare(source: Path, out: Path, without: tuple[str, ...] = ()) -> int:
    """Write the pictures of `source` as BMP files into `out`; how many there are.

    Raises DataError if there is no picture in `source`.
    """
    out.mkdir(parents=True, exist_ok=True)
    left = left_out(source / CREDITS, without)
    found, _ = entries([source])
    chosen = [entry for entry in found if entry.name not in left]
    targets = [out / entry.name.replace("/", "-") for entry in chosen]
    with ProcessPoolExecutor() as processes:
        paths = [Path(str(entry)) for entry in chosen]
        return sum(processes.map(_prepare, paths, targets, chunksize=8))


def left_out(credits: Path, words: tuple[str, ...]) -> set[str]:
    """First fields of the lines that contain one of the words, in whatever case."""
    if not words:
        return set()
    lines = credits.read_text(encoding="utf-8").splitlines()
    found = [line for line in lines if any(word.lower() in line.lower() for word in words)]
    return {line.split("\t")[0] for line in found}


def _prepare(path: Path, target: Path) -> int:
    """One picture, once or scaled down twice; how many files there are of it."""
    with Image.open(path) as file:
        image = file.convert("RGB")
    if path.suffix.lower() not in LOSSY:
        image.save(target.with_suffix(".bmp"))
        return 1
    for i, scale in enumerate(SCALES):
        size = round(image.width * scale), round(image.height * scale)
        smaller = image.resize(size, Image.Resampling.LANCZOS)
        smaller.save(target.with_name(f"{target.stem}-{i}.bmp"))
    return len(SCALES)


@click.command(help=(__doc__ or "").partition("\n")[0])
@click.argument("source", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--without", multiple=True, metavar="WORD", help="Leave out what is credited so.")
def main(source: Path, out: Path, without: tuple[str, ...]) -> None:
    count = prepare(source, out, without)
    click.echo(f"{out}: {count} pictures")


if __name__ == "__main__":
    main()
