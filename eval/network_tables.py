"""The README's tables about the networks beside published ones."""

from __future__ import annotations

from pathlib import Path

from diffcodec.eval.markdown import Result, load, machine, table
from diffcodec.eval.mean_curve import rate_at

SIGMAS = (15, 25, 50)  # grey levels: what the papers have
# Kodak, 24 pictures in colour, mean PSNR at SIGMAS (Zhang et al. 2021, DPIR); parameters and
# thousands of multiplications a pixel where they are known.
PUBLISHED = (
    ("CBM3D", "-", "-", (34.28, 32.15, 28.46)),
    ("DnCNN", "-", "-", (34.60, 32.14, 28.95)),
    ("FFDNet", "0.85 M", "213", (34.63, 32.13, 28.98)),
    ("DRUNet", "32 M", "-", (35.31, 32.89, 29.86)),
)
# CIFAR-10's test set: Ho et al. 2020, Nichol & Dhariwal 2021, Kingma et al. 2021.
BOUNDS = (
    ("DDPM, CIFAR-10", "1000 linear, beta", "0.000 + 1.78 + 1.97", "3.75"),
    ("improved DDPM, CIFAR-10", "4000 cosine, learned", "-", "2.94"),
    ("VDM, CIFAR-10", "continuous", "-", "2.65"),
)
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


def bounds(results: Path) -> str:
    """The bound at levels that suit a network, beside T = 1000 linear betas and the papers'."""
    rows, commands = [list(row) for row in BOUNDS], []
    for name in ("cifar10", "photo"):
        result, ddpm = load(results, f"bound-{name}"), load(results, f"nelbo-{name}")["nelbo"]
        bound, images = result["nelbo"], result["dataset"]["images"]
        commands.append(machine(result))
        error = bound["standard_error_bpd"]
        terms = (bound["L_T_bpd"], bound["L_steps_bpd"], bound["L_0_bpd"])
        rows.append(
            [
                f"**`{name}`**, {images} of {result['dataset']['name']}",
                f"{bound['T']} {bound['schedule']}, {bound['sigma2']}",
                " + ".join(f"{term:.3f}" for term in terms),
                f"**{bound['bpd']:.3f}**{'' if error is None else f' +- {error:.3f}'}",
            ]
        )
        rows.append(
            [
                f"`{name}`, {ddpm['images']}",
                f"{ddpm['T']} {ddpm['schedule']}, {ddpm['sigma2']}",
                " + ".join(f"{ddpm[term]:.3f}" for term in ("L_T_bpd", "L_steps_bpd", "L_0_bpd")),
                f"{ddpm['bpd']:.3f}",
            ]
        )
    head = ["network, pictures", "levels, sigma^2", "L_T + sum L_(t-1) + L_0", "bits/dim"]
    return f"{table(head, rows)}\n\n" + "\n\n".join(commands)


def steps(results: Path, name: str) -> str:
    """Size of files and time by the length of the chain."""
    result = load(results, f"rate-by-steps-{name}")
    rows = []
    for row in result["rows"]:
        parts = row["encode_seconds"]
        bpp = row["bpp_pooled"]
        rows.append(
            [
                f"{row['steps']}",
                f"{row['visited']:.0f}",
                f"**{row['bpd']:.3f}**",
                f"{row['bpd_ideal']:.3f}",
                f"{row['overhead_percent']:.1f} %",
                "-" if bpp is None else f"{bpp:.3f}",
                f"{parts['total']:.2f} ({parts['network']:.2f}, {parts['trellis']:.2f})",
                f"{row['decode_seconds']['total']:.2f}",
            ]
        )
    head = ["levels", "steps in a file", "bits/dim, exact", "ideal", "overhead"]
    head += [f"bpp at {result['decibels']:g} dB", "encode, s (network, trellis)", "decode, s"]
    together = f", {result['joint']} to a file" if result["joint"] else ""
    about = f"{result['dataset']['name']}, {result['dataset']['images']} pictures{together}"
    return f"{about}:\n\n{table(head, rows)}\n\n{machine(result)}"


def cifar10(results: Path) -> str:
    """Bits per pixel at given quality: pictures apart and together, and published codecs."""
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
        name = f"**diffcodec**, {result['dataset']['images']} pictures, {kind}"
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
