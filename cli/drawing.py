"""Walks that are to be made, shared out among processes, and the files that their images go to."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from diffcodec.cli.options import grouped
from diffcodec.cli.output import Output
from diffcodec.cli.sampler_options import OWN
from diffcodec.cli.streams import PIPE, name_of

if TYPE_CHECKING:
    from diffcodec.bitstream.types import Pixels
    from diffcodec.eval.common.ranks import Ranks
    from diffcodec.sampling.method import Method
    from diffcodec.sampling.starts import WalkOf


@dataclass(frozen=True)
class Job:
    """A walk for each of some images, by number.

    visits: states of a walk; kept: those of which x0_hat is shown, besides the last; before: images
    that are shown before all of these.
    """

    numbers: Sequence[int]
    visits: int
    walk: WalkOf
    kept: Collection[int] = ()
    before: Sequence[Pixels] = ()

    @property
    def columns(self) -> int | None:
        """Of a grid; None: a square."""
        if self.before:
            return len(self.before) + len(self.numbers)
        return len(self.kept) + 1 if self.kept else None


def draw(
    jobs: Sequence[Job], batch: int, ranks: Ranks, output: Output, label: str
) -> list[Pixels] | None:
    """What jobs show, (H, W, C) uint8, in order; None on all ranks but the first.

    Each rank has its share of the numbers.
    """
    from diffcodec.sampling.batches import drawn

    shares = [job.numbers[ranks.share] for job in jobs]
    total = sum(len(share) * job.visits for job, share in zip(jobs, shares, strict=True))
    done = 0
    with output.progress(label) as progress:

        def seen(count: int) -> None:
            nonlocal done
            done += count
            if progress:
                progress(done, total)

        mine = [
            drawn(job.walk, share, batch, seen, job.kept)
            for job, share in zip(jobs, shares, strict=True)
        ]
    parts = ranks.gather(mine)
    if parts is None:
        return None
    images: list[Pixels] = []
    for job, found in zip(jobs, zip(*parts, strict=True), strict=True):
        rows: list[list[Pixels]] = [[] for _ in job.numbers]
        for rank, part in enumerate(found):
            rows[rank :: len(parts)] = part
        images += [*job.before, *(image for row in rows for image in row)]
    return images


# --- files --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Targets:
    """-o, --folder, --npz: where images go."""

    grid: str | None = None
    folder: str | None = None
    npz: str | None = None

    def claim(self, output: Output, count: int, sources: Sequence[str] = ()) -> None:
        """Refuse what cannot or must not be written, before any work is done."""
        if not (self.grid or self.folder or self.npz):
            raise click.UsageError("name what to write: a grid with -o, --folder or --npz")
        if self.grid is not None:
            claim_grid(output, self.grid, sources)
        if self.npz is not None:
            if self.npz in (PIPE, self.grid):
                raise click.UsageError("--npz needs a file of its own")
            output.claim(PIPE, self.npz)
        if self.folder is None:
            return
        if Path(self.folder).exists() and not Path(self.folder).is_dir():
            raise click.ClickException(f"{name_of(self.folder)} is not a folder; name another one")
        for path in self._files(count):
            if path.exists():
                output.claim(PIPE, path)

    def write(self, output: Output, images: Sequence[Pixels], columns: int | None = None) -> None:
        """Grid, folder and array of (H, W, C) uint8 images of one size."""
        import io

        import numpy as np

        from diffcodec.image import to_bytes

        if self.grid is not None:
            write_grid(output, self.grid, images, columns)
        if self.folder is not None:
            Path(self.folder).mkdir(parents=True, exist_ok=True)
            for path, image in zip(self._files(len(images)), images, strict=True):
                output.write(str(path), to_bytes(image))
        if self.npz is not None:
            stream = io.BytesIO()
            np.savez(stream, arr_0=np.stack(images))
            output.write(self.npz, stream.getvalue())

    def _files(self, count: int) -> list[Path]:
        assert self.folder is not None
        digits = max(5, len(str(count - 1)))
        return [Path(self.folder) / f"{i:0{digits}}.png" for i in range(count)]


grid_option = click.option(
    "-o", "--output", "grid", metavar="FILE", help="The images side by side, in one."
)
targets_options = grouped(
    "targets",
    Targets,
    grid_option,
    click.option("--folder", metavar="DIR", help="Each image as a PNG of a folder, which is made."),
    click.option(
        "--npz",
        metavar="FILE",
        help="All as one array, arr_0 (N, H, W, C) uint8, as ADM's evaluation reads it.",
    ),
)


def claim_grid(output: Output, path: str, sources: Sequence[str] = ()) -> None:
    """Refuse a grid that cannot or must not be written, before any work is done."""
    _format_of(path)
    for source in sources or [PIPE]:
        output.claim(source, path)


def write_grid(output: Output, path: str, images: Sequence[Pixels], columns: int | None) -> None:
    """Images of one size side by side, in a square if it is not said how many columns."""
    from diffcodec.image import to_bytes
    from diffcodec.sampling.grid import grid

    output.write(path, to_bytes(grid(images, columns), _format_of(path)))


def _format_of(path: str) -> str:
    """PNG for a pipe; raises ImageError for an unknown suffix."""
    from diffcodec.image import format_of

    return "png" if path == PIPE else format_of(path)


def described(method: Method) -> dict[str, Any]:
    """The "sampler" of a result."""
    own = {key: getattr(method, key) for key, name in OWN.items() if name == method.name}
    return {"name": method.name, "levels": len(method.levels), **own}
