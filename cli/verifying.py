"""verify: whether files are what was written, by their checksums; parse, call, print."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from diffcodec.cli.inspection import reason_of
from diffcodec.cli.listing import opened
from diffcodec.cli.many import NAMED
from diffcodec.cli.options import file_model_option, json_option
from diffcodec.cli.streams import PIPE, about, name_of, print_json, shown, warn
from diffcodec.eval.common.words import counted

if TYPE_CHECKING:
    from diffcodec.verify import Verdict

SUFFIXES = (".dfc", ".dfa")  # of files that are ours whatever they begin with


@click.command()
@click.argument("sources", metavar="FILE...", nargs=-1, required=True)
@file_model_option
@json_option
def verify(sources: tuple[str, ...], model: str | None, as_json: bool) -> None:
    """Check that each FILE (.dfc or .dfa, a folder of them, or `-`, a pipe) is what was written.

    Every checksum is verified, and no pixel decoded. Exit code 0: all are whole, or intact where a
    file does not say how long it was. A network's weights are not needed, only its tables, and
    these only for .dfc files with steps.

    \b
    Examples:
      diffcodec verify photo.dfc
      diffcodec verify backup/ --json
      ssh host 'cat photos.dfa' | diffcodec verify -
    """
    records, bad = [], []
    for source in _files(sources):
        try:
            record = _record(source, model)
        except (click.ClickException, ValueError, OSError) as error:
            if (reason := reason_of(source, error)) is None:
                raise
            record = {"input": source, "good": False, "state": "unreadable", "reason": reason}
        records.append(record)
        if not record["good"]:
            bad.append(source)
        if not as_json:
            for line in _lines(record):
                click.echo(line)
    if as_json:
        print_json({"files": records, "bad": len(bad)})
    if bad:
        names = ", ".join(map(name_of, bad[:NAMED])) + ", ..." * (len(bad) > NAMED)
        total = counted(len(records), "file")
        raise click.ClickException(f"{len(bad):,} of {total} not found whole and intact: {names}")


def _files(sources: Sequence[str]) -> Iterator[str]:
    """The files, and those in folders that are ours, by how they begin or are called."""
    from diffcodec.bitstream.container import ARCHIVE_MAGIC, MAGIC
    from diffcodec.image.scan import find_files

    def why_not(beginning: bytes) -> str | None:
        return None if beginning[:4] in (MAGIC, ARCHIVE_MAGIC) else "is not ours"

    for source in sources:
        if source == PIPE or not os.path.isdir(source):
            yield source
            continue
        scan = find_files([source], why_not)
        rotten = [path for path, _ in scan.left_out if path.suffix.lower() in SUFFIXES]
        paths = sorted([*(found.path for found in scan.images), *rotten])
        if not paths:
            raise click.ClickException(f"{name_of(source)} holds no .dfc or .dfa file to verify")
        if scan.hidden:
            warn(f"{name_of(source)}: {counted(scan.hidden, 'hidden name')} passed by")
        yield from map(str, paths)


def _record(source: str, model: str | None) -> dict[str, Any]:
    from diffcodec import verify as checks

    with opened(source) as file, about(source):
        verdict = checks.verify(file, model)
    return {
        "input": source,
        "good": verdict.good,
        "kind": verdict.kind,
        "state": verdict.state,
        "bytes": verdict.bytes,
        "total_bytes": verdict.total_bytes,
        "guarded_bytes": verdict.guarded,
        "damage": [{"offset": d.offset, "reason": d.reason} for d in verdict.damage],
        "reason": _sentence(verdict),
    }


def _sentence(verdict: Verdict) -> str:
    """A verdict in words."""
    size, guarded = f"{verdict.bytes:,} bytes", verdict.guarded or 0
    if verdict.state == "whole":
        return f"whole and intact, {size}"
    if verdict.state == "open":
        return f"intact, {size}, {guarded:,} of them under checksums; it does not say how many"
    if verdict.state == "cut":
        of = "" if verdict.total_bytes is None else f" of {verdict.total_bytes:,}"
        under = "" if verdict.guarded is None else f", {guarded:,} of them under checksums"
        return f"cut at byte {verdict.bytes:,}{of}{under}"
    if verdict.state == "damaged":
        return f"damaged, {size}"
    return f"not verified beyond byte {guarded:,}: that takes its network, named with --model"


def _lines(record: dict[str, Any]) -> Iterator[str]:
    """A verdict for people."""
    name = name_of(record["input"])
    reason = record["reason"]
    yield reason if reason.startswith(name) else f"{name}: {reason}"
    for damage in record.get("damage", ()):
        yield f"  at byte {damage['offset']:,}: {shown(damage['reason'], '')}"
