"""DDPM's Figure 10 from a result of `progressive_quality`: measures of x0_hat by reverse steps."""

from __future__ import annotations

from diffcodec.eval.common.results import Result
from diffcodec.eval.figures.figure import OURS, finish, prepare, tidy

NAMES = {"frechet_distance": "Frechet distance", "classifier_score": "classifier score"}


def draw(result: Result, format: str) -> bytes:
    """Distance and score with their intervals, real images as a line; png, svg or pdf, whole."""
    import matplotlib.pyplot as plt

    prepare(font_size=9)
    figure, panels = plt.subplots(1, 2, figsize=(7.2, 3.2), layout="constrained")
    steps = [row["reverse_steps"] for row in result["rows"]]
    for axes, (key, name) in zip(panels, NAMES.items(), strict=True):
        found = [row[key] for row in result["rows"]]
        low, high = zip(*(one["interval"] for one in found), strict=True)
        axes.fill_between(steps, low, high, color=OURS, alpha=0.2, linewidth=0)
        values = [one["value"] for one in found]
        axes.plot(steps, values, marker="o", markersize=3.5, color=OURS, label="x0_hat")
        real = result["real"][key]["value"]
        axes.axhline(real, color="0.3", linestyle=":", label=f"{result['samples']} real images")
        tidy(axes, "reverse steps", name, "")
        axes.set_ylim(bottom=0)
    panels[0].legend(frameon=False, fontsize=8)
    return finish(figure, format)
