"""What the files cost beyond theory, by rate; and lossless sizes as bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from diffcodec.eval.common.results import Result, ResultError
from diffcodec.eval.figures.figure import OTHERS, OURS, finish, log_rates, plain, prepare, tidy
from diffcodec.eval.figures.rates import title_of
from diffcodec.eval.peers.peers import PEERS

SOFT = "0.72"  # bars that are no files of ours


def overhead(results: Sequence[Result], format: str, title: str | None = None) -> bytes:
    """Percent of whole files, and of their steps alone, over the ideal, by rate: png, svg or pdf.

    Raises ResultError without a result of `diffcodec eval`.
    """
    import matplotlib.pyplot as plt

    ours = [result for result in results if "overhead_percent" in result]
    if not ours:
        raise ResultError("overhead is known for results of diffcodec eval only")
    prepare()
    figure, axes = plt.subplots(figsize=(7.2, 4.4), layout="constrained")
    for result, colour in zip(ours, (OURS, *OTHERS * len(ours)), strict=False):
        over, steps = result["overhead_percent"], result["steps"]
        lines = (
            ("whole files over MI", "-", "o", over["bpp"], over["over_mi"]),
            ("whole files over KL", "--", ".", over["bpp"], over["over_kl"]),
            ("steps alone over MI", ":", "", *_steps(steps)),
        )
        name = "" if len(ours) == 1 else f"{_name(result)}, {result['dataset']['name']}: "
        for label, line, marker, rates, percent in lines:
            axes.plot(
                rates,
                percent,
                color=colour,
                linestyle=line,
                marker=marker,
                markersize=4,
                linewidth=1.3,
                label=plain(name + label),
            )
    log_rates(axes)
    axes.axhline(0, color="0.6", linewidth=0.8)
    tidy(
        axes,
        "bits per pixel, whole files",
        "bits above the ideal [%]",
        plain(title or title_of(ours)),
    )
    axes.legend(frameon=False, fontsize=8)
    return finish(figure, format)


def _steps(steps: dict[str, Any]) -> tuple[Any, Any]:
    return steps["bpp_file"], steps["overhead_percent"]["steps_over_mi"]


def lossless(results: Sequence[Result], format: str, title: str | None = None) -> bytes:
    """Bits/dim of exact files, a bar a codec, with standard errors: png, svg or pdf.

    Raises ResultError where no file holds a lossless size.
    """
    import matplotlib.pyplot as plt

    rows = _rows(results)
    if not rows:
        raise ResultError("there are no lossless sizes in these files")
    rows.sort(key=lambda row: -float(row[1]))
    labels, sizes, errors, colours = zip(*rows, strict=True)
    prepare()
    figure, axes = plt.subplots(figsize=(7.2, 0.9 + 0.32 * len(rows)), layout="constrained")
    bars = axes.barh(
        [plain(label) for label in labels],
        sizes,
        xerr=errors,
        color=colours,
        height=0.7,
        error_kw={"lw": 0.9},
    )
    axes.bar_label(bars, [f"{size:.3f}" for size in sizes], padding=5, fontsize=8)
    axes.set_xlim(0, 1.12 * max(sizes))
    tidy(axes, "bits per dimension, whole files", "", plain(title or title_of(results)))
    axes.grid(False, axis="y")
    return finish(figure, format)


def _rows(results: Sequence[Result]) -> list[tuple[str, float, float, str]]:
    """(label, bits/dim, standard error or 0, colour), each label once."""
    rows: dict[str, tuple[str, float, float, str]] = {}
    sets = {result["dataset"]["name"] for result in results if "dataset" in result}
    for result in results:
        end = result.get("lossless") or {}
        where = f", {result['dataset']['name']}" if len(sets) > 1 else ""
        known = {key: facts["label"] for key, facts in result.get("codecs", {}).items()}
        found = [
            (known.get(key, PEERS[key].label if key in PEERS else key), row, SOFT)
            for key, row in end.get("peers", {}).items()
        ]
        if "bpd" in end:
            found.append((_name(result), end, OURS))
            found.append((f"{_name(result)}, ideal code", {"bpd": end["bpd_ideal_mi"]}, "#e6b3ba"))
        for label, row, colour in found:
            label += where
            rows[label] = (label, row["bpd"], row.get("standard_error") or 0.0, colour)
    return list(rows.values())


def _name(result: Result) -> str:
    return str(result.get("name", "diffcodec"))
