"""What choices are worth: objectives, numbers of steps, variances; and DDPM's Table 4."""

from __future__ import annotations

from pathlib import Path

from diffcodec.eval.common.results import Result
from diffcodec.eval.figures.ddpm import cells
from diffcodec.eval.publish.tables.markdown import load, machine, table

NOISE = ("1", "4", "15", "50")  # grey levels


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
    about = f"{result['dataset']['name']}, {result['dataset']['images']} images{together}"
    return f"{about}:\n\n{table(head, rows)}\n\n{machine(result)}"


def ablation(results: Path) -> str:
    """DDPM's Table 2 in bits: every setting at the same small budget."""
    result = load(results, "ablation")
    rates = result["rates_bpp"]
    rows = [_setting(row, rates) for row in result["settings"]]
    head = ["prediction, objective, variance, betas", "NELBO (bits/dim)"]
    head += [f"dB at {bpp:g} bpp" for bpp in rates]
    head.append(f"dB at noise {' / '.join(NOISE)}")
    about = (
        f"{result['settings'][0]['recipe']['train']['steps']} steps each, measured on "
        f"{result['dataset']['images']} test images:"
    )
    return f"{about}\n\n{table([*head, 'outcome'], rows)}\n\n{machine(result)}"


def _setting(row: Result, rates: list[float]) -> list[str]:
    found = {kind: bound["bpd"] for kind, bound in row["nelbo"].items() if bound["bpd"] is not None}
    best = min(found, key=lambda kind: float(found[kind]), default=None)
    bound = "-" if best is None else f"{found[best]:.2f} ({best})"
    psnr = [f"{row['psnr_db'][f'{bpp:g}']:.1f}" if row["psnr_db"] else "-" for bpp in rates]
    by_noise = row.get("denoising_db", {})
    noise = " / ".join(f"{by_noise[grey]:.1f}" for grey in NOISE) if by_noise else "-"
    return [row["name"], bound, *psnr, noise, row["outcome"]]


def ddpm(results: Path) -> str:
    """DDPM's Table 4: theory, real files, and the paper's network."""
    result = load(results, "ddpm-table")
    rows = [cells(row) for row in result["ddpm_table"]]
    head = ["T - t + 1", f"theory, {result['theory_images']:,} images (bits/dim)", "RMSE"]
    head += [f"files, {result['dataset']['images']} images", "RMSE", "DDPM's theory", "RMSE"]
    return f"{table(head, rows)}\n\n{machine(result)}"


def chosen_steps(results: Path) -> str:
    """Bits/dim of an ideal coder against the number of steps, chosen and evenly spaced."""
    named = {name: load(results, f"schedule-{name}") for name in ("cifar10", "photo")}
    lengths = [row["steps"] for row in named["cifar10"]["steps"]]
    rows = []
    for i, k in enumerate(lengths):
        row = [f"{k}"]
        for result in named.values():
            found = result["steps"][i]
            assert found["steps"] == k
            row += [f"**{found['total_bpd']:.3f}**", f"{found['handover_grey']:.2f}"]
            row += [f"{found['even_bpd']:.3f}"]
        rows.append(row)
    head = ["steps"]
    for name in named:
        head += [f"`{name}`, bits/dim", "residual from (grey levels)", "evenly spaced t"]
    return f"{table(head, rows)}\n\n" + "\n\n".join(map(machine, named.values()))


def adaptive(results: Path) -> str:
    """What the parts of the adaptive coder buy, by switch."""
    result = load(results, "adaptive-kodak")
    switches = [key for key in result["rows"][0] if key != "part"]
    rows = []
    for one in result["rows"]:
        bits = [one[switch] for switch in switches]
        rows.append([one["part"], *("-" if b is None else f"{b:.3f}" for b in bits)])
    head = ["switch at (grey levels)", *switches[:-1], "no state"]
    return f"{table(head, rows)}\n\n{machine(result)}"


def local_variance(results: Path) -> str:
    """What a variance of x0_hat for every pixel would save."""
    result = load(results, "local-variance")
    steps = [
        [f"the steps of a chain of {r['steps']}", f"{r['saved']:.2%}"] for r in result["steps"]
    ]
    pixels = [
        [
            f"the exact pixels from {row['handover_grey']:g} grey levels",
            f"{1 - row['classes_bpd'] / row['one_bpd']:.2%}",
        ]
        for row in result["pixels"]
    ]
    return f"{table(['bits of', 'saved at most'], steps + pixels)}\n\n{machine(result)}"
