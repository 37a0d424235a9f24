"""Bits/dim against the number of steps: chosen noise levels beside evenly spaced timesteps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from diffcodec.bitstream.types import Float64
from diffcodec.theory.chain import Tables
from diffcodec.theory.levels import Choice, cost_of
from diffcodec.theory.schedule import parse_steps
from diffcodec.theory.units import GREY

LENGTHS = (10, 12, 25, 50, 100, 250, 500, 1000)  # that are always reported


def against_steps(
    tables: Tables, pixel_bpd: Float64, choices: Mapping[int, Choice]
) -> list[dict[str, Any]]:
    """One row a number of steps, ready for JSON.

    In bits/dim of an ideal coder: steps_bpd until the residual, pixels_bpd of the residual,
    total_bpd; handover_grey: the noise at the switch, in grey levels. even_bpd: the total of as
    many timesteps of the linear T = 1000, evenly spaced.
    """
    return [
        {
            "steps": k,
            "total_bpd": choice.total_bpd,
            "steps_bpd": choice.steps_bpd,
            "pixels_bpd": choice.pixels_bpd,
            "handover_grey": GREY * choice.v[-1] ** 0.5,
            "even_bpd": cost_of(tables, pixel_bpd, tuple(parse_steps(f"ddpm:{k}"))).total_bpd,
        }
        for k, choice in sorted(choices.items())
    ]


def to_text(rows: list[dict[str, Any]]) -> str:
    """The rows for people."""
    lines = ["steps  bits/dim = steps + pixels     switch (grey)  evenly spaced"]
    lines += [
        f"{row['steps']:5}  {row['total_bpd']:8.4f}  {row['steps_bpd']:6.4f}"
        f"  {row['pixels_bpd']:6.4f}  {row['handover_grey']:16.2f}  {row['even_bpd']:13.4f}"
        for row in rows
    ]
    return "\n".join(lines)
