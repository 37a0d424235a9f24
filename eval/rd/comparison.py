"""BD-rate and BD-PSNR of curves against one of them: as rows for JSON, and as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from diffcodec.eval.rd.bjontegaard import Operating, OverlapError, bd_quality, bd_rate
from diffcodec.eval.rd.curves import Curve, Metric, column_of, values


def compare(curves: Sequence[Curve], reference: Curve, metric: Metric) -> list[dict[str, Any]]:
    """A row for each curve of files other than the reference; None, and why, where it is too far.

    metric: PSNR (RMSE is the same in other units), or MS-SSIM in dB.
    """
    metric = "psnr" if metric == "rmse" else metric
    real = [curve for curve in curves if curve.kind != "theory"]
    column = column_of([*real, reference], metric)
    anchor = _operating(reference, metric, column)
    rows = []
    for curve in real:
        if curve.key == reference.key:
            continue
        other, reasons = _operating(curve, metric, column), []
        row: dict[str, Any] = {"name": curve.key, "label": curve.label, "column": column}
        for key, measure in (("bd_rate_percent", bd_rate), ("bd_quality_db", bd_quality)):
            try:
                row[key] = measure(anchor, other)
            except OverlapError as error:
                row[key] = None
                reasons.append(str(error))
        rows.append({**row, "reason": reasons[0] if reasons else None})
    return rows


def _operating(curve: Curve, metric: Metric, column: str) -> Operating:
    pairs = values(curve, "bpp", metric, column)
    return Operating(curve.label, [x for x, _ in pairs], [y for _, y in pairs])


def to_text(rows: Sequence[dict[str, Any]], reference: Curve) -> str:
    """A line for each curve, and the reasons where there are no numbers."""
    lines = [f"against {reference.label}", "  BD-rate (%)  BD-quality (dB)  curve"]
    for row in rows:
        cells = (row["bd_rate_percent"], row["bd_quality_db"])
        rate, quality = ("-" if cell is None else f"{cell:+.2f}" for cell in cells)
        lines.append(f"  {rate:>11}  {quality:>15}  {row['label']}")
    reasons = dict.fromkeys(row["reason"] for row in rows if row["reason"])
    return "\n".join([*lines, *reasons])
