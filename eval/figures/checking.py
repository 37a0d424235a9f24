"""What figures and tables read of results files is there, and of the right kind.

Whatever passes here can be drawn; see diffcodec.eval.common.fields for what is said of the rest.
"""

from __future__ import annotations

from pathlib import Path

from diffcodec.eval.common.fields import Fields, equally_long
from diffcodec.eval.common.results import Result
from diffcodec.eval.figures.steps import is_schedule
from diffcodec.eval.rd.curves import curves_in, is_bound, is_rated, labels_of

SECONDS = ("total", "network", "trellis", "rest")


def check(path: Path, result: Result) -> None:
    """Raise ResultError, with file and field, for a result that cannot be drawn."""
    fields = Fields(path, result)
    if fields.has("dataset"):
        _dataset(fields.at("dataset"))
    if fields.has("command"):
        fields.at("command").text()
    if fields.has("environment"):
        fields.at("environment").table()
    if is_bound(result):
        _bound(fields)
    elif is_schedule(result):
        _schedule(fields)
    elif not is_rated(result):
        _ddpm_table(fields)
    else:
        curves_in(path, result)
        _rated(fields)


def _dataset(dataset: Fields) -> None:
    dataset.at("name").text()
    dataset.at("images").number(least=0)


def _bound(result: Fields) -> None:
    """Of `diffcodec nll`."""
    for row in result.at("per_step").rows():
        row.at("t").number(above=0)
        for key in ("L_bpd", "rate_bpd", "rmse_grey"):
            row.at(key).number()
    bound = result.at("nelbo")
    for key in ("bpd", "images", "T"):
        bound.at(key).number()
    bound.at("schedule").text()
    if bound.at("standard_error_bpd").value is not None:
        bound.at("standard_error_bpd").number()
    result.at("model").at("name").text()
    _dataset(result.at("dataset"))


def _schedule(result: Fields) -> None:
    """Of `diffcodec schedule`."""
    rows = result.at("steps").rows()
    for row in rows:
        for key in ("steps", "even_bpd", "total_bpd", "steps_bpd"):
            row.at(key).number(above=0)
    if not any(row.value["steps"] >= 10 for row in rows):
        raise result.at("steps").wrong("has no row of 10 steps or more")
    result.at("model").at("name").text()


def _ddpm_table(result: Fields) -> None:
    """Of `python -m diffcodec.eval.experiments.ddpm_table`."""
    for row in result.at("ddpm_table").rows():
        row.at("reverse_steps").number()
        for kind in ("theory", "files", "paper"):
            for key in ("rate_bpd", "rmse_grey"):
                row.at(kind).at(key).number()
    result.at("name").text()


def _rated(result: Fields) -> None:
    """Of `diffcodec eval` and `bench`, and of others: all but the curves."""
    labels_of(result)
    ours = result.has("theory") and result.has("model")
    if result.has("overhead_percent"):
        over, steps = result.at("overhead_percent"), result.at("steps")
        _dataset(result.at("dataset"))
        _drawn(over.at("bpp"), over.at("over_mi"), over.at("over_kl"))
        _drawn(steps.at("bpp_file"), steps.at("overhead_percent").at("steps_over_mi"))
    if ours or result.has("lossless"):
        _lossless(result.at("lossless"), ours)
    if result.has("seconds_per_picture"):
        for way in result.at("seconds_per_picture").parts():
            for part in SECONDS:
                way.at(part).number(least=0)


def _drawn(rates: Fields, *values: Fields) -> None:
    rates.numbers(above=0)
    for column in values:
        column.numbers()
    equally_long([rates, *values])


def _lossless(end: Fields, ours: bool) -> None:
    if end.has("peers"):
        for row in end.at("peers").parts():
            row.at("bpd").number(least=0)
            if row.has("standard_error"):
                row.at("standard_error").number(least=0)
    if ours or end.has("bpd"):
        for key in ("bpd", "bpp"):
            end.at(key).number(above=0)
        for key in ("bpd_ideal_mi", "exact", "images"):
            end.at(key).number(least=0)
        if end.has("standard_error"):
            end.at("standard_error").number(least=0)
