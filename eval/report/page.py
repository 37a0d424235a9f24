"""One page that needs nothing else: a slider over bytes, figures, tables, the ledger, commands.

The page is page.html with page.css and page.js in it. It asks the network for nothing, and
says so to the browser.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from diffcodec import __version__
from diffcodec.accounting.ledger import Ledger
from diffcodec.eval.common.results import Result
from diffcodec.eval.report import tables as pieces
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
    parts = {
        "title": html.escape(title),
        "about": html.escape(about),
        "version": __version__,
        "style": _file("page.css"),
        "script": _file("page.js"),
        "data": _inside_script([view.facts for view in views]),
        "cuts": "".join(pieces.shown_cuts(view.facts) for view in views),
        "figures": "".join(pieces.figures(results)) or "<p>There is no result to draw.</p>",
        "tables": "".join(pieces.tables(results)),
        "ledgers": "".join(
            pieces.ledger(view.name, one) for view, one in zip(views, ledgers, strict=True)
        ),
        "commands": pieces.commands(results, command),
    }
    text = re.sub(r"\{\{(\w+)\}\}", lambda field: parts[field[1]], _file("page.html"))
    return text.encode("utf-8")


def _file(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _inside_script(value: Any) -> str:
    """JSON that cannot end the element it stands in."""
    return json.dumps(value, allow_nan=False).replace("<", "\\u003c")
