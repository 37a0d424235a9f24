"""The README's tables about whole photographs: size, time, memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from diffcodec.eval.markdown import Result, load, machine, table
from diffcodec.eval.peer_tables import QUALITY

EFFORTS = ("fast", "default", "best")
RATES_BPP = (0.1, 0.25, 0.5, 1.0, 2.0)


def pictures(results: Path) -> str:
    """Lossless files beside other codecs', seconds and memory."""
    rows = []
    for name in ("rd-kodak", "rd-gb82"):
        result = load(results, name)
        end = result["lossless"]
        kinds = ("jpeg2000", "png", "webp", "jpegxl")
        row = [f"{result['dataset']['name']}, {result['dataset']['images']}"]
        row += [f"**{end['bpd']:.3f}**", *(f"{end['peers'][p]['bpd']:.3f}" for p in kinds)]
        rows.append(row + _costs(result))
    head = ["pictures", "bits/dim, lossless", "JPEG 2000", "PNG", "WebP", "JPEG XL"]
    return table([*head, "encode", "decode", "memory"], rows)


def efforts(results: Path) -> str:
    """One photograph at every effort: quality at some rates, size, seconds and memory."""
    rows, found = [], [load(results, f"effort-{effort}") for effort in EFFORTS]
    for effort, result in zip(EFFORTS, found, strict=True):
        curve = result["results"]
        psnr = np.interp(RATES_BPP, curve["bpp"], curve[QUALITY])
        row = [effort, " / ".join(f"{db:.1f}" for db in psnr)]
        rows.append([*row, f"**{result['lossless']['bpd']:.3f}**", *_costs(result)])
    rates = " / ".join(f"{bpp:g}" for bpp in RATES_BPP)
    head = ["effort", f"dB at {rates} bpp", "bits/dim, lossless", "encode", "decode", "memory"]
    return f"{table(head, rows)}\n\n" + "\n\n".join(map(machine, found))


def _costs(result: Result) -> list[str]:
    """Seconds of both ways for a picture, with their split, and peak memory."""
    cells = []
    for way in ("encode", "decode"):
        parts = result["seconds_per_picture"][way]
        kinds = ", ".join(f"{k} {parts[k]:.1f}" for k in ("network", "trellis", "rest"))
        cells.append(f"{parts['total']:.1f} s ({kinds})")
    return [*cells, f"{result['peak_memory_bytes'] / 2**30:.1f} GiB"]
