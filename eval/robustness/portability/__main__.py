"""Portability: the codec otherwise built, not built, and on other processors gives the same bits.

Each variant is built in a copy of the source, where the self-test and tests of kernels, coders and
whole files run. Other processors take Debian's packages mmdebstrap, qemu-user and a compiler each
(gcc-aarch64-linux-gnu, gcc-arm-linux-gnueabihf, gcc-i686-linux-gnu, gcc-s390x-linux-gnu).

    python -m diffcodec.eval.robustness.portability -j 2
    python -m diffcodec.eval.robustness.portability --emulated --json portability.json
"""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import click

from diffcodec.eval.common import options
from diffcodec.eval.common.results import provenance, write_result
from diffcodec.eval.robustness.portability.run import measure
from diffcodec.eval.robustness.portability.variants import VARIANTS, Variant, lacking

PROGRAM = "diffcodec.eval.robustness.portability"


def chosen(names: tuple[str, ...], emulated: bool) -> list[Variant]:
    """The variants of some names; without any all of this processor, or all there are."""
    every = [v for v in VARIANTS.values() if emulated or v.processor is None]
    return [VARIANTS[name] for name in names] or every


def row_of(variant: Variant, work: Path, suite: str) -> dict[str, Any]:
    """What `measure` finds, or why this machine cannot."""
    missing = lacking(variant)
    if missing:
        return {"variant": variant.name, "missing": missing}
    click.echo(f"{variant.name} ...", err=True)
    return measure(variant, work, suite)


def failures(rows: list[dict[str, Any]]) -> list[str]:
    """Of which variants something failed."""
    return [row["variant"] for row in rows if row.get("checks_failed") or row.get("tests_failed")]


def to_text(rows: list[dict[str, Any]]) -> str:
    """The rows for people."""
    from tabulate import tabulate

    head = ["variant", "runs on", "checks", "failed", "tests", "failed", "skipped", "seconds"]
    table = [
        [row["variant"], row["missing"]]
        if "missing" in row
        else [
            row["variant"],
            f"{row['machine']}, {row['bits']} bits, {row['byte_order']}",
            row["checks_passed"],
            ", ".join(row["checks_failed"]) or 0,
            *(row[f"tests_{word}"] for word in ("passed", "failed", "skipped")),
            row["seconds"],
        ]
        for row in rows
    ]
    return tabulate(table, head)


@options.measurement
@click.option(
    "--variant",
    "names",
    multiple=True,
    type=click.Choice(list(VARIANTS)),
    help="Only this one; may be given several times.",
)
@click.option("--emulated", is_flag=True, help="Other processors as well.")
@click.option("--suite", default="trixie", show_default=True, help="Of Debian, for those.")
@click.option(
    "--work",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep what was built and unpacked here, for the next time.",
)
@options.processes_option
@options.json_option
def main(
    names: tuple[str, ...],
    emulated: bool,
    suite: str,
    work: Path | None,
    processes: int,
    json_path: Path | None,
) -> None:
    """Build and test the codec in several ways."""
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(processes) as pool:
        place = (work or Path(folder)).absolute()
        one = partial(row_of, work=place, suite=suite)
        rows = list(pool.map(one, chosen(names, emulated)))
    write_result(json_path, {"variants": rows, **provenance(PROGRAM, 1, processes)})
    click.echo(to_text(rows))
    failed = failures(rows)
    if failed:
        raise click.ClickException(f"not the same bits: {', '.join(failed)}")


if __name__ == "__main__":
    main()
