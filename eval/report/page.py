"""One page that needs nothing else: a slider over bytes, figures, tables, the ledger, commands.

The page is page.html with page.css and page.js in it. It asks the network for nothing, and
says so to the browser.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from diffcodec import __version__
from diffcodec.accounting.ledger import Ledger
from diffcodec.eval.common.results import Result
from diffcodec.eval.common.words import encodable
from diffcodec.eval.report.figures import figures
from diffcodec.eval.report.tables import commands, shown_cuts, spent, tables
from diffcodec.eval.report.views import View

HERE = Path(__file__).resolve().parent


def page(
    title: str,
    views: Sequence[View],
    ledgers: Sequence[Ledger],
    results: Mapping[Path, Result],
    *,
    about: str,
    command: str,
) -> bytes:
    """The whole page, UTF-8. views: images of the slider, each with the ledger of its file.

    results: of eval, bench, nll and ddpm_table, for figures and tables; about: a sentence on what
    was coded and how.
    """
    jinja = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    jinja.policies["json.dumps_kwargs"] = {"allow_nan": False}
    text = jinja.get_template("page.html").render(
        title=title,
        about=about,
        version=__version__,
        style=_file("page.css"),
        script=_file("page.js"),
        data=[view.facts for view in views],
        cuts=[shown_cuts(view.facts) for view in views],
        figures=figures(results),
        tables=tables(results),
        ledgers=[spent(view.name, one) for view, one in zip(views, ledgers, strict=True)],
        commands=commands(results, command),
    )
    return encodable(text).encode("utf-8")


def _file(name: str) -> Markup:
    """As it is: style and script are no HTML."""
    return Markup((HERE / name).read_text(encoding="utf-8"))
