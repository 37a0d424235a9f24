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


# Kodak, mean PSNR in RGB at BPP, from their authors' published results, between points read off
# linearly: VTM 9.1 by CompressAI (Begaint et al. 2020); MLIC++ (Jiang et al. 2023), LALIC (Feng et
# al. 2025), DCAE (Lu et al. 2025), which have a network for every rate.
BPP = (0.12, 0.25, 0.5, 0.8, 1, 2)
LEARNED: tuple[tuple[str, tuple[float | None, ...]], ...] = (
    ("VTM 9.1", (28.72, 31.27, 34.37, 36.93, 38.24, 42.55)),
    ("MLIC++", (29.51, 32.02, 35.04, 37.31, None, None)),
    ("LALIC", (29.40, 32.03, 35.14, 37.72, None, None)),
    ("DCAE", (29.54, 32.09, 35.23, 37.79, None, None)),
)


def learned(results: Path) -> str:
    """Mean PSNR at mean rates beside published codecs: files cut after equal steps, or bytes."""
    result = load(results, "rd-kodak")
    steps, cut = result["steps"], result["results"]
    ours = (
        ("diffcodec, every image after the same step", steps["bpp_file"], steps["psnr-rgb"]),
        ("diffcodec, every image at the same rate", cut["bpp"], cut["psnr-rgb"]),
    )
    rows = [[name, *map(_db, psnr)] for name, psnr in LEARNED]
    for name, bpp, psnr in ours:
        known = np.array([xy for xy in zip(bpp, psnr, strict=True) if None not in xy], np.float64)
        found = np.interp(BPP, known[:, 0], known[:, 1])
        rows.append([f"**{name}**", *(f"**{db:.2f}**" for db in found)])
    head = [f"Kodak, {result['dataset']['images']} images, mean PSNR (dB) at"]
    return f"{table([*head, *(f'{bpp:g} bpp' for bpp in BPP)], rows)}\n\n{machine(result)}"


def _db(psnr: float | None) -> str:
    return "-" if psnr is None else f"{psnr:.2f}"


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


def cuts(results: Path, wanted: tuple[float, ...]) -> str:
    """PSNR at given rates of files whose pixels end with the adaptive coder, and with a Gaussian.

    The latter's steps go on to less noise.
    """
    adaptive, gaussian = load(results, "rd-kodak-adaptive"), load(results, "rd-kodak")
    rows = []
    for bpp in wanted:
        pair = [
            quality_at(one["results"]["bpp"], one["results"][QUALITY], bpp)
            for one in (adaptive, gaussian)
        ]
        rows.append([f"{bpp:g}", *map(_db, pair)])
    head = ["bpp", "adaptive (dB)", "Gaussian"]
    return f"{table(head, rows)}\n\n{machine(adaptive)}"


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
