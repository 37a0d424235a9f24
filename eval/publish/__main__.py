"""All committed results, tables and plots by one command; which of them are stale.

python -m diffcodec.eval.publish {status,all,accept,tables}
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from diffcodec.eval.common import options
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


class Publish(click.Group):
    """Its commands fail in a sentence."""

    command_class = options.Measurement


@click.group(cls=Publish, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Measure the results in eval/results anew, as far as they are stale.

    NAME is a file there, with its suffix or without; no name stands for all.
    """


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
    from tabulate import tabulate

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
    name, and exit code 1 says that some were. Leave the code as it is meanwhile.

    \b
    Examples:
      python -m diffcodec.eval.publish all --data data/
      python -m diffcodec.eval.publish all coder local-variance --data data/
    """
    place = Place(data=data and data.resolve())
    chosen = due(place, choose(names))
    skipped = {one.name: lack for one in chosen if (lack := lacking(one, place))}
    for name, lack in skipped.items():
        click.echo(f"{name} {lack}")
    able = [one for one in chosen if one.name not in skipped]
    total = duration(sum(minutes(one, place) for one in able))
    click.echo(f"{len(chosen)} results are stale; {len(able)} to measure, about {total}")
    if dry_run:
        for one in able:
            click.echo(f"{one.name}: {duration(minutes(one, place))}\n    {one.command}")
        return
    failed = measure_all(able, place, click.echo)
    write_tables(place)
    if undone := [*skipped, *failed]:
        raise click.ClickException(f"not measured: {', '.join(undone)}")


@main.command()
@click.argument("names", nargs=-1, required=True, metavar="all|NAME...")
@click.option(
    "--older", metavar="TEXT", help="They are of older code; say how it differs. They stay stale."
)
def accept(names: tuple[str, ...], older: str | None) -> None:
    """Record that the present code would make these results as they are, but for times.

    all: but for those that are known to be of older code; they are accepted by name.
    """
    place = Place()
    state = load(place)
    for one in choose(() if names == ("all",) else names):
        known = state.get(one.name)
        if names == ("all",) and known and known.older:
            continue
        state[one.name] = accepted(one, known, place, older)
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
