"""From an exported network to a shipped one: the integers with their facts, and the model card.

    python -m diffcodec.eval.publish.ship NETWORK --recipe RECIPE.toml --nelbo NLL.json \
        --denoising TABLE.json --rd RD.json --log stats.jsonl --description ... --history ... \
        --data ... --licence ... --hardware ... --commands ...

The card's numbers are copied from the measurements' JSON (`diffcodec nll --json`,
`diffcodec.eval.experiments.denoising_table`, `diffcodec eval`) and from the training's log, never
typed. "Ship it" in TRAINING.md has all steps.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from diffcodec.eval.common import options
from diffcodec.eval.common.results import ResultError
from diffcodec.eval.publish.tables.markdown import read
from diffcodec.eval.rd.mean_curve import quality_at
from diffcodec.exact.denoiser import graph_name
from diffcodec.exact.shapes import macs_per_pixel
from diffcodec.exact.stored import AnyGraph
from diffcodec.files import write_atomic
from diffcodec.network.config import Recipe
from diffcodec.zoo import ZOO, load_graph

LIMIT = 16 * 10**6  # bytes of a shipped network

CARD = """# {name}

{description} {history}

| | |
|---|---|
| network | `{kind}`, {parameters:,} parameters (all weights and biases, the noise embedding \
included), as an integer network of {bytes:,} bytes |
| cost | {kmac:.0f} thousand multiply-adds a pixel and step, {mmac:.0f} million for 32x32 |
| fingerprint | `{fingerprint}` |
| training data | {data} |
| licence | {licence} |
| training | {steps:,} steps of {batch} crops of {crop} x {crop}, {hours:.2f} hours on {hardware}, \
objective `{objective}`, noise {sigma_min:g} to {sigma_max:g} grey levels |
| recipe | `{name}.toml` beside this card; it is also in the file's metadata |

## Likelihood

NELBO at T = {T} ({schedule} betas, sigma^2 = {sigma2}) on {images:,} images{shape} \
({dataset}): **{bpd:.3f}{error} bits/dim** = \
L_T {L_T_bpd:.5f} + sum L_(t-1) {L_steps_bpd:.4f} + L_0 {L_0_bpd:.4f}.

    {command}
{bounds}
## Denoising: D(sigma)

Everything the codec does follows from this table: rate = 1/2 integral of D dSNR. Noise and RMSE in
grey levels (0..255), mean PSNR in 8 bits; the rate is what an ideal coder of infinitely many steps
would spend to get there. {denoised:,} images of {denoised_set}.

    {denoising_command}

| noise | RMSE | PSNR (dB) | implied bits/dim |
|---|---|---|---|
{rows}

## Rate and distortion

Real files of {coded} images of {coded_set}, cut; pooled PSNR in 8 bits. Exact at {lossless:.3f} \
bits/dim.

    {rd_command}

| bpp | {rates} |
|---|{rule}|
| dB | {psnr} |

## Training curve

| phase | step | loss | learning rate | images/s |
|---|---|---|---|---|
{curve}

## Train it again

{commands}
"""
RATES_BPP = (0.1, 0.25, 0.5, 1, 1.5, 2, 3, 4)
ROWS = 8  # of each phase of the training that the card shows


SPLIT = ("bpd", "standard_error_bpd", "L_T_bpd", "L_steps_bpd", "L_0_bpd", "T", "images")


def check(graph: AnyGraph, *measured: dict[str, Any]) -> None:
    """Raises ResultError for what was measured with another network."""
    for result in measured:
        if result["model"]["fingerprint"] != graph.fingerprint.hex():
            raise ResultError(
                f"this is network {graph.fingerprint.hex()}, and a result is of "
                f"{result['model']['fingerprint']}; measure it again"
            )


def facts(graph: AnyGraph, nelbo: dict[str, Any], notes: dict[str, str]) -> dict[str, Any]:
    """The card's facts: training, NELBO with its split, and what the notes say; plain JSON."""
    split = {key: nelbo["nelbo"][key] for key in SPLIT}
    measured = {"nelbo": {**split, "dataset": nelbo["dataset"]["name"]}}
    return {**graph.facts["card"], **notes, "parameters": graph.parameters, **measured}


def curve(logs: Sequence[Path]) -> str:
    """Rows of the training's logs (stats.jsonl), phase by phase."""
    rows = []
    for phase, log in enumerate(logs, start=1):
        lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
        for i in sorted({round(k * (len(lines) - 1) / (ROWS - 1)) for k in range(ROWS)}):
            row = lines[i]
            rows.append(
                f"| {phase} | {row['step']:,} | {row['loss']:.4f} | {row['lr']:.2e} "
                f"| {row['images_per_second']:,.0f} |"
            )
    return "\n".join(rows)


def other_bounds(measured: Sequence[dict[str, Any]]) -> str:
    """The bound at other noise levels (results of `diffcodec nll`), a paragraph each."""
    text = ""
    for result in measured:
        bound, n = result["nelbo"], result["dataset"]["images"]
        text += (
            f"\nAt {bound['T']} levels ({bound['schedule']}, sigma^2 {bound['sigma2']}), {n:,} "
            f"images of {result['dataset']['name']}: **{bound['bpd']:.3f} bits/dim** = "
            f"L_T {bound['L_T_bpd']:.5f} + sum L_(t-1) {bound['L_steps_bpd']:.4f} + "
            f"L_0 {bound['L_0_bpd']:.4f}.\n\n    {result['command']}\n"
        )
    return text


