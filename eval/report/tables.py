"""The figures and tables of a report, as pieces of HTML."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from diffcodec.accounting.ledger import KINDS, Ledger, to_json
from diffcodec.eval.common.results import Result, ResultError, read_result
from diffcodec.eval.figures import cost as plot_cost
from diffcodec.eval.figures import ddpm as plot_ddpm
from diffcodec.eval.figures import terms as plot_terms
from diffcodec.eval.figures.rates import rate_distortion, title_of
from diffcodec.eval.peers.peers import PEERS
from diffcodec.eval.rd.comparison import compare
from diffcodec.eval.rd.curves import Curve, curves_of, is_bound

REFERENCES = ("jpeg2000", "jpegxl-cut")  # of the BD-rates


def table(head: Sequence[str], rows: Sequence[Sequence[str]], caption: str) -> str:
    """A table whose first column names the row."""
    top = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in head)
    body = "".join(
        f'<tr><th scope="row">{html.escape(row[0])}</th>'
        + "".join(f"<td>{html.escape(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="wide"><table><caption>{html.escape(caption)}</caption>'
        f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def figure(svg: bytes, number: int, caption: str) -> str:
    """A figure of matplotlib's inside the page: no background, no names that clash, no addresses.

    number: of the figure in its page.
    """
    text = svg.decode("utf-8")
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r' xmlns(:\w+)?="[^"]*"', "", text)
    text = re.sub(r'\bid="', f'id="f{number}-', text)
    text = re.sub(r'href="#', f'href="#f{number}-', text)
    text = text.replace("url(#", f"url(#f{number}-")
    text = re.sub(r"fill: #ffffff", "fill: none", text)  # of the figure and its axes
    size = re.search(r'width="([\d.]+)pt" height="([\d.]+)pt"', text)
    broad = size is not None and float(size[1]) > 2.5 * float(size[2])
    text = text.replace(size[0], 'class="broad"' if broad else "", 1) if size else text
    label = html.escape(caption, quote=True)
    text = text.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)
    return f"<figure>{text}<figcaption>{html.escape(caption)}</figcaption></figure>"


def read_results(paths: Sequence[Path]) -> dict[Path, Result]:
    """Results of eval, bench, nll and ddpm_table; ResultError for a file that is none of these."""
    results = {path: read_result(path) for path in paths}
    for path, result in results.items():
        if not is_bound(result) and "ddpm_table" not in result:
            curves_of({path: result})
    return results


def figures(results: Mapping[Path, Result]) -> list[str]:
    """All that the results have to show, in the order of a page."""
    rated = _rated(results)
    bounds = [result for result in results.values() if is_bound(result)]
    tables = [result for result in results.values() if "ddpm_table" in result]
    drawn: list[tuple[bytes, str]] = []
    if rated:
        curves, own = curves_of(rated), list(rated.values())
        drawn.append((rate_distortion(curves, own, "svg"), "Quality by rate, whole files."))
        for draw, caption in (
            (plot_cost.overhead, "What whole files spend above theory, by rate."),
            (plot_cost.lossless, "Exact files."),
        ):
            try:
                drawn.append((draw(own, "svg"), caption))
            except ResultError:
                continue  # results of other codecs have no theory
    drawn += [
        (plot_terms.draw(bound, "svg"), "The terms of the bound, and rate and distortion by t.")
        for bound in bounds
    ]
    drawn += [
        (plot_ddpm.draw(found, "svg"), "DDPM's Figure 5, with this network and its files.")
        for found in tables
    ]
    return [figure(svg, i, caption) for i, (svg, caption) in enumerate(drawn)]


def tables(results: Mapping[Path, Result]) -> list[str]:
    """BD-rates, lossless sizes, seconds, DDPM's Table 4."""
    rated = _rated(results)
    found = [_bd(curves_of(rated))] if rated else []
    for result in rated.values():
        found += [_lossless(result), _seconds(result)]
    found += [_ddpm(result) for result in results.values() if "ddpm_table" in result]
    return [text for text in found if text]


