"""The README's tables about the networks beside published ones."""

from __future__ import annotations

from pathlib import Path

from diffcodec.eval.markdown import load, machine, table

SIGMAS = (15, 25, 50)  # grey levels: what the papers have
# Kodak, 24 pictures in colour, mean PSNR at SIGMAS (Zhang et al. 2021, DPIR); parameters and
# thousands of multiplications a pixel where they are known.
PUBLISHED = (
    ("CBM3D", "-", "-", (34.28, 32.15, 28.46)),
    ("DnCNN", "-", "-", (34.60, 32.14, 28.95)),
    ("FFDNet", "0.85 M", "213", (34.63, 32.13, 28.98)),
    ("DRUNet", "32 M", "-", (35.31, 32.89, 29.86)),
)


def denoising(results: Path) -> str:
    """Mean PSNR on Kodak beside the papers', and the codec that these errors imply."""
    result = load(results, "denoising-photo")
    sets = {found["dataset"]["name"]: found for found in result["sets"]}
    kodak, model = sets["kodak"], result["model"]
    psnr = {row["sigma_grey"]: row["psnr_db"] for row in kodak["denoising"]}
    rows = [[name, *facts, *(f"{db:.2f}" for db in dbs)] for name, *facts, dbs in PUBLISHED]
    own = [f"**`{model['name']}`**", f"{model['parameters'] / 1e6:.1f} M"]
    own.append(f"{model['kmac_per_pixel']:.0f}")
    rows.append([*own, *(f"**{psnr[sigma]:.2f}**" for sigma in SIGMAS)])
    head = [f"Kodak, {kodak['dataset']['images']} pictures", "parameters", "kMAC/pixel"]
    first = table([*head, *(f"noise {sigma} (dB)" for sigma in SIGMAS)], rows)
    decibels = kodak["implied"]["psnr_db"]
    head = ["implied bpp", *(f"{db} dB" for db in decibels), "exact pixels (bits/dim)"]
    rows = [
        [f"{found['dataset']['name']} ({found['dataset']['images']})"]
        + ["-" if bpp is None else f"{bpp:.3f}" for bpp in found["implied"]["bpp"]]
        + [f"{found['lossless']['bpd']:.3f}"]
        for found in result["sets"]
    ]
    return f"{first}\n\n{table(head, rows)}\n\n{machine(result)}"
