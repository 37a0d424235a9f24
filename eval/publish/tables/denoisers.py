"""Every denoiser: what a network is worth as a codec, whatever its layers and its numbers."""

from __future__ import annotations

from pathlib import Path

from diffcodec.eval.common.results import Result
from diffcodec.eval.publish.tables.markdown import load, machine, table


def rows(results: Path) -> str:
    """Architecture by parametrisation by backend: bits, the promise, the time, the cost."""
    result = load(results, "every-denoiser")
    head = ["network", "predicts", "numbers", "exact", "NELBO", "files", "files, Gaussian"]
    head += ["encode, ms", "decode, ms", "a call, ms"]
    return f"{table(head, [_row(one) for one in result['rows']])}\n\n{machine(result)}"


def _row(one: Result) -> list[str]:
    about = f"`{one['name']}`: {one['architecture']}, {one['parameters'] / 1e6:.2f} M"
    adaptive, gaussian = one["files"]["adaptive"], one["files"]["gaussian"]
    bits = [_bits(one["nelbo_bpd"], one.get("nelbo_cost_bpd"))]
    bits += [_bits(found["bpd"], found.get("cost_bpd")) for found in (adaptive, gaussian)]
    seconds = [f"{1000 * adaptive[f'{way}_seconds']:.0f}" for way in ("encode", "decode")]
    calls = ", ".join(f"{name} {1000 * took:.1f}" for name, took in one["call_seconds"].items())
    return [about, one["predicts"], one["numbers"], one["exact"], *bits, *seconds, calls]


def _bits(bpd: float, cost: float | None) -> str:
    """Bits/dim, and how many of them are the integers'."""
    return f"{bpd:.3f}" if cost is None else f"{bpd:.3f} ({cost:+.4f})"
