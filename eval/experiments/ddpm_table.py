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

import math
from collections.abc import Sequence
from pathlib import Path

import click

from diffcodec.bitstream.types import Progress
from diffcodec.codec import Codec
from diffcodec.eval.common import metrics, options
from diffcodec.eval.common.images import NamedImage, about, load_named
from diffcodec.eval.common.progress import progress_bar
from diffcodec.eval.common.results import (
    Result,
    ResultError,
    provenance,
    read_result,
    write_result,
)
from diffcodec.eval.figures.ddpm import cells, draw
from diffcodec.eval.rd.curves import is_bound
from diffcodec.eval.rd.joint import as_one, stacks
from diffcodec.files import write_atomic
from diffcodec.theory.schedule import Schedule

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
        raise ResultError("the theory is a result of diffcodec nll with --chain ddpm:1000")
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
    file = codec.open(data)
    start, levels = file.start, file.chain
    visited = [(levels.noise(step.end), start + step.bytes_end) for step in file.payload.steps]
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
    codec: Codec,
    bound: Result,
    images: Sequence[NamedImage],
    chain: str,
    progress: Progress | None = None,
) -> list[Result]:
    """The rows, T - t + 1 falling as in the paper."""
    if bound["model"]["fingerprint"] != codec.fingerprint.hex():
        raise ResultError(f"the theory is of another network than {codec.name}")
    ideal, found = theory(bound), []
    for i, image in enumerate(images):
        found.append(cuts(codec, image, chain))
        if progress is not None:
            progress(i + 1, len(images))
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


def to_text(result: Result) -> str:
    """The table for people."""
    from tabulate import tabulate

    kinds = ("theory", "files", "paper")
    head = ["T-t+1", *(name for kind in kinds for name in (f"{kind}\nbits/dim", "\nRMSE"))]
    rows = [cells(row) for row in result["ddpm_table"]]
    return tabulate(rows, head, "plain", disable_numparse=True, stralign="right")


@options.measurement
@click.argument("bound", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@options.data_argument
@options.model_option("cifar10")
@click.option("--chain", default="ddpm:100", show_default=True, help="Noise levels of the files.")
@options.set_options
@options.joint_option
@options.json_option
@options.plot_option
def main(
    bound: Path,
    data: Path,
    model: str,
    chain: str,
    split: str,
    tile: int,
    count: int | None,
    joint: int | None,
    json_path: Path | None,
    plot: Path | None,
) -> None:
    """DDPM's Table 4: BOUND, a result of diffcodec nll, beside files of the images in DATA."""
    limits, codec = read_result(bound), Codec.from_pretrained(model)
    theory(limits)
    images = load_named(data, split, tile, count)
    coded = stacks(images, joint) if joint else images
    with progress_bar("coding") as progress:
        rows = table(codec, limits, coded, chain, progress)
    result = {
        "name": f"diffcodec {codec.name}, {chain}",
        "ddpm_table": rows,
        "theory_images": limits["nelbo"]["images"],
        "joint": joint,
        "dataset": about(data, split, tile, [image.pixels for image in images]),
        "model": {"name": codec.name, "fingerprint": codec.fingerprint.hex(), "chain": chain},
        **provenance(__name__, threads=codec.workers, processes=1),
    }
    write_result(json_path, result)
    if plot is not None:
        write_atomic(plot, draw(result, plot.suffix[1:] or "png", theory(limits)))
    click.echo(to_text(result))


if __name__ == "__main__":
    main()
