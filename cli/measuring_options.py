"""Options of the measuring commands; what belongs together is one parameter."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from diffcodec.cli.options import force_option, grouped, quiet_option
from diffcodec.cli.output import Results
from diffcodec.cli.streams import PIPE, read, warn
from diffcodec.eval.common import options as shared

if TYPE_CHECKING:
    from diffcodec.eval.common.images import ImageSet
    from diffcodec.image.picture import Choices


@dataclass(frozen=True)
class Selection:
    """--split, --tile, --count: which of the images that are named or found are measured."""

    split: str = "all"
    tile: int = 0
    count: int | None = None

    def read(self, sources: Sequence[str], choices: Choices, *, tell: bool = True) -> ImageSet:
        """The images of files and folders and, once, of standard input.

        tell: name some of what is left out on stderr, and say how much more there is.
        """
        from diffcodec.data import first_few
        from diffcodec.eval.common.images import read_set

        if sources.count(PIPE) > 1:
            raise click.UsageError(f"{PIPE} is one image from standard input; name it once")
        opened = [read(source) if source == PIPE else source for source in sources]
        found = read_set(opened, self.split, self.tile, self.count, choices)
        for line in first_few(found.left_out) if tell else ():
            warn(f"left out: {line}")
        return found


@dataclass(frozen=True)
class Run:
    """--records: a long measurement that resumes."""

    records: Path | None = None

    def check(self) -> None:
        """Refuse a file that cannot be one of records, before any work is done."""
        from diffcodec.eval.common.records import check

        check(self.records)

    @contextmanager
    def resumable(self) -> Iterator[None]:
        """An interrupted run says how it resumes."""
        try:
            yield
        except KeyboardInterrupt:
            if self.records is not None:
                warn(f"\nthe same command resumes from {self.records}")
            raise


def _rates(
    _: click.Context, option: click.Parameter, value: str | None
) -> tuple[float, ...] | None:
    """ "0.1,0.5,2" to rising positive rates."""
    if value is None:
        return None
    try:
        rates = tuple(sorted({float(part) for part in value.split(",")}))
    except ValueError as error:
        message = "give rates in bpp, separated by commas, such as 0.25,0.5,1"
        raise click.BadParameter(message, param=option) from error
    if not all(0 < rate < math.inf for rate in rates):
        raise click.BadParameter("rates are above 0 and finite", param=option)
    return rates


def _peers(peers: str | None, no_peers: bool) -> tuple[str, ...] | None:
    """Names of other codecs; None for all that are here."""
    if no_peers:
        if peers is not None:
            raise click.UsageError("--peers and --no-peers exclude each other")
        return ()
    return None if peers in (None, "all") else names(peers)


def names(value: str | None) -> tuple[str, ...]:
    """ "a, b" to its names."""
    return tuple(name.strip() for name in (value or "").split(",") if name.strip())


images_argument = click.argument("sources", nargs=-1, required=True, metavar="IMAGE...")
selection_options = grouped("selection", Selection, shared.set_options)
run_options = grouped("run", Run, shared.records_option)
cuts_option = click.option(
    "--cuts",
    callback=_rates,
    metavar="X,Y,...",
    help="Rates to cut at, in bpp, for example 0.1,0.25,0.5,1,2 (default: from 0.05 up, as far as "
    "the images allow).",
)
peers_options = grouped(
    "peers",
    _peers,
    click.option(
        "--peers",
        metavar="NAME,...",
        help="Compare with these codecs only: jpeg, jpeg2000, jpeg2000-cut, webp, avif, png, "
        "jpegxl, ... (default: all that are installed).",
    ),
    click.option("--no-peers", is_flag=True, help="Compare with no other codec."),
)
reconstructions_option = click.option(
    "--save-reconstructions",
    "reconstructions",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Write every decoded image, as PNG, into a folder of its codec below DIR.",
)
results_options = grouped(
    "output",
    Results,
    force_option,
    quiet_option,
    click.option(
        "--json",
        "json_path",
        is_flag=False,
        flag_value=PIPE,
        metavar="[FILE]",
        help="Print one JSON object, or write it to FILE.",
    ),
)
