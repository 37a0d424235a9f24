"""Many files: jobs that go on after a bad one, and what is said and listed at the end."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from diffcodec.cli.output import Output, listed
from diffcodec.cli.parallel import Parallel
from diffcodec.cli.streams import about, name_of, print_json, shown, warn
from diffcodec.cli.targets import Arguments, claim_many, targets
from diffcodec.eval.common.words import counted

if TYPE_CHECKING:
    from diffcodec.executors import Failed
    from diffcodec.image.scan import Scan

Record = dict[str, Any]

NAMED = 10  # files that are named before the rest is counted


@dataclass(frozen=True)
class Job:
    """One file to make of another; names as the user knows them, which count from `folder`."""

    source: str
    target: str
    folder: str

    @property
    def reads(self) -> str:
        """The path to read, in whatever folder a worker runs."""
        return os.path.join(self.folder, self.source)

    @property
    def writes(self) -> str:
        """The path to write."""
        return os.path.join(self.folder, self.target)

    def write(self, data: bytes) -> None:
        """The result, whole or not at all, in a folder that is made, no wider than what is read."""
        from diffcodec.files import permissions, write_atomic

        target = Path(self.writes)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(target, data, mode=permissions(self.reads))


@dataclass(frozen=True)
class Attempt:
    """A function of jobs whose errors are results that name the file; those of a network that
    cannot be used at all are raised.
    """

    function: Callable[[Job], Record]

    def __call__(self, job: Job) -> Record | Failed:
        """The record, or why there is none."""
        from diffcodec.errors import sentence
        from diffcodec.exact.backends import Unavailable
        from diffcodec.executors import Failed

        name = name_of(job.source)
        try:
            with about(job.source):
                return self.function(job)
        except Unavailable:
            raise
        except click.ClickException as error:
            reason: str | None = error.format_message()
        except Exception as error:
            if (reason := sentence(error)) is None:
                raise
        reason = shown(str(reason), "").replace(shown(job.reads, ""), name)
        return Failed(reason if name in reason else f"{name}: {reason}")


@dataclass
class Outcome:
    """What came of many jobs: records in the order of their files; failures and what was left out,
    each with a reason; how many were done before; how many names that begin with a dot there were.
    """

    records: list[Record] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    done_before: int = 0
    hidden: int = 0

    def summary(self, what: str, figures: str) -> str:
        """A line: "encoded 98 of 100 images, ..."."""
        total = len(self.records) + len(self.failed) + self.done_before
        parts = [f"{what} {len(self.records):,} of {counted(total, 'image')}{figures}"]
        if self.done_before:
            parts.append(f"{self.done_before:,} done before")
        if self.failed:
            parts.append(f"{len(self.failed):,} failed")
        if self.left_out:
            parts.append(f"{counted(len(self.left_out), 'file')} left out")
        if self.hidden:
            parts.append(f"{counted(self.hidden, 'hidden name')} passed by")
        return "; ".join(parts)

    def end(self, output: Output) -> None:
        """The JSON object, if it was asked for; raises ClickException that lists what failed."""
        if output.as_json:
            print_json(
                {
                    "files": self.records,
                    "failed": [{"input": n, "reason": reason} for n, reason in self.failed],
                    "left_out": [{"path": n, "reason": reason} for n, reason in self.left_out],
                    "hidden": self.hidden,
                    "done_before": self.done_before,
                }
            )
        if self.failed:
            names = ", ".join(name_of(name) for name, _ in self.failed[:NAMED])
            more = f", and {len(self.failed) - NAMED:,} more" if len(self.failed) > NAMED else ""
            raise click.ClickException(f"{counted(len(self.failed), 'file')} failed: {names}{more}")


def make_many(
    function: Callable[[Job], Record],
    scan: Scan,
    given: Arguments,
    *,
    suffix: str,
    what: str,
    done: Callable[[str, str], bool] | None,
    ours: Callable[[str], bool],
    parallel: Parallel,
    output: Output,
    label: str,
    losses: Callable[[Record], Iterable[str]],
    remarks: Callable[[Record], Iterable[str]],
) -> Outcome:
    """Make a result with a suffix of every file that was found, and say what stands in the way.

    what: they are ("image to encode", say); done, ours: as in claim_many; label, losses, remarks:
    as in run_many. Raises ClickException before any work where names clash, or something would be
    overwritten.
    """
    names, clashes = targets(scan.images, given, suffix)
    outcome = Outcome()
    sort_left_out(scan, outcome, names)
    require(scan, given.sources, what, outcome)
    for line in clashes:
        output.say(line)
    pairs = [(str(found.path), name) for found, name in zip(scan.images, names, strict=True)]
    todo = claim_many(output, pairs, done, ours)
    outcome.done_before = len(pairs) - len(todo)
    run_many(
        function,
        todo,
        outcome,
        parallel=parallel,
        output=output,
        label=label,
        losses=losses,
        remarks=remarks,
    )
    return outcome


def run_many(
    function: Callable[[Job], Record],
    pairs: Sequence[tuple[str, str]],
    outcome: Outcome,
    *,
    parallel: Parallel,
    output: Output,
    label: str,
    losses: Callable[[Record], Iterable[str]],
    remarks: Callable[[Record], Iterable[str]],
) -> None:
    """Make every target of its source; adds to `outcome`.

    losses, remarks: lines about a record, the first to the quiet too. What fails is said in a line,
    and the others go on.
    """
    from diffcodec.executors import Failed, run_jobs

    jobs = [Job(source, target, os.getcwd()) for source, target in pairs]
    records: dict[int, Record] = {}
    failed: dict[int, str] = {}
    with parallel.executor() as pool, output.progress(label) as progress:
        for number, result in run_jobs(pool, Attempt(function), jobs):
            if isinstance(result, Failed):
                failed[number] = result.reason
                _above(progress is not None)
                warn(result.reason)
            else:
                records[number] = result
                tell(result, losses, remarks, output, bar=progress is not None)
            if progress is not None:
                progress(len(records) + len(failed), len(jobs))
    outcome.records += [records[number] for number in sorted(records)]
    outcome.failed += [(jobs[number].source, failed[number]) for number in sorted(failed)]


def tell(
    record: Record,
    losses: Callable[[Record], Iterable[str]],
    remarks: Callable[[Record], Iterable[str]],
    output: Output,
    *,
    bar: bool = False,
) -> None:
    """Say the lines about a record; bar: a progress bar stands where they go."""
    for say, lines in ((warn, losses), (output.say, remarks)):
        for line in lines(record):
            _above(bar)
            say(line)


def _above(bar: bool) -> None:
    """Free the line that a progress bar stands in; it is drawn again below."""
    if bar:
        click.echo("\r\x1b[K", nl=False, err=True)


def require(scan: Scan, sources: Sequence[str], what: str, outcome: Outcome) -> None:
    """Say which sources are folders without a file to work on; what: "image to encode", say.

    Raises ClickException where nothing is found, and where a folder of that kind is the last of two
    names: it may be meant for results.
    """
    roots = {str(found.root) for found in scan.images}
    barren = [s for s in sources if os.path.isdir(s) and str(Path(s)) not in roots]
    if barren and ((len(sources) <= 2 and barren[-1] == sources[-1]) or not scan.images):
        hint = "; name a folder for results with -o" if scan.images else ""
        names = listed([*map(name_of, barren)])
        raise click.ClickException(f"{names}: there is no {what}{hint}")
    for source in barren:
        outcome.left_out.append((source, f"holds no {what}"))
        warn(f"left out: {name_of(source)} holds no {what}")


def sort_left_out(scan: Scan, outcome: Outcome, known: Iterable[str] = ()) -> None:
    """Say which files are left out, ten by name; what cannot be read counts as failed.

    known: paths that nobody misses, such as results of this command.
    """
    from diffcodec.image.scan import UNREADABLE

    outcome.hidden += scan.hidden
    passed = set(map(os.path.abspath, known))
    for path, reason in scan.left_out:
        if reason.startswith(UNREADABLE):
            warn(f"{name_of(path)} {reason}")
            outcome.failed.append((str(path), reason))
        elif os.path.abspath(path) not in passed:
            outcome.left_out.append((str(path), reason))
    for name, reason in outcome.left_out[:NAMED]:
        warn(f"left out: {name_of(name)} {reason}")
    if len(outcome.left_out) > NAMED:
        warn(f"left out: {counted(len(outcome.left_out) - NAMED, 'more file')}")
