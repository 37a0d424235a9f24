"""Pictures of the measurements: reads the results JSON, writes PNG or SVG by suffix.

python -m diffcodec.eval.plot rate-distortion rd.json -o rd.svg
python -m diffcodec.eval.plot steps schedule.json -o steps.svg
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PEER_NAMES = {"jpeg": "JPEG", "webp": "WebP", "jpeg2000": "JPEG 2000"}
PEER_COLOURS = {"jpeg": "#d18f00", "webp": "#2a9d6f", "jpeg2000": "#8a6fc4"}
OURS = "#c2273b"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Draw measurements."""


@main.command("rate-distortion")
@click.argument("results", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="PNG or SVG.")
def rate_distortion_command(results: Path, output: Path) -> None:
    """PSNR against bits per pixel: files, theory, other codecs."""
    rate_distortion(json.loads(results.read_text()), output)


def rate_distortion(result: dict[str, Any], output: Path) -> None:
    """Draw the R-D curve of a results file of eval.rate_distortion."""
    figure, axes = _figure()
    for name, curve in result["peers"].items():
        axes.plot(
            curve["bpp"],
            curve["psnr-rgb-pooled"],
            color=PEER_COLOURS.get(name, "0.5"),
            marker=".",
            linewidth=1.2,
            label=PEER_NAMES.get(name, name),
        )
    _draw_ours(axes, result)
    _label(axes, result)
    _save(figure, output)


def _figure() -> tuple[Figure, Axes]:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "diffcodec", "font.size": 10})
    return plt.subplots(figsize=(7.2, 4.8), layout="constrained")


def _save(figure: Figure, output: Path) -> None:
    import matplotlib.pyplot as plt

    figure.savefig(output, dpi=160, metadata={"Date": None} if output.suffix == ".svg" else None)
    plt.close(figure)


@main.command("steps")
@click.argument("results", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="PNG or SVG.")
def steps_command(results: Path, output: Path) -> None:
    """Bits/dim against the number of steps, from the JSON of diffcodec schedule."""
    steps(json.loads(results.read_text()), output)


def steps(result: dict[str, Any], output: Path) -> None:
    """Draw what `diffcodec schedule --json` printed."""
    figure, axes = _figure()
    rows = [row for row in result["steps"] if row["steps"] >= 10]
    K = [row["steps"] for row in rows]
    for key, label, colour, style in (
        ("even_bpd", "evenly spaced timesteps, T = 1000 linear", "0.25", "--"),
        ("total_bpd", "chosen noise levels", OURS, "-"),
        ("steps_bpd", "of these the steps, until the hand-over", OURS, ":"),
    ):
        axes.plot(K, [row[key] for row in rows], style, marker=".", color=colour, label=label)
    axes.set_xscale("log")
    axes.set_xticks(K, [str(k) for k in K], minor=False)
    axes.minorticks_off()
    axes.set_ylim(0, 2 * rows[0]["total_bpd"])
    axes.set_xlabel("steps")
    axes.set_ylabel("bits/dim, ideal coder, exact pixels included")
    axes.set_title(f"{result['model']['name']}: lossless rate against steps", fontsize=10)
    axes.grid(True, color="0.9", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)
    _save(figure, output)


def _draw_ours(axes: Axes, result: dict[str, Any]) -> None:
    theory, curve = result["theory"], result["results"]
    psnr = "psnr-rgb-pooled"
    label = "ideal, sum of mutual informations"
    axes.plot(theory["bpp_mi"], theory[psnr], color=OURS, linestyle=":", linewidth=1.4, label=label)
    label = "ideal, sum of KL terms"
    axes.plot(
        theory["bpp_kl"], theory[psnr], color="0.25", linestyle="--", linewidth=1, label=label
    )
    label = f"{result['name']}, one file cut"
    axes.plot(curve["bpp"], curve[psnr], color=OURS, marker="o", markersize=4, label=label)


def _label(axes: Axes, result: dict[str, Any]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    ours, end = result["results"], result["lossless"]
    axes.set_xscale("log")
    axes.set_xlim(0.85 * min(ours["bpp"]), 1.25 * end["bpp"])
    axes.axvline(end["bpp"], color=OURS, linewidth=0.8, alpha=0.6)
    axes.annotate(
        f"exact at {end['bpp']:.2f} bpp",
        (end["bpp"], 0.03),
        xycoords=("data", "axes fraction"),
        xytext=(-4, 0),
        textcoords="offset points",
        rotation=90,
        ha="right",
        va="bottom",
        color=OURS,
        fontsize=8,
    )
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    lowest = min(p for p in ours["psnr-rgb-pooled"])
    axes.set_ylim(bottom=lowest - 1.5)
    axes.set_xlabel("bits per pixel, whole files")
    axes.set_ylabel("PSNR of the pooled MSE, RGB [dB]")
    count = result["dataset"]["images"]
    pictures = "1 picture" if count == 1 else f"{count} pictures, each its own file"
    axes.set_title(f"{result['dataset']['name']}, {pictures}", fontsize=10)
    axes.grid(True, color="0.9", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles[::-1], labels[::-1], loc="upper left", frameon=False, fontsize=9)


if __name__ == "__main__":
    main()
