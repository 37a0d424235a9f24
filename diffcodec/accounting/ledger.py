"""The ledger of a file: what every bit of it was spent on, beside what theory asks for.

Two invariants. The entries' spent bits add up to the file's size (`check`). And every entry's
overhead, spent minus ideal, goes to a cause: so the file is its ideal plus the causes' bits.

Modes fill it as they like: spent bits are whole numbers where a stream is made of bits, real ones
where an entropy coder's state holds fractions of them, and negative where a step gives bits back.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from diffcodec.theory.units import GREY

# What bits are spent on, and what an overhead there is due to. A mode may add its own.
KINDS = {
    "header": ("header", "headers"),
    "path": ("messages of the steps", "step code"),
    "side": ("energy of the steps, nodes left out", "energy signalling"),
    "metadata": ("metadata", "metadata"),
    "alpha": ("alpha", "alpha coder"),
    "latent": ("steps of the chain, net", "entropy coder of the steps"),
    "pixels": ("exact pixels", "pixel coder"),
    "sigma": ("how the exact pixels are coded", "side information of the pixels"),
    "length": ("lengths of blocks", "side information of the pixels"),
    "index": ("names, sizes and places of images", "index"),
    "initial": ("initial bits that were not got back", "initial bits"),
    "graphics": ("graphics, as lossless WebP", "graphics"),
    "plain": ("images without the network", "pixel coder"),
    "checksum": ("checksums", "checksums"),
    "padding": ("bits that fill bytes or words", "padding"),
    "cut": ("beginning of what the cut left out", "cut"),
}


@dataclass(frozen=True)
class Entry:
    """Some bits of a file and what they are for.

    kind: a key of KINDS; spent_bits: in the file; ideal_bits: the least that theory asks for, 0
    where it asks for nothing, None where only the encoder knew. step: number of the step,
    from 0; v_from, v_to: its noise variances in x0 units (inf: before anything is known); kl_bits:
    of a step L_{t-1} of this very image, equal variances (DDPM eq. 5), of pixels L_0 by DDPM's
    discretized Gaussian, whatever codes them. columns: first and last one of a strip of pixels.
    causes: shares of the overhead that are known to be due to something else than what KINDS says,
    in bits.
    """

    kind: str
    spent_bits: float
    ideal_bits: float | None = 0.0
    step: int | None = None
    v_from: float | None = None
    v_to: float | None = None
    kl_bits: float | None = None
    columns: tuple[int, int] | None = None
    causes: dict[str, float] = field(default_factory=dict)

    @property
    def overhead_bits(self) -> float | None:
        """Spent minus ideal; None where the ideal is not known."""
        return None if self.ideal_bits is None else self.spent_bits - self.ideal_bits


@dataclass(frozen=True)
class Ledger:
    """All bits of one file. mode: "progressive", "bitsback", ..."""

    mode: str
    file_bytes: int
    entries: tuple[Entry, ...]

    def check(self) -> Ledger:
        """The ledger itself, if it adds up to the file's size; AssertionError otherwise."""
        spent = math.fsum(entry.spent_bits for entry in self.entries)
        # Whole bits add up exactly; fractions of them as far as double precision goes.
        off = abs(spent - 8 * self.file_bytes)
        assert off <= 1e-9 * spent, f"{spent} bits were accounted for, {8 * self.file_bytes} spent"
        return self

    @property
    def ideal_bits(self) -> float | None:
        """Of the whole file; None where an entry's is not known."""
        return total(entry.ideal_bits for entry in self.entries)

    def kinds(self) -> dict[str, tuple[float, float | None]]:
        """Bits spent and ideal by kind, in the order of KINDS, then of the entries."""
        found = dict.fromkeys(entry.kind for entry in self.entries)
        order = [k for k in KINDS if k in found] + [k for k in found if k not in KINDS]
        of = {k: [entry for entry in self.entries if entry.kind == k] for k in order}
        return {
            k: (_sum(e.spent_bits for e in of[k]), total(e.ideal_bits for e in of[k]))
            for k in order
        }

    def overheads(self) -> dict[str, float]:
        """Bits above the ideal by cause, where known; with the ideal they make up the file."""
        bits: dict[str, float] = {}
        for entry in self.entries:
            rest = entry.overhead_bits
            if rest is None:
                continue
            for cause, share in entry.causes.items():
                bits[cause] = bits.get(cause, 0.0) + share
                rest -= share
            own = KINDS.get(entry.kind, ("", entry.kind))[1]
            bits[own] = bits.get(own, 0.0) + rest
        return bits


def total(parts: Iterable[float | None]) -> float | None:
    """The sum, or None if a part is not known."""
    known = list(parts)
    return None if any(part is None for part in known) else _sum(p for p in known if p is not None)


def _sum(parts: Iterable[float]) -> float:
    """Exact for whole bits, and then a whole number."""
    numbers = list(parts)
    return sum(numbers) if all(isinstance(n, int) for n in numbers) else math.fsum(numbers)


# --- for programs and for people ----------------------------------------------------------------


