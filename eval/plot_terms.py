"""The terms of the bound against t, and what is sent and what is left by then (DDPM, Figure 5)."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TERM, RATE, DISTORTION = "#c2273b", "#2a6f9d", "#2a9d6f"


def draw(result: dict[str, Any], format: str) -> bytes:
    """A result of `diffcodec nll` as three panels over t: a whole file, png, svg or pdf."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "diffcodec", "font.size": 9})
    figure, (left, middle, right) = plt.subplots(
        1, 3, figsize=(10.2, 3.4), layout="constrained", sharex=True
    )
    steps, bound = result["per_step"], result["nelbo"]
    t = [row["t"] for row in steps]
    _draw_terms(left, steps)
    middle.plot(t, [row["rate_bpd"] for row in steps], color=RATE, linewidth=1.2)
    middle.axhline(bound["bpd"], color=RATE, linewidth=0.8, linestyle=":")
    middle.annotate(
        f"with $L_0$: {bound['bpd']:.3f}",
        (0.98, bound["bpd"]),
        xycoords=("axes fraction", "data"),
        xytext=(0, -3),
        textcoords="offset points",
        ha="right",
        va="top",
        color=RATE,
    )
    middle.set_ylim(bottom=0)
    _name(middle, "rate when $x_t$ is reached", "bits/dim sent")
    right.plot(t, [row["rmse_grey"] for row in steps], color=DISTORTION, linewidth=1)
    right.set_ylim(bottom=0)
    _name(right, r"distortion of $\hat x_0(x_t)$", "RMSE, grey levels of 0..255")
    for axes in (left, middle, right):
        axes.set_xlim(max(t), min(t))  # as a receiver meets them
    count = "1 picture" if bound["images"] == 1 else f"{bound['images']} pictures"
    error = bound["standard_error_bpd"]
    spread = "" if error is None else f" ± {error:.3f}"
    figure.suptitle(
        f"{result['model']['name']} on {result['dataset']['name']}: {bound['bpd']:.3f}{spread} "
        f"bits/dim ({count}, T = {bound['T']} {bound['schedule']})",
        fontsize=10,
    )
    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}  # the same bytes every time
    stream = io.BytesIO()
    figure.savefig(stream, format=format, dpi=160, metadata=undated.get(format))
    plt.close(figure)
    return stream.getvalue()


def _draw_terms(axes: Axes, steps: list[dict[str, Any]]) -> None:
    later = [row for row in steps if row["t"] > 1 and row["L_bpd"] > 0]
    if later:
        axes.plot(
            [row["t"] for row in later], [row["L_bpd"] for row in later], color=TERM, linewidth=1
        )
        axes.set_yscale("log")
    if steps[-1]["L_bpd"] > 0:
        first = steps[-1]
        axes.plot([first["t"]], [first["L_bpd"]], color=TERM, marker="o", clip_on=False)
        axes.annotate(
            f"$L_0$ = {first['L_bpd']:.3f}",
            (first["t"], first["L_bpd"]),
            xytext=(-7, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            color=TERM,
        )
    _name(axes, "terms of the bound", "$L_{t-1}$, bits/dim")


def _name(axes: Axes, title: str, label: str) -> None:
    axes.set_title(title, fontsize=9)
    axes.set_xlabel("t")
    axes.set_ylabel(label)
    axes.grid(True, color="0.9", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
