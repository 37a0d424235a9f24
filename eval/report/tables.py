"""The tables of a report: BD-rates, sizes, seconds, DDPM's Table 4, what a file was spent on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffcodec.accounting.ledger import KINDS, Ledger, to_json
from diffcodec.eval.common.results import Result, ResultError, command_of, read_result
from diffcodec.eval.figures.checking import check
from diffcodec.eval.figures.ddpm import cells
from diffcodec.eval.figures.rates import title_of
from diffcodec.eval.figures.steps import is_schedule
from diffcodec.eval.peers.peers import PEERS
from diffcodec.eval.rd.comparison import compare
from diffcodec.eval.rd.curves import Curve, curves_of, is_rated

REFERENCES = ("jpeg2000", "jpegxl-cut")  # of the BD-rates


@dataclass(frozen=True)
class Table:
    """Text, cell by cell; the first column names the row."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


def read_results(paths: Sequence[Path]) -> dict[Path, Result]:
    """Results of eval, bench, nll and ddpm_table; ResultError for a file that is none of these."""
    results = {path: read_result(path) for path in paths}
    for path, result in results.items():
        if is_schedule(result):
            raise ResultError(f"{path} is of diffcodec schedule, which a report does not show")
        check(path, result)
        if is_rated(result):
            curves_of({path: result})
    return results


def tables(results: Mapping[Path, Result]) -> list[Table]:
    """BD-rates, lossless sizes, seconds, DDPM's Table 4; those without rows are left out."""
    rated = {path: result for path, result in results.items() if is_rated(result)}
    found = [_bd(curves_of(rated))] if rated else []
    for result in rated.values():
        found += [_lossless(result), _seconds(result)]
    found += [_ddpm(result) for result in results.values() if "ddpm_table" in result]
    return [table for table in found if table.rows]


def commands(results: Mapping[Path, Result], own: str) -> list[tuple[str, str]]:
    """The commands that made the page and its results, each once, with their machines."""
    found = [(own, "")]
    for result in results.values():
        if "command" in result:
            e = result.get("environment", {})
            machine = f"{e.get('cpu')}, {e.get('cpus')} cores; torch {e.get('torch')}"
            found.append((command_of(result), machine if e else ""))
    return list(dict.fromkeys(found))


def shown_cuts(facts: Mapping[str, Any]) -> Table:
    """PSNR of all that the slider shows."""
    rows = []
    for i, size in enumerate(facts["bytes"]):
        shown = [layer["cuts"][i] for layer in facts["layers"]]
        rows.append([f"{size:,}", f"{facts['bpp'][i]:.3f}", *map(_quality, shown)])
    head = ["bytes", "bpp", *(layer["label"] for layer in facts["layers"])]
    return Table(f"{facts['name']}: PSNR (dB) of the whole image at these bytes", head, rows)


def _quality(cell: Mapping[str, Any] | None) -> str:
    if cell is None:
        return "-"
    return "exact" if cell["psnr"] is None else f"{cell['psnr']:.2f}"


def spent(name: str, ledger: Ledger) -> tuple[Table, Table]:
    """What a file was spent on and where its overhead is from; every step."""
    facts, columns = to_json(ledger), ("spent_bits", "ideal_bits", "overhead_bits")
    rows = [
        [KINDS.get(kind, (kind,))[0], *(_bits(bits[key]) for key in columns)]
        for kind, bits in facts["kinds"].items()
    ]
    whole = [facts[key] for key in ("file_bits", "ideal_bits", "overhead_bits")]
    rows.append(["the file", *map(_bits, whole)])
    head = ["what", "spent bits", "ideal bits", "above it"]
    parts = Table(f"{name}: what the file's bits were spent on", head, rows)
    steps = [
        [
            f"{entry['step']}",
            "nothing known"
            if entry["sigma_grey_from"] is None
            else f"{entry['sigma_grey_from']:.3g}",
            f"{entry['sigma_grey_to']:.3g}",
            *(_bits(entry[key]) for key in ("kl_bits", "ideal_bits", "spent_bits")),
        ]
        for entry in facts["entries"]
        if entry["sigma_grey_to"] is not None
    ]
    head = ["step", "noise from (grey levels)", "to", "L_t (KL), bits", "ideal bits", "spent bits"]
    return parts, Table(f"{name}: its steps", head, steps)


def _bits(bits: float | None) -> str:
    return "-" if bits is None else f"{bits:,.0f}"


def _bd(curves: Sequence[Curve]) -> Table:
    known = {curve.key: curve for curve in curves}
    references = [known[key] for key in REFERENCES if key in known]
    columns = [{r["name"]: r for r in compare(curves, ref, "psnr")} for ref in references]
    rows = []
    for curve in curves:
        if references and curve.kind != "theory":
            rates = [column.get(curve.key, {}).get("bd_rate_percent") for column in columns]
            rows.append([curve.label, *("-" if r is None else f"{r:+.1f} %" for r in rates)])
    head = ["codec", *(f"against {reference.label}" for reference in references)]
    return Table("BD-rate: bytes at equal PSNR; - where the curves are too far apart", head, rows)


def _lossless(result: Result) -> Table:
    end = result.get("lossless") or {}
    labels = {key: facts["label"] for key, facts in result.get("codecs", {}).items()}
    sizes = [
        (labels.get(key, PEERS[key].label if key in PEERS else key), row["bpd"])
        for key, row in end.get("peers", {}).items()
    ]
    if "bpd" in end:
        name = str(result.get("name", "diffcodec"))
        sizes.append((f"{name} ({end['exact']} of {end['images']} exact)", end["bpd"]))
    rows = [[name, f"{bpd:.4f}"] for name, bpd in sorted(sizes, key=lambda row: row[1])]
    return Table(f"Exact files, smallest first: {title_of([result])}", ["codec", "bits/dim"], rows)


def _seconds(result: Result) -> Table:
    seconds = result.get("seconds_per_picture") or {}
    parts = ("total", "network", "trellis", "rest")
    rows = [[way, *(f"{s[part]:.2f}" for part in parts)] for way, s in seconds.items()]
    return Table(f"Seconds an image: {title_of([result])}", ["", *parts], rows)


def _ddpm(result: Result) -> Table:
    rows = [cells(row) for row in result["ddpm_table"]]
    head = ["T - t + 1"]
    for kind in ("theory", "files", "Ho et al. 2020"):
        head += [f"{kind}: bits/dim", "RMSE"]
    return Table(f"DDPM's Table 4; {result['name']}, {title_of([result])}", head, rows)
