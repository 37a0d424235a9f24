"""Fuzzing that coverage guides: inputs that reach new lines are what further ones are made of.

    pip install "diffcodec[fuzz]"
    python -m diffcodec.eval.robustness.fuzz.guided decode --seconds 60

atheris (libFuzzer for Python) watches the lines of the program, not those of its kernels in C.
Targets, seeds and mutations are those of the harness. It names each finding, and goes on. What
reached new lines may be kept in a folder and gone on with.
"""

from __future__ import annotations

import importlib
import sys
import tempfile
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import click

from diffcodec.eval.common import options

if TYPE_CHECKING:
    from diffcodec.eval.robustness.fuzz.target import Target

LONGEST = 1 << 16  # bytes of an input
OWN = 0.5  # share of the mutations that are the target's; the others are libFuzzer's


def instrumented(atheris: Any, name: str) -> Target:
    """The target, whose modules and all that they import count the lines they reach."""
    with atheris.instrument_imports(include=["diffcodec"], enable_loader_override=False):
        from diffcodec.eval.robustness.fuzz.registry import TARGETS
    if name not in TARGETS:
        raise click.UsageError(f'there is no target "{name}"; there are {", ".join(TARGETS)}')
    return TARGETS[name]


def mutator(atheris: Any, target: Target, seeds: list[bytes]) -> Callable[[bytes, int, int], bytes]:
    """Mutations of the target and of libFuzzer in turn."""

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        dice = Random(seed)
        if dice.random() < OWN:
            with suppress(Exception):  # what is not taken can hardly be taken apart
                return target.mutate(data, dice, seeds)[:most]
        return bytes(atheris.Mutate(data, most))

    return mutate


class Judge:
    """Gives inputs to a target, and keeps the first one of each fault."""

    def __init__(self, target: Target, folder: Path) -> None:
        self.target, self.folder, self.places = target, folder, set[str]()

    def __call__(self, data: bytes) -> None:
        from diffcodec.eval.robustness.fuzz.worker import where

        try:
            self.target.verdict(data)
        except Exception as error:
            place = where(error)
            if place not in self.places:
                self.places.add(place)
                self._keep(data, place)

    def _keep(self, data: bytes, place: str) -> None:
        path = self.folder / f"{self.target.name}-guided{len(self.places)}"
        path.with_suffix(".bin").write_bytes(data)
        path.with_suffix(".txt").write_text(traceback.format_exc(), errors="replace")
        click.echo(f"{path}.bin: {place}", err=True)


@options.measurement
@click.argument("name", metavar="TARGET")
@click.option("--seconds", type=click.IntRange(1), default=60, show_default=True)
@click.option("--seed", type=click.IntRange(1), default=1, show_default=True)
@click.option(
    "--corpus",
    type=click.Path(file_okay=False, path_type=Path),
    help="A folder of inputs that reached new lines, to begin with and to be added to.",
)
@click.option(
    "--findings",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("findings"),
    show_default=True,
    help="Where inputs are kept that do what they may not.",
)
def main(name: str, seconds: int, seed: int, corpus: Path | None, folder: Path) -> None:
    """Give inputs to TARGET that reach ever more of its lines."""
    try:
        atheris: Any = importlib.import_module("atheris")
    except ModuleNotFoundError:
        raise click.ClickException("this needs atheris: pip install 'diffcodec[fuzz]'") from None
    target = instrumented(atheris, name)
    seeds = target.seeds()
    with tempfile.TemporaryDirectory() as made:
        place = corpus or Path(made)
        place.mkdir(parents=True, exist_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
        for number, data in enumerate(seeds):
            (place / f"seed{number}").write_bytes(data)
        arguments = [
            sys.argv[0],
            str(place),
            f"-max_total_time={seconds}",
            f"-seed={seed}",
            f"-max_len={LONGEST}",
            "-timeout=60",
            "-rss_limit_mb=4096",
            f"-artifact_prefix={folder}/",
        ]
        atheris.Setup(
            arguments, Judge(target, folder), custom_mutator=mutator(atheris, target, seeds)
        )
        atheris.Fuzz()  # which ends the process


if __name__ == "__main__":
    main()
