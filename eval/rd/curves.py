"""Results files as curves: ours, other codecs', and those of other people in CompressAI's form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from diffcodec.eval.common.fields import Fields, equally_long
from diffcodec.eval.common.results import Result, ResultError
from diffcodec.eval.common.similarity import SIMILARITIES
from diffcodec.eval.common.words import shown
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
RATES = ("bpp", "bpd")
HIGHEST_DB = 1000  # of a PSNR, and of anything else that is plotted by rate


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
        """(rate, value) where both are known, by rising rate, above 0. A bpd is bpp / 3 unless
        given."""
        values = self.columns.get(column, ())
        rates = self.columns.get(rate) or [x and x / 3 for x in self.columns["bpp"]]
        pairs = zip(rates, values, strict=True) if values else ()
        return sorted((x, y) for x, y in pairs if x and y is not None)


def is_bound(result: Result) -> bool:
    """Is it a result of `diffcodec nll`?"""
    return isinstance(result.get("per_step"), list) and isinstance(result.get("nelbo"), dict)


def is_rated(result: Result) -> bool:
    """Is it one of eval, bench or another's, with curves: neither a bound nor DDPM's table?"""
    return not is_bound(result) and "ddpm_table" not in result


def curves_of(results: Mapping[Path, Result]) -> list[Curve]:
    """All curves of the files, in their order; those of one name differ by the file's.

    Raises ResultError for a file without a curve, and for columns that are none.
    """
    found: list[Curve] = []
    for path, result in results.items():
        own = curves_in(path, result)
        if not own:
            raise ResultError(f"{path} holds no rate-distortion curve")
        taken = {curve.key for curve in found}
        for curve in own:
            if curve.key in taken:
                name = f" ({shown(path.stem)})"
                curve = replace(curve, key=curve.key + name, label=curve.label + name)
            found.append(curve)
    return found


def curves_in(path: Path, result: Result) -> list[Curve]:
    """The curves of one file, of which there may be none; raises ResultError as `curves_of`."""
    return list(_curves(path, Fields(path, result)))


def _curves(path: Path, result: Fields) -> Iterator[Curve]:
    table = result.at("results") if result.has("results") else result
    ours = result.has("theory") and result.has("model")
    if isinstance(table.value, dict) and table.has("bpp"):
        name = shown(str(result.table().get("name") or path.stem))
        label = f"{name}, one file cut" if ours else name
        yield Curve(name, label, "ours" if ours else "other", _columns(table))
        if ours:
            theory = result.at("theory")
            columns = {**_columns(theory), "bpp": theory.at("bpp_mi").numbers(least=0)}
            equally_long([theory.at("bpp"), theory.at("bpp_mi")])
            yield Curve(f"{name} theory", "its theory (sum of MI)", "theory", columns)
    labels = labels_of(result)
    for key, peer in _tables(result, "peers"):
        label = PEERS[key].label if key in PEERS else key
        yield Curve(key, labels.get(key, label), "peer", _columns(peer))


def labels_of(result: Fields) -> dict[str, str]:
    """What the codecs of a result of bench are called, by their keys."""
    return {key: facts.at("label").text() for key, facts in _tables(result, "codecs")}


def _tables(result: Fields, key: str) -> list[tuple[str, Fields]]:
    """Names and parts of an object that may be absent."""
    part = result.at(key) if result.has(key) else None
    return [] if part is None else [(shown(name), part.at(name)) for name in part.table()]


def _columns(table: Fields) -> dict[str, Sequence[float | None]]:
    """The columns that are known, of equal length, rates above 0; "bpp" is among them."""
    table.at("bpp").numbers(above=0)
    known = {
        column: next((table.at(name) for name in names if table.has(name)), None)
        for column, names in COLUMNS.items()
    }
    found = {column: field for column, field in known.items() if field is not None}
    columns: dict[str, Sequence[float | None]] = {}
    for column, field in found.items():
        if column in RATES:
            columns[column] = field.numbers(above=0)
        else:
            columns[column] = field.numbers(least=-HIGHEST_DB, most=HIGHEST_DB)
    equally_long(list(found.values()))
    return columns


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
