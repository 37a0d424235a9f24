"""What measurements run by `python -m` share on their command line, and with the program's own.

A measurement fails as the program's commands do: in one sentence, what is wrong and what to do.
So packages that come with the extra "eval" are imported inside of functions only, and it is before
the work begins that one is found missing.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Function = TypeVar("Function", bound=Callable[..., Any])
PACKAGES = ("torch", "scipy", "matplotlib", "pytorch_msssim", "tabulate")  # of the extra "eval"


class Measurement(click.Command):
    """A command whose errors of ours end in a sentence, never in a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run; ClickException instead of an error that is raised for the user's sake."""
        for package in PACKAGES:
            if importlib.util.find_spec(package) is None:
                raise click.ClickException(
                    f"measuring needs {package}: pip install 'diffcodec[eval]'"
                )
        try:
            return super().invoke(ctx)
        except OSError as error:
            raise click.ClickException(f"{error.filename}: {error.strerror}") from error
        except ValueError as error:
            if not type(error).__module__.startswith("diffcodec."):
                raise
            raise click.ClickException(str(error)) from error


def measurement(function: Callable[..., None]) -> click.Command:
    """The command of a measurement."""
    names = {"help_option_names": ["-h", "--help"]}
    return click.command(cls=Measurement, context_settings=names)(function)


# --- the images ---------------------------------------------------------------------------------

data_argument = click.argument("data", type=click.Path(exists=True, path_type=Path))
split_option = click.option(
    "--split",
    default="all",
    metavar="NAME",
    help="Of the images only files or folders whose name begins with NAME.",
)
tile_option = click.option(
    "--tile",
    type=click.IntRange(0),
    default=0,
    metavar="S",
    help="The images are mosaics of S x S images (CIFAR-10: 32).",
)
crop_option = click.option(
    "--crop",
    type=click.IntRange(0),
    default=0,
    metavar="S",
    help="Use the central S x S pixels of each image.",
)
joint_option = click.option(
    "--joint",
    type=click.IntRange(2),
    metavar="N",
    help="Code N images of one size as one file (for measuring: no other command reads it).",
)


def count_option(default: int | None = None) -> Callable[[Function], Function]:
    """--images, --count: the parameter `count`, how many images are measured."""
    return click.option(
        "--count",
        "--images",
        "count",
        type=click.IntRange(1),
        default=default,
        show_default=default is not None,
        metavar="N",
        help="Only the first N images.",
    )


def set_options(command: Function) -> Function:
    """--split, --tile and --count: which images of a folder are measured."""
    return split_option(tile_option(count_option()(command)))


# --- the run ------------------------------------------------------------------------------------


def model_option(default: str) -> Callable[[Function], Function]:
    """-m, --model: a network."""
    return click.option(
        "-m",
        "--model",
        default=default,
        show_default=True,
        metavar="NAME|PATH",
        help="A shipped network, a network's file, or a folder of diffusers.",
    )


processes_option = click.option(
    "-j",
    "--processes",
    type=click.IntRange(1),
    default=1,
    metavar="N",
    help="Number of processes (default: 1).",
)
records_option = click.option(
    "--records",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Keep a line for each image; resumes from it.",
)

# --- the result ---------------------------------------------------------------------------------


_FILE = click.Path(dir_okay=False, writable=True, path_type=Path)
json_option = click.option(
    "--json", "json_path", type=_FILE, metavar="FILE", help="Write the result."
)
plot_option = click.option(
    "--plot", type=_FILE, metavar="FILE", help="Write a figure: .png, .svg or .pdf."
)
