"""The figures of a report: matplotlib's SVG, made fit to stand with others inside one page."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from markupsafe import Markup, escape

from diffcodec.eval.common.results import Result, ResultError
from diffcodec.eval.figures import cost, ddpm, terms
from diffcodec.eval.figures.rates import rate_distortion
from diffcodec.eval.rd.curves import curves_of, is_bound, is_rated


@dataclass(frozen=True)
class Figure:
    """svg: of the element <svg>, which may stand in HTML as it is."""

    svg: Markup
    caption: str


def figures(results: Mapping[Path, Result]) -> list[Figure]:
    """All that the results have to show, in the order of a page."""
    rated = {path: result for path, result in results.items() if is_rated(result)}
    drawn: list[tuple[bytes, str]] = []
    if rated:
        curves, own = curves_of(rated), list(rated.values())
        for draw, caption in (
            (partial(rate_distortion, curves), "Quality by rate, whole files."),
            (cost.overhead, "What whole files spend above theory, by rate."),
            (cost.lossless, "Exact files."),
        ):
            try:
                drawn.append((draw(own, "svg"), caption))
            except ResultError:
                continue  # small images have no curves, and other codecs no theory
    for result in results.values():
        if is_bound(result):
            caption = "The terms of the bound, and rate and distortion by t."
            drawn.append((terms.draw(result, "svg"), caption))
    for result in results.values():
        if "ddpm_table" in result:
            caption = "DDPM's Figure 5, with this network and its files."
            drawn.append((ddpm.draw(result, "svg"), caption))
    return [inside(svg, i, caption) for i, (svg, caption) in enumerate(drawn)]


def inside(svg: bytes, number: int, caption: str) -> Figure:
    """A figure of matplotlib's inside a page: no background, no names that clash, no addresses.

    number: of the figure in its page.
    """
    text = svg.decode("utf-8")
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r' xmlns(:\w+)?="[^"]*"', "", text)
    text = re.sub(r'\bid="', f'id="f{number}-', text)
    text = re.sub(r'href="#', f'href="#f{number}-', text)
    text = text.replace("url(#", f"url(#f{number}-")
    text = re.sub(r"fill: #ffffff", "fill: none", text)  # of the figure and its axes
    size = re.search(r'width="([\d.]+)pt" height="([\d.]+)pt"', text)
    broad = size is not None and float(size[1]) > 2.5 * float(size[2])
    text = text.replace(size[0], 'class="broad"' if broad else "", 1) if size else text
    text = text.replace("<svg", f'<svg role="img" aria-label="{escape(caption)}"', 1)
    return Figure(Markup(text), caption)
