"""The networks: bounds and denoising, beside published ones."""

from __future__ import annotations

import math
from pathlib import Path

from diffcodec.api import list_models
from diffcodec.eval.common.results import Result
from diffcodec.eval.publish.tables.markdown import load, machine, spread, table

SIGMAS = (15, 25, 50)  # grey levels: what the papers have
# Kodak, 24 images in colour, mean PSNR at SIGMAS: Zhang et al. 2021 (DPIR) and 2023 (SCUNet), Tian
# et al. 2020 (ADNet, BRDNet); parameters and thousands of multiplications a pixel where known.
PUBLISHED = (
    ("CBM3D", "-", "-", (34.28, 32.15, 28.46)),
    ("DnCNN", "-", "667", (34.60, 32.14, 28.95)),
    ("FFDNet", "0.85 M", "213", (34.63, 32.13, 28.98)),
    ("IRCNN", "-", "188", (34.69, 32.18, 28.93)),
    ("ADNet", "-", "520", (34.76, 32.26, 29.10)),
    ("BRDNet", "-", "1,100", (34.88, 32.41, 29.22)),
    ("DRUNet", "32 M", "2,100", (35.31, 32.89, 29.86)),
    ("SCUNet", "-", "1,200", (35.34, 32.92, 29.87)),
)
# CIFAR-10's test set: Ho et al. 2020, Nichol & Dhariwal 2021, Kingma et al. 2021. DDPM has 3.72 for
# training images.
BOUNDS = (
    ("DDPM, CIFAR-10", "1000 linear, beta", "0.000 + 1.78 + 1.97", "3.75"),
    ("improved DDPM, CIFAR-10", "4000 cosine, learned", "-", "2.94"),
    ("VDM, CIFAR-10", "continuous", "-", "2.65"),
)
DEFINITION = (
    "Parameters: all weights and biases of the float network, its noise embedding included."
)
TRAINING = "nelbo-cifar10-train"  # what nelbo-cifar10 is, of training images
MEASURED = {
    "cifar10": ("nelbo-cifar10", TRAINING, "bound-cifar10-own", "bound-cifar10"),
    "photo": ("nelbo-photo", "bound-photo", "bound-kodak-own"),
}


def networks(results: Path) -> str:
    """NELBO with its split and the denoising error of the shipped networks."""
    rows = []
    for name in ("cifar10", "photo", "photo-large"):
        result, table_ = load(results, f"nelbo-{name}"), load(results, f"denoising-{name}")
        bound = result["nelbo"]
        denoised = next(
            s for s in table_["sets"] if s["dataset"]["name"] == result["dataset"]["name"]
        )
        psnr = {row["sigma_grey"]: row["psnr_db"] for row in denoised["denoising"]}
        rows.append(
            [
                f"`{name}`",
                parameters(name),
                f"{result['dataset']['images']:,} of {result['dataset']['name']}",
                f"**{bound['bpd']:.3f}**{spread(bound)}",
                f"{bound['L_T_bpd']:.5f} + {bound['L_steps_bpd']:.3f} + {bound['L_0_bpd']:.3f}",
                " / ".join(f"{psnr[s]:.1f}" for s in (5, 15, 25, 50)),
            ]
        )
    head = ["network", "parameters", "images", "NELBO (bits/dim)", "L_T + sum L_(t-1) + L_0"]
    return f"{table([*head, 'dB at noise 5 / 15 / 25 / 50'], rows)}\n\n{DEFINITION}"


def parameters(name: str) -> str:
    """How many parameters a shipped network has, by the facts of its card."""
    (card,) = (model for model in list_models() if model["name"] == name)
    return f"{card['parameters'] / 1e6:.1f} M"


def denoising(results: Path) -> str:
    """Mean PSNR on Kodak beside the papers', and the codec that these errors imply."""
    measured = [load(results, f"denoising-{name}") for name in ("photo", "photo-large")]
    rows = [[name, *facts, *(f"{db:.2f}" for db in dbs)] for name, *facts, dbs in PUBLISHED]
    rows += map(_denoiser, measured)
    head = ["Kodak, 24 images", "parameters", "kMAC/pixel"]
    first = table([*head, *(f"noise {sigma} (dB)" for sigma in SIGMAS)], rows)
    decibels = measured[0]["sets"][0]["implied"]["psnr_db"]
    head = ["implied bpp", *(f"{db} dB" for db in decibels), "exact pixels (bits/dim)"]
    rows = [
        [f"`{result['model']['name']}`, {found['dataset']['name']} ({found['dataset']['images']})"]
        + ["-" if bpp is None else f"{bpp:.3f}" for bpp in found["implied"]["bpp"]]
        + [f"{found['lossless']['bpd']:.3f}"]
        for result in measured
        for found in result["sets"]
    ]
    return f"{first}\n\n{table(head, rows)}\n\n" + "\n\n".join(map(machine, measured))


def _denoiser(result: Result) -> list[str]:
    """A row of one of ours: mean PSNR on Kodak."""
    model, kodak = result["model"], result["sets"][0]
    psnr = {row["sigma_grey"]: row["psnr_db"] for row in kodak["denoising"]}
    own = [f"**`{model['name']}`**", parameters(model["name"]), f"{model['kmac_per_pixel']:.0f}"]
    return [*own, *(f"**{psnr[sigma]:.2f}**" for sigma in SIGMAS)]


def bounds(results: Path) -> str:
    """The bound at DDPM's levels, at the codec's own and at chosen ones, beside the papers'."""
    rows, commands = [list(row) for row in BOUNDS], []
    for name in (n for names in MEASURED.values() for n in names):
        result = load(results, name)
        bound, dataset = result["nelbo"], result["dataset"]
        commands.append(machine(result))
        terms = (bound["L_T_bpd"], bound["L_steps_bpd"], bound["L_0_bpd"])
        rows.append(
            [
                f"`{result['model']['name']}`, {dataset['images']:,} of {dataset['name']}"
                + (", training images" if name == TRAINING else ""),
                f"{bound['T']} {bound['schedule']}, {bound['sigma2']}",
                " + ".join(f"{term:.3f}" for term in terms),
                f"**{bound['bpd']:.3f}**{spread(bound)}",
            ]
        )
    head = ["network, images", "levels, sigma^2", "L_T + sum L_(t-1) + L_0", "bits/dim"]
    return f"{table(head, rows)}\n\n{gap(results)}\n\n" + "\n\n".join(commands)


def gap(results: Path) -> str:
    """How much more test images cost than training images, as DDPM's Table 1 tells."""
    test, train = (load(results, name)["nelbo"] for name in ("nelbo-cifar10", TRAINING))
    error = math.hypot(*(bound["standard_error_bpd"] for bound in (test, train)))
    return (
        f"`cifar10`'s gap between test and training images is {test['bpd'] - train['bpd']:.3f} "
        f"+- {error:.3f} bits/dim; DDPM's is 0.03 (3.75 and 3.72)."
    )
