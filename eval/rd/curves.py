"""Results files as curves: ours, other codecs', and those of other people in CompressAI's form."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeGuard

from diffcodec.eval.common.results import Result, ResultError
from diffcodec.eval.common.similarity import SIMILARITIES
from diffcodec.eval.peers.peers import PEERS

Metric = str  # "psnr", "rmse" or a name of SIMILARITIES
Rate = Literal["bpp", "bpd"]
# What the columns are called: here, in CompressAI, in its older files.
COLUMNS = {
    "bpp": ("bpp",),
    "bpd": ("bpd",),
    "psnr-rgb-pooled": ("psnr-rgb-pooled",),
    "psnr-rgb": ("psnr-rgb", "psnr"),
    **{one.columns[0]: one.columns for one in SIMILARITIES.values()},
}


@dataclass(frozen=True, eq=False)
class Curve:
    """key: what --curves and --bd call it; label: what plots do; columns: lists of equal length.

    kind: "ours", "theory", "peer" (of our bench) or "other" (from elsewhere).
    """

    key: str
    label: str
    kind: str
    columns: Mapping[str, Sequence[float | None]]

    def points(self, rate: Rate, column: str) -> list[tuple[float, float]]:
        """(rate, value) where both are finite, by rising rate. A bpd is bpp / 3 unless given."""
        values = self.columns.get(column, ())
        rates = self.columns.get(rate) or [x and x / 3 for x in self.columns["bpp"]]
        pairs = zip(rates, values, strict=False)
        return sorted((x, y) for x, y in pairs if _real(x) and _real(y))


def is_bound(result: Result) -> bool:
    """Is it a result of `diffcodec nll`?"""
    return isinstance(result.get("per_step"), list) and isinstance(result.get("nelbo"), dict)


def is_rated(result: Result) -> bool:
    """Is it one of eval, bench or another's, with curves: neither a bound nor DDPM's table?"""
    return not is_bound(result) and "ddpm_table" not in result


def curves_of(results: Mapping[Path, Result]) -> list[Curve]:
    """All curves of the files, in their order; those of one name differ by the file's."""
    found: list[Curve] = []
    for path, result in results.items():
        own = list(_curves(path, result))
        if not own:
            raise ResultError(f"{path} holds no rate-distortion curve")
        taken = {curve.key for curve in found}
        for curve in own:
            if curve.key in taken:
                name = f" ({path.stem})"
                curve = replace(curve, key=curve.key + name, label=curve.label + name)
            found.append(curve)
    return found


def _curves(path: Path, result: Result) -> Iterable[Curve]:
    table = result.get("results", result)
    ours = "theory" in result and "model" in result
    if isinstance(table, dict) and isinstance(table.get("bpp"), list):
        name = str(result.get("name") or path.stem)
        label = f"{name}, one file cut" if ours else name
        yield Curve(name, label, "ours" if ours else "other", _columns(table))
        if ours:
            theory = {**result["theory"], "bpp": result["theory"]["bpp_mi"]}
            yield Curve(f"{name} theory", "its theory (sum of MI)", "theory", _columns(theory))
    labels = {key: facts["label"] for key, facts in result.get("codecs", {}).items()}
    for key, table in (result.get("peers") or {}).items():
        known = PEERS[key].label if key in PEERS else key
        yield Curve(key, labels.get(key, known), "peer", _columns(table))


def _columns(table: Mapping[str, Any]) -> dict[str, Sequence[float | None]]:
    found = {}
    for column, names in COLUMNS.items():
        for name in names:
            if isinstance(table.get(name), list):
                found[column] = table[name]
                break
    return found


def choose(curves: Sequence[Curve], keys: Sequence[str] | None) -> list[Curve]:
    """The curves of these keys, all if None; ResultError for one that is not there."""
    known = [curve.key for curve in curves]
    for key in keys or ():
        if key not in known:
            raise ResultError(f"there is no curve {key!r}; choose of {', '.join(known)}")
    return [curve for curve in curves if keys is None or curve.key in keys]


def column_of(curves: Sequence[Curve], metric: Metric) -> str:
    """The column that stands for a metric: the pooled PSNR where all (but theory) have it."""
    if metric in SIMILARITIES:
        return SIMILARITIES[metric].columns[0]
    real = [curve for curve in curves if curve.kind != "theory"]
    pooled = real and all(curve.columns.get("psnr-rgb-pooled") is not None for curve in real)
    return "psnr-rgb-pooled" if pooled else "psnr-rgb"


def values(curve: Curve, rate: Rate, metric: Metric, column: str) -> list[tuple[float, float]]:
    """(rate, value) as it is drawn: dB, RMSE in grey levels, SIMILARITIES as they say."""
    pairs = curve.points(rate, column)
    if metric in SIMILARITIES:
        drawn = ((x, SIMILARITIES[metric].drawn(y)) for x, y in pairs)
        return [(x, y) for x, y in drawn if y is not None]
    if metric == "rmse":
        return [(x, 255 * 10 ** (-y / 20)) for x, y in pairs]
    return pairs


def _real(x: Any) -> TypeGuard[float]:
    return isinstance(x, int | float) and math.isfinite(x)
