"""The tables of README and RESULTS.md, from the committed results so that they cannot disagree.

    python -m diffcodec.eval.readme README.md eval/RESULTS.md

Replaces what stands between `<!-- name -->` and `<!-- end -->` lines; tests compare instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np

from diffcodec.eval import choice_tables, exact_tables, network_tables, peer_tables, picture_tables
from diffcodec.eval.markdown import Result, load, machine, table
from diffcodec.eval.mean_curve import quality_at

RESULTS = Path(__file__).resolve().parent / "results"
PEERS = {
    "jpeg": "JPEG",
    "jpeg2000": "JPEG 2000",
    "webp": "WebP",
    "avif": "AVIF",
    "jpegxl": "JPEG XL",
    "jpegxl-cut": "JPEG XL, one file cut",
}


def render(text: str, results: Path = RESULTS) -> str:
    """A document with every table made anew from the JSON files of `results`."""

    def replace(match: re.Match[str]) -> str:
        name = match.group(1)
        return f"<!-- {name} -->\n{TABLES[name](results)}\n<!-- end -->"

    return re.sub(r"<!-- ([a-z0-9-]+) -->\n.*?<!-- end -->", replace, text, flags=re.DOTALL)


def spread(bound: Result) -> str:
    """The standard error, where there is one (each t must have met two pictures)."""
    error = bound["standard_error_bpd"]
    return "" if error is None else f" +- {error:.3f}"


def at(curve: Result, bpp: float) -> str:
    """Pooled PSNR of a curve at a rate, interpolated; a dash outside of it."""
    db = quality_at(curve["bpp"], curve["psnr-rgb-pooled"], bpp)
    return "-" if db is None else f"{db:.1f}"


def rates(results: Path, name: str, wanted: tuple[float, ...]) -> str:
    """PSNR at given rates: real files, theory, and the other codecs."""
    result = load(results, name)
    theory = {
        "bpp": result["theory"]["bpp_mi"],
        "psnr-rgb-pooled": result["theory"]["psnr-rgb-pooled"],
    }
    over, peers = result["overhead_percent"], [p for p in PEERS if p in result["peers"]]
    rows = []
    for bpp in wanted:
        percent = np.interp(bpp, over["bpp"], over["over_mi"])
        inside = over["bpp"][0] <= bpp <= over["bpp"][-1]
        row = [f"{bpp:g}", f"**{at(result['results'], bpp)}**", at(theory, bpp)]
        row += [f"{percent:.0f} %" if inside else "-"]
        rows.append(row + [at(result["peers"][peer], bpp) for peer in peers])
    head = ["bpp", "diffcodec, files (dB)", "its theory", "overhead", *(PEERS[p] for p in peers)]
    return f"{table(head, rows)}\n\n{machine(result)}"


def lossless_cifar10(results: Path) -> str:
    """Bits/dim of exact CIFAR-10 pictures, every picture its own file."""
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
    return table(["lossless, 32x32 pictures", "bits/dim"], rows)


def networks(results: Path) -> str:
    """NELBO with its split and the denoising error of the shipped networks."""
    rows = []
    for name in ("cifar10", "photo"):
        result, table_ = load(results, f"nelbo-{name}"), load(results, f"denoising-{name}")
        bound = result["nelbo"]
        denoised = next(
            s for s in table_["sets"] if s["dataset"]["name"] == result["dataset"]["name"]
        )
        psnr = {row["sigma_grey"]: row["psnr_db"] for row in denoised["denoising"]}
        rows.append(
            [
                f"`{name}`",
                f"{result['model']['parameters'] / 1e6:.1f} M",
                f"{result['dataset']['images']} of {result['dataset']['name']}",
                f"**{bound['bpd']:.3f}**{spread(bound)}",
                f"{bound['L_T_bpd']:.5f} + {bound['L_steps_bpd']:.3f} + {bound['L_0_bpd']:.3f}",
                " / ".join(f"{psnr[s]:.1f}" for s in (5, 15, 25, 50)),
            ]
        )
    head = ["network", "parameters", "pictures", "NELBO (bits/dim)", "L_T + sum L_(t-1) + L_0"]
    return table([*head, "dB at noise 5 / 15 / 25 / 50"], rows)


def coder(results: Path) -> str:
    """The relative entropy coder: overhead and time by trellis and block length."""
    result = load(results, "coder")
    cells = {(c["nu"], c["bits"]): c for c in result["cells"] if c["dims_per_bit"] == 64}
    lengths = (64, 128, 256, 1024, 4096)
    rows = []
    for nu in sorted({nu for nu, _ in cells}):
        row = [f"{nu}"] + [f"{cells[nu, n]['overhead_mi_percent']:.1f} %" for n in lengths]
        long = cells[nu, 1024]
        row += [f"{long['encode_us_per_bit']:.1f}", f"{long['decode_us_per_bit']:.2f}"]
        rows.append(row)
    head = ["nu", *(f"{n} bits" for n in lengths), "encode, us/bit", "decode, us/bit"]
    return f"{table(head, rows)}\n\n{machine(result)}"


def archives(results: Path) -> str:
    """Bits-back coding: the bound, net bits and whole archives."""
    rows, commands = [], []
    for name in ("archive-cifar10", "archive-kodak"):
        result = load(results, name)
        commands.append(machine(result))
        for run in result["results"]:
            images, name = result["dataset"]["images"], result["dataset"]["name"]
            row = [name, f"{images}", f"{run['steps']}", f"{run['nelbo_bpd']:.4f}"]
            row += [f"{run['net_bpd']:.4f} ({run['net_overhead_percent']:+.2f} %)"]
            row += [f"**{run['file_bpd']:.4f}** ({run['file_overhead_percent']:+.2f} %)"]
            row.append(f"{run['initial']['bits'] / 8e3:.1f} kB")
            row += ["yes" if run["exact"] else "no", f"{run['outside_network_percent']:.1f} %"]
            for peer in ("png", "webp", "jpegxl"):
                row.append(f"{result['peers_lossless'][peer]['bpd']:.3f}")
            rows.append(row)
    head = ["set", "pictures", "steps", "bound of the chain", "net bits/dim", "whole archive"]
    head += ["of it initial bits", "exact", "time outside the network", "PNG", "WebP", "JPEG XL"]
    return f"{table(head, rows)}\n\n" + "\n\n".join(commands)


TABLES: dict[str, Callable[[Path], str]] = {
    "cifar10-rates": lambda r: rates(r, "rd-cifar10", (0.5, 0.75, 1, 1.5, 2, 3)),
    "cifar10-lossless": lossless_cifar10,
    "gb82-rates": lambda r: rates(r, "rd-gb82", (0.05, 0.1, 0.25, 0.5, 1, 2, 3, 4)),
    "kodak-rates": lambda r: rates(r, "rd-kodak", (0.05, 0.1, 0.25, 0.5, 1, 2, 3, 4)),
    "kodak-distance": peer_tables.kodak_distance,
    "pictures": picture_tables.pictures,
    "efforts": picture_tables.efforts,
    "odd-pictures": picture_tables.odd,
    "large": picture_tables.large,
    "kodak-lossless": picture_tables.lossless,
    "networks": networks,
    "denoising": network_tables.denoising,
    "bounds": network_tables.bounds,
    "cifar10-published": network_tables.cifar10,
    "cifar10-steps": lambda r: network_tables.steps(r, "cifar10"),
    "cifar10-joint-steps": lambda r: network_tables.steps(r, "cifar10-joint"),
    "kodak-steps": lambda r: network_tables.steps(r, "kodak"),
    "ddpm-table": choice_tables.ddpm,
    "ablation": choice_tables.ablation,
    "chosen-steps": choice_tables.chosen_steps,
    "local-variance": choice_tables.local_variance,
    "archives": archives,
    "coder": coder,
    "exact-settings": exact_tables.settings,
    "exact-cost": exact_tables.cost,
    "exact-speed": exact_tables.speed,
    "stack": exact_tables.stack,
}


@click.command()
@click.argument("documents", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
def main(documents: tuple[Path, ...]) -> None:
    """Write the tables of DOCUMENTS anew."""
    for path in documents:
        path.write_text(render(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
