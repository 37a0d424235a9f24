"""Rate-distortion curves of any codecs in one image: files, theory, other codecs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from diffcodec.eval.common.results import Result, ResultError
from diffcodec.eval.common.similarity import SIMILARITIES
from diffcodec.eval.figures.figure import (
    COLOURS,
    OTHERS,
    OURS,
    finish,
    log_rates,
    plain,
    prepare,
    tidy,
)
from diffcodec.eval.rd.curves import Curve, Metric, Rate, column_of, values

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RATES = {"bpp": "bits per pixel", "bpd": "bits per dimension"}
VALUES = {
    "psnr-rgb-pooled": "PSNR of the pooled MSE [dB]",
    "psnr-rgb": "mean PSNR [dB]",
    **{one.columns[0]: one.label for one in SIMILARITIES.values()},
}
LINES = {"": "-", "cut": "--", "lossless-cut": ":"}
Points = list[tuple[float, float]]


def rate_distortion(
    curves: Sequence[Curve],
    results: Sequence[Result],
    format: str,
    *,
    metric: Metric = "psnr",
    rate: Rate = "bpp",
    title: str | None = None,
) -> bytes:
    """The figure as a whole file, png, svg or pdf; curves without the metric are left out.

    results: the files that the curves are from, for the title and the lossless rates. Raises
    ResultError if nothing is left to draw.
    """
    import matplotlib.pyplot as plt

    column = column_of(curves, metric)
    drawn = {curve: values(curve, rate, metric, column) for curve in curves}
    drawn = {curve: points for curve, points in drawn.items() if points}
    if not drawn:
        raise ResultError(f"none of the curves has {metric} values")
    prepare()
    figure, axes = plt.subplots(figsize=(7.2, 4.8), layout="constrained")
    others = iter(OTHERS * (1 + len(drawn) // len(OTHERS)))
    for curve, points in sorted(drawn.items(), key=lambda item: _order(item[0])):
        x, y = zip(*points, strict=True)
        axes.plot(x, y, label=plain(curve.label), **_style(curve, others))
    log_rates(axes)
    _limits(axes, drawn, results, rate, metric)
    name = VALUES[column] if metric != "rmse" else "RMSE [grey levels of 0..255]"
    tidy(axes, f"{RATES[rate]}, whole files", name, plain(title or title_of(results)))
    handles, labels = axes.get_legend_handles_labels()
    legend = axes.legend(handles[::-1], labels[::-1], frameon=False, fontsize=8)
    legend.set_loc("upper right" if metric == "rmse" else "upper left")
    return finish(figure, format)


def title_of(results: Sequence[Result]) -> str:
    """The data sets of the files that name one."""
    sets: dict[str, int] = {}
    for result in results:
        if about := result.get("dataset"):
            sets[about["name"]] = about["images"]
    return "; ".join(f"{name}, {n} image{'s'[: n > 1]}" for name, n in sets.items())


def _order(curve: Curve) -> int:
    """Ours last: on top."""
    return ["other", "peer", "theory", "ours"].index(curve.kind)


def _style(curve: Curve, others: Any) -> dict[str, Any]:
    if curve.kind == "ours":
        return {"color": OURS, "marker": "o", "markersize": 4}
    if curve.kind == "theory":
        return {"color": OURS, "linestyle": ":", "linewidth": 1.4}
    name, _, variant = curve.key.partition(" ")[0].partition("-")
    known = curve.kind == "peer" and name in COLOURS
    return {
        "color": COLOURS[name] if known else next(others),
        "linestyle": LINES.get(variant, "-") if known else "-",
        "marker": ".",
        "linewidth": 1.2,
    }


def _limits(
    axes: Axes,
    drawn: Mapping[Curve, Points],
    results: Sequence[Result],
    rate: Rate,
    metric: Metric,
) -> None:
    """Where ours is; and where it becomes exact."""
    ours = [point for curve, points in drawn.items() if curve.kind == "ours" for point in points]
    if not ours:
        return
    ends = [result["lossless"][rate] for result in results if "theory" in result]
    x, y = zip(*ours, strict=True)
    axes.set_xlim(0.85 * min(x), 1.25 * max(*x, *ends))
    margin = 0.05 * (max(y) - min(y)) + 0.1
    if metric == "rmse":
        axes.set_ylim(0, max(y) + margin)
    else:
        axes.set_ylim(bottom=min(y) - margin)
    for end in ends:
        axes.axvline(end, color=OURS, linewidth=0.8, alpha=0.6)
        axes.annotate(
            f"exact at {end:.2f} {rate}",
            (end, 0.35 if metric == "rmse" else 0.03),
            xycoords=("data", "axes fraction"),
            xytext=(-4, 0),
            textcoords="offset points",
            rotation=90,
            ha="right",
            va="bottom",
            color=OURS,
            fontsize=8,
        )
