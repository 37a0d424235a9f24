"""All committed results, tables and plots by one command; which of them are stale.

python -m diffcodec.eval.publish {status,all,accept,tables}
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import click
from tabulate import tabulate

from diffcodec.eval.publish.measure import draw, due, duration, lacking, measure_all, minutes
from diffcodec.eval.publish.measurements import MEASUREMENTS, Measurement
from diffcodec.eval.publish.readme import documents, render
from diffcodec.eval.publish.state import Place, accepted, load, save, stale
from diffcodec.files import write_atomic

names_argument = click.argument("names", nargs=-1, metavar="[NAME]...")
data_option = click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="The folder of the data sets kodak, gb82, cifar10 and photos.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Measure the results in eval/results anew, as far as they are stale.

    NAME is a file there, with its suffix or without; no name stands for all.
    """
    for module in ("torch", "scipy", "matplotlib", "pytorch_msssim"):
        if importlib.util.find_spec(module) is None:
            raise click.ClickException(f"measuring needs {module}: pip install 'diffcodec[eval]'")


def choose(names: Sequence[str]) -> list[Measurement]:
    """Those that make the files of these names, all if there are none."""
    made = {one: {*one.files, *(Path(name).stem for name in one.files)} for one in MEASUREMENTS}
    for name in names:
        if not any(name in files for files in made.values()):
            raise click.ClickException(f"there is no result {name}; `status` lists them all")
    return [one for one, files in made.items() if not names or files & set(names)]


@main.command()
@names_argument
def status(names: tuple[str, ...]) -> None:
    """Which results are fresh, which stale and why, how long they take and what they need."""
    place, rows = Place(), []
    state = load(place)
    for one in choose(names):
        reasons = stale(one, state.get(one.name), place)
        needs = [Path(word).name for word in one.inputs if word.startswith("data/")]
        took = f"{minutes(one, place):.1f}"
        rows.append([", ".join(one.files), took, ", ".join([*needs, *one.tools[:1]])])
        rows[-1].append("; ".join(reasons) or "fresh")
    click.echo(tabulate(rows, ["result", "minutes", "needs", "state"], disable_numparse=True))


@main.command("all")
@names_argument
@data_option
@click.option("--dry-run", is_flag=True, help="Only say what would be measured.")
def measure(names: tuple[str, ...], data: Path | None, dry_run: bool) -> None:
    """Measure what is stale, the most important first; then write tables and plots.

    The same command resumes after an interruption. What lacks data or a program is skipped by
    name; exit code 1 if any was.

    \b
    Examples:
      python -m diffcodec.eval.publish all --data data/
      python -m diffcodec.eval.publish all coder local-variance --data data/
    """
    place = Place(data=data and data.resolve())
    chosen = due(place, choose(names))
    total = sum(minutes(one, place) for one in chosen)
    click.echo(f"{len(chosen)} results to measure, about {duration(total)}")
    if dry_run:
        for one in chosen:
            click.echo(f"{one.name}: {duration(minutes(one, place))}\n    {one.command}")
            if lack := lacking(one, place):
                click.echo(f"    {lack}")
        return
    undone = measure_all(chosen, place, click.echo)
    write_tables(place)
    if undone:
        raise click.ClickException(f"not measured: {', '.join(undone)}")


@main.command()
@click.argument("names", nargs=-1, required=True, metavar="all|NAME...")
@click.option(
    "--older", metavar="TEXT", help="They are of older code; say how it differs. They stay stale."
)
def accept(names: tuple[str, ...], older: str | None) -> None:
    """Record that the present code makes these results as they are: other bytes would differ."""
    place = Place()
    state = load(place)
    for one in choose(() if names == ("all",) else names):
        state[one.name] = accepted(one, state.get(one.name), place, older)
        click.echo(f"{one.name}: {'; '.join(stale(one, state[one.name], place)) or 'fresh'}")
    save(place, state)


@main.command()
def tables() -> None:
    """Write the tables of all documents and the plots, from the results as they are: seconds."""
    write_tables(Place())


def write_tables(place: Place) -> None:
    """Tables and plots from the results."""
    for path in documents(place.root):
        write_atomic(path, render(path.read_text(encoding="utf-8"), place.results).encode())
        click.echo(f"{path.relative_to(place.root)}: tables written")
    for one in MEASUREMENTS:
        if one.is_plot:
            draw(one, place)
            click.echo(f"{one.name}: drawn")


if __name__ == "__main__":
    main()
