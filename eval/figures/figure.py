"""What all figures share: no display, a quiet style, the same bytes every time."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from diffcodec.eval.common.words import shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = ("png", "svg", "pdf")
OURS = "#c2273b"
COLOURS = {
    "jpeg": "#d18f00",
    "webp": "#2a9d6f",
    "jpeg2000": "#8a6fc4",
    "avif": "#b0578d",
    "jpegxl": "#2a6f9d",
}
OTHERS = ("#555555", "#7a5c3e", "#3e7a7a", "#a0522d", "#4b5f9e", "#8c8c2b")


def prepare(font_size: int = 10) -> None:
    """Before the first call of pyplot: files only, and text as text."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.fonttype"] = "none"
    matplotlib.rcParams["svg.hashsalt"] = "diffcodec"
    matplotlib.rcParams["font.size"] = font_size


def tidy(axes: Axes, x: str, y: str, title: str) -> None:
    """Names of the axes, a title, a light grid, no frame."""
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_title(title, fontsize="medium")
    axes.grid(True, color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def plain(name: str) -> str:
    """A name as a label: no mathematics between dollar signs, nothing that cannot be drawn."""
    return shown(name).replace("$", r"\$")


def log_rates(axes: Axes) -> None:
    """A logarithmic axis of rates with plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))


def finish(figure: Figure, format: str) -> bytes:
    """The whole file, one of FORMATS, without a date; the figure is closed."""
    import matplotlib.pyplot as plt

    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    stream = io.BytesIO()
    figure.savefig(stream, format=format, dpi=160, metadata=undated.get(format))
    plt.close(figure)
    return stream.getvalue()