def commands(results: Mapping[Path, Result], own: str) -> str:
    """The commands that made the page and its results, with their machines."""
    lines = [f"<li><code>{html.escape(own)}</code></li>"]
    for result in results.values():
        if command := result.get("command"):
            e = result.get("environment", {})
            about = f"{e.get('cpu')}, {e.get('cpus')} cores; torch {e.get('torch')}"
            lines.append(
                f"<li><code>{html.escape(command)}</code><br>"
                f"<small>{html.escape(about if e else '')}</small></li>"
            )
    return f"<ol>{''.join(dict.fromkeys(lines))}</ol>"


def shown_cuts(facts: Mapping[str, Any]) -> str:
    """PSNR of all that the slider shows."""
    rows = []
    for i, size in enumerate(facts["bytes"]):
        cells = [layer["cuts"][i] for layer in facts["layers"]]
        rows.append([f"{size:,}", f"{facts['bpp'][i]:.3f}", *(_quality(cell) for cell in cells)])
    head = ["bytes", "bpp", *(layer["label"] for layer in facts["layers"])]
    return table(head, rows, f"{facts['name']}: PSNR (dB) of the whole image at these bytes")


def _quality(cell: Mapping[str, Any] | None) -> str:
    if cell is None:
        return "-"
    return "exact" if cell["psnr"] is None else f"{cell['psnr']:.2f}"


def ledger(name: str, found: Ledger) -> str:
    """What a file was spent on, where its overhead is from, and every step."""
    facts = to_json(found)
    rows = [
        [
            KINDS.get(kind, (kind,))[0],
            *(_bits(bits[key]) for key in ("spent_bits", "ideal_bits", "overhead_bits")),
        ]
        for kind, bits in facts["kinds"].items()
    ]
    whole = [facts[key] for key in ("file_bits", "ideal_bits", "overhead_bits")]
    rows.append(["the file", *map(_bits, whole)])
    head = ["what", "spent bits", "ideal bits", "above it"]
    parts = [table(head, rows, f"{name}: what the file's bits were spent on")]
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
    if steps:
        text = table(head, steps, f"{name}: its steps")
        parts.append(f"<details><summary>The {len(steps)} steps</summary>{text}</details>")
    return "".join(parts)


def _bits(bits: float | None) -> str:
    return "-" if bits is None else f"{bits:,.0f}"


def _rated(results: Mapping[Path, Result]) -> dict[Path, Result]:
    return {
        path: result
        for path, result in results.items()
        if not is_bound(result) and "ddpm_table" not in result
    }


def _bd(curves: Sequence[Curve]) -> str:
    known = {curve.key: curve for curve in curves}
    references = [known[key] for key in REFERENCES if key in known]
    columns = [{r["name"]: r for r in compare(curves, ref, "psnr")} for ref in references]
    if not references:
        return ""
    rows = []
    for curve in curves:
        if curve.kind != "theory":
            cells = [column.get(curve.key, {}).get("bd_rate_percent") for column in columns]
            rows.append([curve.label, *("-" if c is None else f"{c:+.1f} %" for c in cells)])
    head = ["codec", *(f"against {reference.label}" for reference in references)]
    return table(head, rows, "BD-rate: bytes at equal PSNR; - where the curves are too far apart")


def _lossless(result: Result) -> str:
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
    if not rows:
        return ""
    return table(["codec", "bits/dim"], rows, f"Exact files, smallest first: {title_of([result])}")


def _seconds(result: Result) -> str:
    seconds = result.get("seconds_per_picture")
    if not seconds:
        return ""
    parts = ("total", "network", "trellis", "rest")
    rows = [[way, *(f"{s[part]:.2f}" for part in parts)] for way, s in seconds.items()]
    return table(["", *parts], rows, f"Seconds an image: {title_of([result])}")


def _ddpm(result: Result) -> str:
    rows = [plot_ddpm.cells(row) for row in result["ddpm_table"]]
    head = ["T - t + 1"]
    for kind in ("theory", "files", "Ho et al. 2020"):
        head += [f"{kind}: bits/dim", "RMSE"]
    return table(head, rows, f"DDPM's Table 4; {result['name']}, {title_of([result])}")