def to_json(ledger: Ledger) -> dict[str, Any]:
    """Plain JSON types; bits, and noise as standard deviation in grey levels (None: infinite)."""
    return {
        "mode": ledger.mode,
        "file_bytes": ledger.file_bytes,
        "file_bits": 8 * ledger.file_bytes,
        "ideal_bits": ledger.ideal_bits,
        "overhead_bits": total(entry.overhead_bits for entry in ledger.entries),
        "kinds": {
            kind: {
                "spent_bits": spent,
                "ideal_bits": ideal,
                "overhead_bits": None if ideal is None else spent - ideal,
            }
            for kind, (spent, ideal) in ledger.kinds().items()
        },
        "overheads_bits": ledger.overheads(),
        "entries": [_entry_json(entry) for entry in ledger.entries],
    }


def _entry_json(entry: Entry) -> dict[str, Any]:
    return {
        "kind": entry.kind,
        "step": entry.step,
        "sigma_grey_from": _grey(entry.v_from),
        "sigma_grey_to": _grey(entry.v_to),
        "columns": None if entry.columns is None else list(entry.columns),
        "kl_bits": entry.kl_bits,
        "ideal_bits": entry.ideal_bits,
        "spent_bits": entry.spent_bits,
        "overhead_bits": entry.overhead_bits,
    }


def _grey(v: float | None) -> float | None:
    return None if v is None or math.isinf(v) else math.sqrt(v) * GREY


def to_text(ledger: Ledger) -> str:
    """Tables: steps, exact pixels, what the file was spent on, and where the overhead is from."""
    parts = [_steps_table(ledger), _pixels_table(ledger), _kinds_table(ledger)]
    if ledger.ideal_bits is None:
        parts.append("Ideal bits are known to the encoder only: encode --ledger reports them.")
    else:
        parts.append(_overheads_table(ledger))
    return "\n\n".join(part for part in parts if part)


def _steps_table(ledger: Ledger) -> str:
    """A line a step; side information stands beside what it is about."""
    lines = ["step  noise (grey levels)      L_t (KL) bits   ideal bits   spent bits   side bits"]
    side: dict[int | None, float] = {}
    for entry in ledger.entries:
        if entry.kind == "side":
            side[entry.step] = side.get(entry.step, 0) + entry.spent_bits
    for entry in ledger.entries:
        if entry.v_to is None:
            continue
        levels = [_grey(entry.v_from), _grey(entry.v_to)]
        noise = " -> ".join("inf" if level is None else f"{level:.3g}" for level in levels)
        of_step = [entry.kl_bits, entry.ideal_bits, entry.spent_bits, side.get(entry.step, 0)]
        columns = zip(of_step, (15, 12, 12, 11), strict=True)
        numbers = " ".join(f"{_bits(bits):>{width}}" for bits, width in columns)
        lines.append(f"{entry.step:>4}  {noise:<22} {numbers}")
    return "\n".join(lines) if len(lines) > 1 else ""


def _pixels_table(ledger: Ledger) -> str:
    """A line a strip, and all of the exact pixels: x_0 given the last state, by two models."""
    blocks = [entry for entry in ledger.entries if entry.kind == "pixels"]
    if not blocks:
        return ""
    lines = ["exact pixels                L_0 (Gaussian)   ideal bits   spent bits"]
    strips = [entry for entry in blocks if entry.columns is not None]
    named = [("columns {} to {}".format(*entry.columns or ()), [entry]) for entry in strips]
    for name, entries in [*named, ("all", blocks)]:
        of = (
            total(entry.kl_bits for entry in entries),
            total(entry.ideal_bits for entry in entries),
            _sum(entry.spent_bits for entry in entries),
        )
        columns = zip(of, (15, 12, 12), strict=True)
        lines.append(
            f"{name:<26} " + " ".join(f"{_bits(bits):>{width}}" for bits, width in columns)
        )
    return "\n".join(lines)


def _kinds_table(ledger: Ledger) -> str:
    lines = [f"{'what':<40} {'spent bits':>12} {'ideal bits':>12} {'spent bytes':>12}"]
    for kind, (spent, ideal) in ledger.kinds().items():
        name = KINDS.get(kind, (kind,))[0]
        lines.append(f"{name:<40} {_bits(spent):>12} {_bits(ideal):>12} {spent / 8:>12,.1f}")
    whole = 8 * ledger.file_bytes
    lines.append(
        f"{'the file':<40} {_bits(whole):>12} {_bits(ledger.ideal_bits):>12} {whole / 8:>12,.1f}"
    )
    return "\n".join(lines)


def _overheads_table(ledger: Ledger) -> str:
    ideal = ledger.ideal_bits
    assert ideal is not None
    lines = [f"{'above the ideal':<40} {'bits':>12} {'% of ideal':>12}"]
    overheads = ledger.overheads()
    for cause, bits in [*overheads.items(), ("all", math.fsum(overheads.values()))]:
        percent = f"{100 * bits / ideal:.2f}" if ideal > 0 else "-"
        lines.append(f"{cause:<40} {_bits(bits):>12} {percent:>12}")
    return "\n".join(lines)


def _bits(bits: float | None) -> str:
    """ "-": not known."""
    if bits is None:
        return "-"
    return f"{bits:,}" if isinstance(bits, int) else f"{bits:,.1f}"
