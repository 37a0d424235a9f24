"""DDPM's Table 4 and Figure 5 as documents show them, from a result of `ddpm_table`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from diffcodec.eval.common.results import Result
from diffcodec.eval.figures.figure import COLOURS, OURS, finish, prepare, tidy


def cells(row: Result) -> list[str]:
    """A row as documents show it: T - t + 1; rate and RMSE in theory, of files, of the paper."""
    pairs = (row[kind] for kind in ("theory", "files", "paper"))
    numbers = [[f"{one['rate_bpd']:.5f}", f"{one['rmse_grey']:.3f}"] for one in pairs]
    return [f"{row['reverse_steps']}", *(cell for pair in numbers for cell in pair)]


def draw(
    result: Result, format: str, theory: Mapping[int, Mapping[str, float]] | None = None
) -> bytes:
    """Figure 5: RMSE and rate by T - t + 1, and RMSE by rate; png, svg or pdf, a whole file.

    theory: "rate_bpd" and "rmse_grey" at every T - t + 1, instead of at the table's rows.
    """
    import matplotlib.pyplot as plt

    prepare(font_size=9)
    rows = result["ddpm_table"]
    columns = {
        kind: [(r["reverse_steps"], r[kind]["rate_bpd"], r[kind]["rmse_grey"]) for r in rows]
        for kind in ("theory", "files", "paper")
    }
    if theory is not None:
        columns["theory"] = [(k, row["rate_bpd"], row["rmse_grey"]) for k, row in theory.items()]
    points: dict[str, Any] = {"linestyle": "", "markersize": 3.5}
    looks: dict[str, dict[str, Any]] = {
        "theory": {"color": OURS, "linestyle": ":", "label": "theory, this network"},
        "files": {"color": OURS, "marker": "o", **points, "label": "files, this network"},
        "paper": {
            "color": COLOURS["jpegxl"],
            "marker": "s",
            **points,
            "label": "DDPM's Table 4 (theory)",
        },
    }
    figure, panels = plt.subplots(1, 3, figsize=(10.2, 3.4), layout="constrained")
    for kind, column in columns.items():
        steps, rate, error = zip(*column, strict=True)
        panels[0].plot(steps, error, linewidth=1.2, **looks[kind])
        panels[1].plot(steps, rate, linewidth=1.2, **looks[kind])
        panels[2].plot(rate, error, linewidth=1.2, **looks[kind])
    tidy(panels[0], "reverse steps, T - t + 1", "RMSE, grey levels of 0..255", "distortion")
    tidy(panels[1], "reverse steps, T - t + 1", "bits/dim sent", "rate")
    tidy(panels[2], "bits/dim", "RMSE, grey levels of 0..255", "distortion by rate")
    panels[2].legend(frameon=False, fontsize=8)
    for axes in panels:
        axes.set_ylim(bottom=0)
    return finish(figure, format)
