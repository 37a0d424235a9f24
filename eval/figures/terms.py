"""The terms of the bound against t, and what is sent and what is left by then (DDPM, Figure 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from diffcodec.eval.figures.figure import finish, plain, prepare, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TERM, RATE, DISTORTION = "#c2273b", "#2a6f9d", "#2a9d6f"


def draw(result: dict[str, Any], format: str, title: str | None = None) -> bytes:
    """A result of `diffcodec nll` as three panels over t: a whole file, png, svg or pdf."""
    import matplotlib.pyplot as plt

    prepare(font_size=9)
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
    tidy(middle, "t", "bits/dim sent", "rate when $x_t$ is reached")
    right.plot(t, [row["rmse_grey"] for row in steps], color=DISTORTION, linewidth=1)
    right.set_ylim(bottom=0)
    tidy(right, "t", "RMSE, grey levels of 0..255", r"distortion of $\hat x_0(x_t)$")
    for axes in (left, middle, right):
        axes.set_xlim(max(t), min(t))  # as a receiver meets them
    count = "1 image" if bound["images"] == 1 else f"{bound['images']} images"
    error = bound["standard_error_bpd"]
    spread = "" if error is None else f" ± {error:.3f}"
    figure.suptitle(
        plain(
            title
            or f"{result['model']['name']} on {result['dataset']['name']}: {bound['bpd']:.3f}"
            f"{spread} bits/dim ({count}, T = {bound['T']} {bound['schedule']})"
        ),
        fontsize=10,
    )
    return finish(figure, format)


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
    tidy(axes, "t", "$L_{t-1}$, bits/dim", "terms of the bound")
