"""Bits/dim against the number of steps, from the JSON of `diffcodec schedule`."""

from __future__ import annotations

from diffcodec.eval.common.results import Result
from diffcodec.eval.figures.figure import OURS, finish, plain, prepare, tidy

LINES = (
    ("even_bpd", "evenly spaced timesteps, T = 1000 linear", "0.25", "--"),
    ("total_bpd", "chosen noise levels", OURS, "-"),
    ("steps_bpd", "of these the steps, until the residual", OURS, ":"),
)


def is_schedule(result: Result) -> bool:
    """Is this what `diffcodec schedule --json` printed?"""
    steps = result.get("steps")
    return (
        isinstance(steps, list)
        and bool(steps)
        and isinstance(steps[0], dict)
        and "even_bpd" in steps[0]
    )


def draw(result: Result, format: str, title: str | None = None) -> bytes:
    """The figure as a whole file, png, svg or pdf."""
    import matplotlib.pyplot as plt

    prepare()
    figure, axes = plt.subplots(figsize=(7.2, 4.8), layout="constrained")
    rows = [row for row in result["steps"] if row["steps"] >= 10]
    K = [row["steps"] for row in rows]
    for key, label, colour, line in LINES:
        axes.plot(K, [row[key] for row in rows], line, marker=".", color=colour, label=label)
    axes.set_xscale("log")
    axes.set_xticks(K, [str(k) for k in K])
    axes.minorticks_off()
    axes.set_ylim(0, 2 * rows[0]["total_bpd"])
    name = result["model"]["name"]
    title = plain(title or f"{name}: lossless rate against steps")
    tidy(axes, "steps", "bits/dim, ideal coder, exact pixels included", title)
    axes.legend(frameon=False, fontsize=9)
    return finish(figure, format)
