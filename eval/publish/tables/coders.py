"""The coders: relative entropy coding alone, stacks alone, whole archives."""

from __future__ import annotations

from pathlib import Path

from diffcodec.eval.publish.tables.markdown import load, machine, table


def coder(results: Path) -> str:
    """The relative entropy coders: overhead and time by code, rate and length of a step."""
    result = load(results, "coder")
    cells = {(c["code"], c["dims_per_bit"], c["bits"]): c for c in result["cells"]}
    lengths = sorted({n for _, _, n in cells})
    rows = []
    for per_bit in sorted({per_bit for _, per_bit, _ in cells}, reverse=True):
        for code in dict.fromkeys(code for code, rate, _ in cells if rate == per_bit):
            own = [cells.get((code, per_bit, n)) for n in lengths]
            row = [code, f"{per_bit}"]
            row += [f"{c['overhead_mi_percent']:.1f} %" if c else "" for c in own]
            timed = cells[code, per_bit, lengths[-1]]
            row += [f"{timed['encode_us_per_bit']:.2f}", f"{timed['decode_us_per_bit']:.2f}"]
            rows.append(row)
    best = [f"{result['theory_percent'][str(n)]:.1f} %" for n in lengths]
    rows.append(["best of random codewords, theory", "", *best, "", ""])
    head = ["code", "coordinates a bit", *(f"{n:,} bits" for n in lengths)]
    head += ["encode, us/bit", "decode, us/bit"]
    return f"{table(head, rows)}\n\n{machine(result)}"


def step_codes(results: Path) -> str:
    """The step codes in whole files: bytes, seconds, the noise they leave, and cuts."""
    found = [load(results, f"step-codes-{name}") for name in ("kodak", "cifar10")]
    rows = []
    for result in found:
        for one in result["rows"]:
            noise, kurtosis = one["noise_variance"], one["noise_kurtosis"]
            row = [f"{result['dataset']['name']}, {result['dataset']['images']}", one["code"]]
            row += [
                f"{one['bpd']:.4f}",
                f"{one['step_bytes']:,}",
                f"{one['overhead_percent']:.1f} %",
            ]
            row += [
                f"{one['encode_seconds'][kind]:.1f}" for kind in ("total", "network", "trellis")
            ]
            row.append(f"{noise['mean']:.3f} ({noise['least']:.3f} - {noise['most']:.3f})")
            row.append(f"{kurtosis['mean']:.3f} ({kurtosis['least']:.3f} - {kurtosis['most']:.3f})")
            for low in (0, 0.25, 1):
                lost = one.get(f"cut_loss_db_from_{low:g}_bpp")
                row.append(f"{lost['mean']:.2f} / {lost['most']:.2f}" if lost else "")
            rows.append(row)
    head = ["images", "code", "bits/dim", "bytes of steps", "over the ideal", "encode, s"]
    head += ["of it network", "steps", "noise variance", "kurtosis"]
    head += [f"cut from {low} bpp, dB, mean / most" for low in ("0", "0.25", "1")]
    return f"{table(head, rows)}\n\n" + "\n\n".join(map(machine, found))


def stack(results: Path) -> str:
    """The stack coder alone, beside constriction's."""
    result = load(results, "bitsback")
    rows = [
        [
            row["coder"],
            f"{row['sigma_bins']:g}",
            f"{row['push_ns']:.0f}",
            f"{row['pop_ns']:.0f}",
            f"{row['bits']:.4f}",
        ]
        for row in result["coders"]
    ]
    head = ["coder of Gaussian bins", "sigma in bins", "push, ns", "pop, ns", "bits a symbol"]
    return f"{table(head, rows)}\n\n{machine(result)}"


def archives(results: Path) -> str:
    """Bits-back coding: the bound, net bits and whole archives."""
    rows, commands = [], []
    for name in ("archive-cifar10", "archive-cifar10-gaussian", "archive-kodak"):
        result = load(results, name)
        commands.append(machine(result))
        for run in result["results"]:
            images, name = result["dataset"]["images"], result["dataset"]["name"]
            row = [name, f"{images}", run["residual"], f"{run['steps']}"]
            row.append(f"{run['nelbo_bpd']:.4f}")
            row += [f"{run['net_bpd']:.4f} ({run['net_overhead_percent']:+.2f} %)"]
            row += [f"**{run['file_bpd']:.4f}** ({run['file_overhead_percent']:+.2f} %)"]
            auto = run.get("auto_bytes")
            values = 8 * run["file_bytes"] / run["file_bpd"]
            row.append("" if auto is None else f"**{8 * auto / values:.4f}**")
            row.append(f"{run['initial']['bits'] / 8e3:.1f} kB")
            row += ["yes" if run["exact"] else "no", f"{run['outside_network_percent']:.1f} %"]
            for peer in ("png", "webp", "jpegxl"):
                others = result["peers_lossless"]
                row.append(f"{others[peer]['bpd']:.3f}" if others else "")
            rows.append(row)
    head = ["set", "images", "x_0 by", "steps", "bound of the chain", "net bits/dim"]
    head += ["whole archive", "with --network auto", "of it initial bits", "exact"]
    head += ["time outside the network", "PNG", "WebP", "JPEG XL"]
    return f"{table(head, rows)}\n\n" + "\n\n".join(commands)