def card(
    graph: AnyGraph,
    nelbo: dict[str, Any],
    denoising: dict[str, Any],
    rd: dict[str, Any],
    bounds: Sequence[dict[str, Any]],
    logs: Sequence[Path],
    notes: dict[str, str],
    size: int,
) -> str:
    """The model card as Markdown."""
    table = denoising["sets"][0]
    rows = [
        f"| {row['sigma_grey']:g} | {row['rmse_grey']:.2f} | {row['psnr_db']:.2f} "
        f"| {row['rate_bpd']:.3f} |"
        for row in table["denoising"]
    ]
    shape = nelbo["dataset"]["shape"]  # None where sizes differ
    spread = nelbo["nelbo"]["standard_error_bpd"]  # None: each t met fewer than two images
    values = {
        "error": "" if spread is None else f" +- {spread:.3f}",
        "kind": Recipe.from_dict(graph.facts["recipe"]).network.kind,
        **graph.facts["recipe"]["train"],
        **graph.facts["card"],  # the steps that were made, not those that were planned
        **nelbo["nelbo"],
        **notes,
        "images": nelbo["dataset"]["images"],
        "name": graph_name(graph),
        "bytes": size,
        "fingerprint": graph.fingerprint.hex(),
        "shape": f" of {shape[1]} x {shape[0]}" if shape else "",
        "dataset": nelbo["dataset"]["name"],
        "command": nelbo["command"],
        "rows": "\n".join(rows),
        "denoised": table["dataset"]["images"],
        "denoised_set": table["dataset"]["name"],
        "denoising_command": denoising["command"],
        "kmac": macs_per_pixel(graph) / 1e3,
        "mmac": macs_per_pixel(graph) * 1024 / 1e6,
        "bounds": other_bounds(bounds),
        "curve": curve(logs),
        "commands": "\n".join(f"    {line}" for line in notes["commands"].splitlines()),
        **rate_distortion(rd),
    }
    return CARD.format(**values)


def rate_distortion(rd: dict[str, Any]) -> dict[str, Any]:
    """The card's values about real files (a result of `diffcodec eval`)."""
    curve = rd["results"]
    psnr = [quality_at(curve["bpp"], curve["psnr-rgb-pooled"], bpp) for bpp in RATES_BPP]
    return {
        "coded": rd["dataset"]["images"],
        "coded_set": rd["dataset"]["name"],
        "lossless": rd["lossless"]["bpd"],
        "rd_command": rd["command"],
        "rates": " | ".join(f"{bpp:g}" for bpp in RATES_BPP),
        "rule": "|".join("---" for _ in RATES_BPP),
        "psnr": " | ".join("-" if db is None else f"{db:.1f}" for db in psnr),
    }


@options.measurement
@click.argument("network", type=click.Path(exists=True, path_type=Path))
@click.option("--recipe", required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--nelbo", required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--denoising", required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--rd", required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--description", required=True, help="One sentence: what the network is for.")
@click.option("--history", required=True, help="How it was trained, and what was tried.")
@click.option("--data", required=True, help="What it was trained on, with credits.")
@click.option("--commands", required=True, help="That train it again, a line each.")
@click.option("--log", "logs", multiple=True, required=True, type=click.Path(path_type=Path))
@click.option("--bound", "bounds", multiple=True, type=click.Path(path_type=Path))
@click.option("--licence", required=True, help="Of weights and data.")
@click.option("--hardware", required=True, help="What it was trained on: machine.")
def main(
    network: Path,
    recipe: Path,
    nelbo: Path,
    denoising: Path,
    rd: Path,
    logs: tuple[Path, ...],
    bounds: tuple[Path, ...],
    **notes: str,
) -> None:
    """Put NETWORK into diffcodec/zoo with its recipe and model card."""
    bound, table, files, *others = map(read, (nelbo, denoising, rd, *bounds))
    if (size := network.stat().st_size) > LIMIT:
        raise click.ClickException(f"{size} bytes; a shipped network has at most {LIMIT}")
    graph = load_graph(network)
    if Recipe.load(recipe) != Recipe.from_dict(graph.facts["recipe"]):
        raise click.ClickException(f"{network} was trained by another recipe than {recipe}")
    known = {k: v for k, v in notes.items() if k not in ("commands", "history")}
    check(graph, bound, table, files, *others)
    about = {**graph.facts, "card": facts(graph, bound, known)}
    shipped = dataclasses.replace(graph, facts=about)
    target = ZOO / f"{graph_name(graph)}.safetensors"
    shipped.save(target)
    size = target.stat().st_size
    text = card(shipped, bound, table, files, others, logs, notes, size)
    write_atomic(target.with_suffix(".md"), text.encode())
    write_atomic(target.with_suffix(".toml"), recipe.read_bytes())
    click.echo(f"{target}: {size:,} bytes, {shipped.fingerprint.hex()}")


if __name__ == "__main__":
    main()
