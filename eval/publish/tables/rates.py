"""Quality of real files at given rates, beside other codecs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from diffcodec.eval.common.results import Result
from diffcodec.eval.peers.peers import PEERS
from diffcodec.eval.publish.tables.markdown import load, machine, table
from diffcodec.eval.rd.bjontegaard import Operating, OverlapError, bd_quality, bd_rate
from diffcodec.eval.rd.mean_curve import quality_at

QUALITY = "psnr-rgb-pooled"
LABELS = {
    "jpeg": "JPEG",
    "jpeg2000": "JPEG 2000",
    "webp": "WebP",
    "avif": "AVIF",
    "jpegxl": "JPEG XL",
    "jpegxl-cut": "JPEG XL, one file cut",
}


def rates(results: Path, name: str, wanted: tuple[float, ...]) -> str:
    """PSNR at given rates: real files, theory, and the other codecs."""
    result = load(results, name)
    theory = {
        "bpp": result["theory"]["bpp_mi"],
        "psnr-rgb-pooled": result["theory"]["psnr-rgb-pooled"],
    }
    over, peers = result["overhead_percent"], [p for p in LABELS if p in result["peers"]]
    rows = []
    for bpp in wanted:
        percent = np.interp(bpp, over["bpp"], over["over_mi"])
        inside = over["bpp"][0] <= bpp <= over["bpp"][-1]
        row = [f"{bpp:g}", f"**{at(result['results'], bpp)}**", at(theory, bpp)]
        row += [f"{percent:.0f} %" if inside else "-"]
        rows.append(row + [at(result["peers"][peer], bpp) for peer in peers])
    head = ["bpp", "diffcodec, files (dB)", "its theory", "overhead", *(LABELS[p] for p in peers)]
    return f"{table(head, rows)}\n\n{machine(result)}"


def at(curve: Result, bpp: float) -> str:
    """Pooled PSNR of a curve at a rate, interpolated; a dash outside of it."""
    db = quality_at(curve["bpp"], curve["psnr-rgb-pooled"], bpp)
    return "-" if db is None else f"{db:.1f}"


def distance(results: Path) -> str:
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
