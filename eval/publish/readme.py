"""The tables of README and RESULTS.md, from the committed results so that they cannot disagree.

Replaced is what stands between `<!-- name -->` and `<!-- end -->` lines; tests compare instead.
`python -m diffcodec.eval.publish tables` writes them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from diffcodec.eval.publish.tables import (
    choices,
    cifar10,
    coders,
    denoisers,
    exactness,
    inputs,
    networks,
    photographs,
    rates,
    robustness,
    samples,
)

RESULTS = Path(__file__).resolve().parents[1] / "results"
MARK = re.compile(r"<!-- ([a-z0-9-]+) -->\n.*?<!-- end -->", re.DOTALL)
RATES_BPP = (0.05, 0.1, 0.25, 0.5, 1, 2, 3, 4)  # of photographs

TABLES: dict[str, Callable[[Path], str]] = {
    "cifar10-rates": lambda r: rates.rates(r, "rd-cifar10", (0.5, 0.75, 1, 1.5, 2, 3)),
    "gb82-rates": lambda r: rates.rates(r, "rd-gb82", (0.25, 0.5)),
    "kodak-rates": lambda r: rates.rates(r, "rd-kodak", RATES_BPP),
    "kodak-distance": rates.distance,
    "kodak-learned": rates.learned,
    "cifar10-lossless": cifar10.lossless,
    "cifar10-published": cifar10.published,
    "images": photographs.images,
    "lossless-kodak": lambda r: photographs.settings(r, "kodak"),
    "lossless-gb82": lambda r: photographs.settings(r, "gb82"),
    "lossless-cifar10": lambda r: photographs.settings(r, "cifar10"),
    "switches": photographs.switches,
    "kodak-cuts": lambda r: rates.cuts(r, (0.25, 0.5, 1, 1.5, 2, 3, 4)),
    "kodak-lossless": photographs.lossless,
    "efforts": photographs.efforts,
    "odd-pictures": photographs.odd,
    "odd-inputs": inputs.kinds,
    "many-machines": inputs.machines,
    "large": photographs.large,
    "networks": networks.networks,
    "denoising": networks.denoising,
    "bounds": networks.bounds,
    "adaptive-choices": choices.adaptive,
    "ddpm-table": choices.ddpm,
    "ablation": choices.ablation,
    "chosen-steps": choices.chosen_steps,
    "cifar10-steps": lambda r: choices.steps(r, "cifar10"),
    "local-variance": choices.local_variance,
    "archives": coders.archives,
    "coder": coders.coder,
    "step-codes": coders.step_codes,
    "stack": coders.stack,
    "every-denoiser": denoisers.rows,
    "bit-rot": inputs.bit_rot,
    "fuzzing": robustness.fuzzing,
    "faults": robustness.faults,
    "prefixes": robustness.prefixes,
    "side-by-side": robustness.side_by_side,
    "portability": robustness.portability,
    "sample-steps": samples.by_steps,
    "sample-time": samples.by_time,
    "guidance": samples.guidance,
    "sample-floor": samples.floor,
    "classifiers": samples.classifiers,
    "inversion": samples.inversion,
    "exact-settings": exactness.settings,
    "exact-cost": exactness.cost,
    "exact-speed": exactness.speed,
}


def render(text: str, results: Path = RESULTS) -> str:
    """A document with every table made anew from the JSON files of `results`."""

    def replace(match: re.Match[str]) -> str:
        name = match.group(1)
        return f"<!-- {name} -->\n{TABLES[name](results)}\n<!-- end -->"

    return MARK.sub(replace, text)


def documents(root: Path) -> list[Path]:
    """The documents of the repository at `root` that have tables."""
    paths = sorted([*root.glob("*.md"), *root.glob("eval/*.md")])
    return [path for path in paths if MARK.search(path.read_text(encoding="utf-8"))]
