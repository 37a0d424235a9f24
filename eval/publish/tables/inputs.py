"""Images as people have them: every kind of file, and many of them on many machines."""

from __future__ import annotations

from pathlib import Path

from diffcodec.eval.common.results import Result
from diffcodec.eval.publish.tables.markdown import load, machine, table

MILLION = 10**6
HOUR = 3600


def kinds(results: Path) -> str:
    """What became of files of every kind, and their bytes beside PNG's and WebP's."""
    result = load(results, "odd-inputs")
    rows = []
    for one in result["odd_inputs"]:
        if one["refused"]:
            rows.append([one["name"], f"refused: {one['refused']}", "", "", "", "", ""])
            continue
        carried = ", ".join(dict.fromkeys(one["metadata"]))
        kept = f"{carried}: {_yes(one['kept'])}" if carried else "none"
        sizes = [one["input_bytes"], one["bytes"], *one["peers_bytes"].values()]
        cells = ["-" if size is None else f"{size:,}" for size in sizes]
        cells[1] = f"**{cells[1]}**"
        rows.append([one["name"], _yes(one["exact"]), kept, *cells])
    head = ["input", "exact", "metadata kept", "bytes", "diffcodec", "PNG", "WebP"]
    return f"{table(head, rows)}\n\n{machine(result)}"


def _yes(kept: bool) -> str:
    return "yes" if kept else "**no**"


def machines(results: Path) -> str:
    """Many small images by processes and by an engine's workers: rates, and a worker killed."""
    result = load(results, "many-machines")
    rows = [_machines_row(one) for one in result["runs"]]
    head = ["run", "seconds", "to the first", "images/s after it", "a million images"]
    engine, alone = (_row(result, how) for how in ("two dask workers", "-j 2"))
    overhead = 1000 * (1 / engine["images_per_second"] - 1 / alone["images_per_second"])
    killed = result["killed"]
    return (
        f"{table(head, rows)}\n\n"
        f"The engine takes {overhead:.1f} ms an image more than processes. With one of its two "
        f"workers killed after {killed['done']:,} images, all {result['images']:,} files are "
        f"whole and the same: {_yes(killed['equal'])}; it took {killed['seconds']:.0f} s.\n\n"
        f"{machine(result)}"
    )


def bit_rot(results: Path) -> str:
    """How many single flipped bits of the golden files are noticed."""
    result = load(results, "bit-rot")
    rows = []
    for state in ("whole", "cut"):
        files = [one for one in result["files"] if one["state"] == state]
        flips, seen = (sum(one[f"guarded_{n}"] for one in files) for n in ("flips", "noticed"))
        missed = [miss["effect"] for one in files for miss in one["missed"]]
        effects = ", ".join(f"{missed.count(what)} {what}" for what in sorted(set(missed)))
        rows.append([state, f"{len(files)}", f"{flips:,}", f"**{seen:,}**", effects or "none"])
    head = ["golden files", "files", "flips under a checksum", "noticed", "missed: decoded then"]
    return f"{table(head, rows)}\n\n{machine(result)}"


def _machines_row(one: Result) -> list[str]:
    hours = MILLION / one["images_per_second"] / HOUR
    return [
        one["how"],
        f"{one['seconds']:.1f}",
        f"{one['first_seconds']:.1f}",
        f"{one['images_per_second']:.2f}",
        f"{hours:.0f} h" if hours >= 10 else f"{hours:.1f} h",
    ]


def _row(result: Result, how: str) -> Result:
    found: Result = next(one for one in result["runs"] if one["how"] == how)
    return found
