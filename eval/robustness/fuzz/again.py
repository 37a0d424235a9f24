"""An input that was kept, once more: `python -m diffcodec.eval.robustness.fuzz.again FILE`."""

from __future__ import annotations

from pathlib import Path

import click

from diffcodec.eval.common import options
from diffcodec.eval.robustness.fuzz.registry import TARGETS, target_of


@options.measurement
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--target", help="Of this one (default: the one that the file's name begins with).")
def main(file: Path, target: str | None) -> None:
    """Give the bytes of FILE to a target, here, and say what becomes of them."""
    name = target or file.stem.rpartition("-")[0]
    if name not in TARGETS:
        raise click.UsageError(f'there is no target "{name}"; there are {", ".join(TARGETS)}')
    click.echo(target_of(name).verdict(file.read_bytes()))


if __name__ == "__main__":
    main()
