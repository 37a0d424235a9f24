"""CIFAR-10: exact files beside the bound, and bits at a quality beside published curves."""

from __future__ import annotations

from pathlib import Path

from diffcodec.eval.common.results import Result
from diffcodec.eval.publish.tables.markdown import load, machine, spread, table
from diffcodec.eval.rd.mean_curve import rate_at

# CIFAR-10, bpp at DECIBELS and of exact pixels: Yang et al. 2025 (UQDM), read off their published
# curves between points. The last two are what theory asks for, not files.
DECIBELS = (22, 26, 30, 34, 38, 42)
CIFAR10 = (
    ("JPEG", (2.71, 3.34, 4.58, 6.32, 8.45, None), None),
    ("JPEG 2000", (3.86, 5.01, 6.90, 8.96, 11.32, None), 21.85),
    ("BPG", (0.52, 0.90, 1.57, 2.66, 4.31, None), 14.21),
    ("VAE (Minnen & Singh 2020), a network a rate", (0.24, 0.55, 1.03, 1.86, 2.77, 4.11), None),
    ("UQDM, T = 4", (0.87, 1.70, 2.54, 3.88, 5.43, 6.99), 15.3),
    ("theory of a VDM, T = 20", (0.51, 1.54, 2.85, 4.27, 5.75, 7.29), 17.58),
    ("theory of a VDM, T = 1000", (0.17, 0.41, 0.80, 1.27, 2.07, 2.93), 9.73),
)


def lossless(results: Path) -> str:
    """Bits/dim of exact CIFAR-10 images, every image its own file."""
    result, nelbo = load(results, "rd-cifar10"), load(results, "nelbo-cifar10")
    end, bound = result["lossless"], nelbo["nelbo"]
    rows = [
        [
            f"NELBO of the network, T = {bound['T']} ({bound['images']} images)",
            f"{bound['bpd']:.3f}{spread(bound)}",
        ],
        ["ideal code, the codec's own steps (sum of MI)", f"{end['bpd_ideal_mi']:.3f}"],
        [
            f"**diffcodec**, whole files, {end['exact']} of {end['images']} exact",
            f"**{end['bpd']:.3f}** +- {end['standard_error']:.3f}",
        ],
    ]
    names = {"png": "PNG", "webp": "WebP", "jpeg2000": "JPEG 2000", "jpegxl": "JPEG XL"}
    rows += [
        [names.get(name, name), f"{row['bpd']:.3f}"]
        for name, row in sorted(end["peers"].items(), key=lambda item: float(item[1]["bpd"]))
    ]
    return table(["lossless, 32x32 images", "bits/dim"], rows)


def published(results: Path) -> str:
    """Bits per pixel at given quality: images apart and together, and published codecs."""
    rows = [
        [name, *("-" if bpp is None else f"{bpp:.2f}" for bpp in (*rates, exact))]
        for name, rates, exact in CIFAR10
    ]
    joint = load(results, "rd-cifar10-joint")
    ours = {
        "each its own file": load(results, "rd-cifar10"),
        f"{joint['joint']} to a file": joint,
    }
    for kind, result in ours.items():
        name = f"**diffcodec**, {result['dataset']['images']} images, {kind}"
        rows.append([name, *_at_quality(result["results"]), f"**{result['lossless']['bpp']:.2f}**"])
        theory = {**result["theory"], "bpp": result["theory"]["bpp_mi"]}
        rows.append(
            [
                "its theory (sum of MI)",
                *(cell.strip("*") for cell in _at_quality(theory)),
                f"{3 * result['lossless']['bpd_ideal_mi']:.2f}",
            ]
        )
    head = ["CIFAR-10, bpp at", *(f"{db} dB" for db in DECIBELS), "exact"]
    return f"{table(head, rows)}\n\n" + "\n\n".join(map(machine, ours.values()))


def _at_quality(curve: Result) -> list[str]:
    rates = [rate_at(curve["bpp"], curve["psnr-rgb-pooled"], db) for db in DECIBELS]
    return ["-" if bpp is None else f"**{bpp:.2f}**" for bpp in rates]
