"""The README's table of average distances from other codecs."""

from __future__ import annotations

from pathlib import Path

from diffcodec.eval.bjontegaard import Operating, OverlapError, bd_quality, bd_rate
from diffcodec.eval.markdown import Result, load, table
from diffcodec.eval.peers import PEERS

QUALITY = "psnr-rgb-pooled"


def kodak_distance(results: Path) -> str:
    """BD-rate and BD-PSNR of our files against every codec that was measured on Kodak."""
    result = load(results, "rd-kodak")
    ours = operating("diffcodec", result["results"])
    rows = []
    for name, curve in result["peers"].items():
        row = [PEERS[name].label]
        for difference, unit in ((bd_rate, " %"), (bd_quality, " dB")):
            try:
                row.append(f"{difference(operating(name, curve), ours):+.1f}{unit}")
            except OverlapError:
                row.append("too little overlap")
        rows.append(row)
    head = ["against", "bits at equal PSNR (BD-rate)", "PSNR at equal bits (BD-PSNR)"]
    return table(head, rows)


def operating(name: str, curve: Result) -> Operating:
    """The points of a results file's curve that have a quality."""
    points = zip(curve["bpp"], curve[QUALITY], strict=True)
    found = [(bpp, db) for bpp, db in points if db is not None]
    return Operating(name, [bpp for bpp, _ in found], [db for _, db in found])
