"""DDPM's Table 4 and Figure 5 with a network of ours: rate and distortion while x_0 is received.

Theory is a result of `diffcodec nll` over T = 1000 steps: the rate L_T + ... + L_t and the RMSE of
x0_hat(x_t). Beside it stand files of the same kind of chain (ddpm:100, a tenth of the steps), cut
after the last state they visit that has at least x_t's noise, and decoded to 8-bit pixels; their
rate counts headers and checksums, so the first rows want many images in a file (--joint). The
paper's numbers are those of its own network on CIFAR-10.

    diffcodec nll --data cifar10/ --split test --tile 32 --count 256 -m cifar10 --json > nll.json
    python -m diffcodec.eval.experiments.ddpm_table nll.json cifar10/ --split test --tile 32 \\
        --images 64 --joint 64 -m cifar10 --json table4.json --plot figure5.svg
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from diffcodec.bitstream.container import parse_header
from diffcodec.codec import Codec, parse
from diffcodec.errors import DataError
from diffcodec.eval.common import metrics
from diffcodec.eval.common.environment import environment, portable
from diffcodec.eval.common.images import NamedImage, about, load_named
from diffcodec.eval.rd.curves import ResultError, is_bound, read
from diffcodec.eval.rd.joint import as_one, stacks
from diffcodec.files import write_atomic
from diffcodec.theory.chain import chain_of
from diffcodec.theory.schedule import Schedule

Result = dict[str, Any]

T = 1000
ENOUGH = 256  # images that a RMSE of theory is of, if there are as many
STEPS = range(T, 0, -100)  # T - t + 1, as the paper's table counts
# Ho, Jain and Abbeel 2020, Table 4: T - t + 1, rate in bits/dim, RMSE on 0..255.
PAPER = {
    1000: (1.77581, 0.95136),
    900: (0.11994, 12.02277),
    800: (0.05415, 18.47482),
    700: (0.02866, 24.43656),
    600: (0.01507, 30.80948),
    500: (0.00716, 38.03236),
    400: (0.00282, 46.12765),
    300: (0.00081, 54.18826),
    200: (0.00013, 60.97170),
    100: (0.00000, 67.60125),
}


def theory(bound: Result) -> dict[int, dict[str, float]]:
    """Rate and RMSE by T - t + 1; ResultError unless they are of all T = 1000 linear steps."""
    if not is_bound(bound) or (bound["nelbo"]["T"], bound["nelbo"]["schedule"]) != (T, "linear"):
        raise ResultError("the theory is a result of diffcodec nll with --steps ddpm:1000")
    rows = sorted(bound["per_step"], key=lambda row: int(row["t"]))
    enough = min(ENOUGH, max(row["images"] for row in rows))
    return {
        T - i: {"rate_bpd": rows[i]["rate_bpd"], "rmse_grey": rmse(rows, i, enough)}
        for i in reversed(range(T))
    }


def rmse(rows: Sequence[Result], i: int, enough: int) -> float:
    """RMSE of x0_hat at rows[i], or over as many steps around it as have met enough images.

    With a stride each t has met a few images only; RMSE is all but linear in t.
    """
    for width in range(1 + min(i, len(rows) - 1 - i)):
        near = rows[i - width : i + width + 1]
        if sum(row["images"] for row in near) >= enough:
            break
    return math.sqrt(sum(row["rmse_grey"] ** 2 for row in near) / len(near))


def cuts(codec: Codec, image: NamedImage, chain: str) -> dict[int, dict[str, float]]:
    """A file of an image or stack, cut where it has come as far as each row: bytes, MSE."""
    pixels = image.pixels
    if image.parts > 1:
        codec = as_one(codec, len(pixels) // image.parts)
    data = codec.encode(pixels, chain=chain)
    header, start = parse_header(data)
    levels = chain_of(header, codec.tables)
    payload, _ = parse(data, levels, None)
    visited = [(levels.noise(step.end), start + step.bytes_end) for step in payload.steps]
    noise = Schedule.named("linear", T).v
    ends = {}
    for k in STEPS:
        reached = [end for v, end in visited if v >= noise[T - k] * (1 - 1e-9)]
        ends[k] = max(reached, default=start)
    sizes = sorted(set(ends.values()))
    decoded = dict(zip(sizes, codec.decode_cuts(data, sizes), strict=True))
    return {
        k: {"bytes": end, "mse": metrics.mse(decoded[end].pixels, pixels)}
        for k, end in ends.items()
    }


def table(
    codec: Codec, bound: Result, images: Sequence[NamedImage], chain: str, report: Any = None
) -> list[Result]:
    """The rows, T - t + 1 falling as in the paper."""
    if bound["model"]["fingerprint"] != codec.fingerprint.hex():
        raise ResultError(f"the theory is of another network than {codec.name}")
    ideal, found = theory(bound), []
    for i, image in enumerate(images):
        found.append(cuts(codec, image, chain))
        if report is not None:
            report(i + 1, len(images))
    shapes = [image.pixels.shape for image in images]
    samples = [image.pixels.size for image in images]
    rows = []
    for k in STEPS:
        rates = [metrics.bpd(one[k]["bytes"], s) for one, s in zip(found, shapes, strict=True)]
        rate, error = metrics.mean_and_error(rates)
        mses = [one[k]["mse"] for one in found]
        rows.append(
            {
                "reverse_steps": k,
                "theory": ideal[k],
                "files": {
                    "rate_bpd": rate,
                    "standard_error_bpd": error,
                    "rmse_grey": metrics.pooled_rmse(mses, samples),
                },
                "paper": dict(zip(("rate_bpd", "rmse_grey"), PAPER[k], strict=True)),
            }
        )
    return rows


def cells(row: Result) -> list[str]:
    """A row as documents show it: T - t + 1; rate and RMSE in theory, of files, of the paper."""
    pairs = (row[kind] for kind in ("theory", "files", "paper"))
    numbers = [[f"{one['rate_bpd']:.5f}", f"{one['rmse_grey']:.3f}"] for one in pairs]
    return [f"{row['reverse_steps']}", *(cell for pair in numbers for cell in pair)]


def to_text(result: Result) -> str:
    """The table for people."""
    lines = [
        "         theory                files                 paper",
        "T-t+1    bits/dim     RMSE     bits/dim     RMSE     bits/dim     RMSE",
    ]
    for row in result["ddpm_table"]:
        cells = [row[kind] for kind in ("theory", "files", "paper")]
        numbers = "   ".join(f"{c['rate_bpd']:10.5f} {c['rmse_grey']:8.3f}" for c in cells)
        lines.append(f"{row['reverse_steps']:5}  {numbers}")
    return "\n".join(lines)


def draw(result: Result, bound: Result | None, format: str) -> bytes:
    """Figure 5: RMSE and rate by T - t + 1, and RMSE by rate; png, svg or pdf, a whole file.

    bound: the theory at every t instead of at the table's rows.
    """
    import matplotlib.pyplot as plt

    from diffcodec.eval.figures.figure import COLOURS, OURS, finish, prepare, tidy

    prepare(font_size=9)
    rows = result["ddpm_table"]
    columns = {
        kind: [(r["reverse_steps"], r[kind]["rate_bpd"], r[kind]["rmse_grey"]) for r in rows]
        for kind in ("theory", "files", "paper")
    }
    if bound is not None:
        columns["theory"] = [
            (k, row["rate_bpd"], row["rmse_grey"]) for k, row in theory(bound).items()
        ]
    points: dict[str, Any] = {"linestyle": "", "markersize": 3.5}
    looks: dict[str, dict[str, Any]] = {
        "theory": {"color": OURS, "linestyle": ":", "label": "theory, this network"},
        "files": {"color": OURS, "marker": "o", **points, "label": "files, this network"},
        "paper": {
            "color": COLOURS["jpegxl"],
            "marker": "s",
            **points,
            "label": "DDPM's Table 4 (theory)",
        },
    }
    figure, panels = plt.subplots(1, 3, figsize=(10.2, 3.4), layout="constrained")
    for kind, column in columns.items():
        steps, rate, error = zip(*column, strict=True)
        panels[0].plot(steps, error, linewidth=1.2, **looks[kind])
        panels[1].plot(steps, rate, linewidth=1.2, **looks[kind])
        panels[2].plot(rate, error, linewidth=1.2, **looks[kind])
    tidy(panels[0], "reverse steps, T - t + 1", "RMSE, grey levels of 0..255", "distortion")
    tidy(panels[1], "reverse steps, T - t + 1", "bits/dim sent", "rate")
    tidy(panels[2], "bits/dim", "RMSE, grey levels of 0..255", "distortion by rate")
    panels[2].legend(frameon=False, fontsize=8)
    for axes in panels:
        axes.set_ylim(bottom=0)
    return finish(figure, format)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("bound", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("data", type=click.Path(exists=True, path_type=Path))
@click.option("-m", "--model", default="cifar10", show_default=True, help="Network: name or file.")
@click.option("--chain", default="ddpm:100", show_default=True, help="Noise levels of the files.")
@click.option("--images", "count", type=click.IntRange(1), help="Only the first N images.")
@click.option("--joint", type=click.IntRange(2), help="Code N images of one size as one file.")
@click.option("--split", default="all", help="Only files or folders whose names begin so.")
@click.option("--tile", type=click.IntRange(0), default=0, help="Cut into tiles of this side.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the table.")
@click.option("--plot", type=click.Path(path_type=Path), help="Draw Figure 5 (.png, .svg, .pdf).")
def main(
    bound: Path,
    data: Path,
    model: str,
    chain: str,
    count: int | None,
    joint: int | None,
    split: str,
    tile: int,
    json_path: Path | None,
    plot: Path | None,
) -> None:
    """DDPM's Table 4: BOUND, a result of diffcodec nll, beside files of the images in DATA."""
    try:
        limits, codec = read(bound), Codec.from_pretrained(model)
        theory(limits)
        images = load_named(data, split, tile, count)
        coded = stacks(images, joint) if joint else images
        rows = table(codec, limits, coded, chain, _tell)
    except (DataError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    result = {
        "name": f"diffcodec {codec.name}, {chain}",
        "ddpm_table": rows,
        "theory_images": limits["nelbo"]["images"],
        "joint": joint,
        "dataset": about(data, split, tile, images),
        "model": {"name": codec.name, "fingerprint": codec.fingerprint.hex(), "chain": chain},
        "environment": environment(codec.workers, 1),
        "command": f"python -m diffcodec.eval.experiments.ddpm_table {portable(sys.argv[1:])}",
    }
    if json_path is not None:
        write_atomic(json_path, (json.dumps(result, indent=1, allow_nan=False) + "\n").encode())
    if plot is not None:
        write_atomic(plot, draw(result, limits, plot.suffix[1:] or "png"))
    click.echo(to_text(result))


def _tell(done: int, total: int) -> None:
    click.echo(f"\r{done} of {total} files", nl=done == total, err=True)


if __name__ == "__main__":
    main()
