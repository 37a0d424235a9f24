"""The command `diffcodec`: its group of commands, and errors reported in one sentence.

Exit codes: 0 done; 1 it cannot be done, and one line on stderr says why; 2 the command line makes
no sense; 130 interrupted. Nothing here imports torch or numpy, so that help appears at once.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any, NoReturn

import click

from diffcodec import __version__
from diffcodec.cli.archiving import archive
from diffcodec.cli.bench import bench
from diffcodec.cli.decoding import decode
from diffcodec.cli.encoding import encode
from diffcodec.cli.evaluation import evaluate
from diffcodec.cli.export import export
from diffcodec.cli.extracting import extract, list_
from diffcodec.cli.inspection import info, models, truncate
from diffcodec.cli.nll import nll
from diffcodec.cli.plot import plot
from diffcodec.cli.report import report
from diffcodec.cli.schedule import schedule
from diffcodec.cli.selftest import selftest
from diffcodec.cli.training import calibrate, train

EXTRAS = ("torch", "scipy")  # the codec does without them


class Commands(click.Group):
    """Commands that end in a sentence and an exit code, never in a traceback."""

    def main(self, *args: Any, **extra: Any) -> NoReturn:
        """Run, and leave with an exit code."""
        try:
            code = super().main(*args, **{**extra, "standalone_mode": False})
        except click.UsageError as error:
            command = error.ctx.command_path if error.ctx else "diffcodec"
            _leave(f"{error.format_message()} (see {command} --help)", 2)
        except click.ClickException as error:
            _leave(error.format_message(), 1)
        except ModuleNotFoundError as error:
            package = (error.name or "").partition(".")[0]
            if package not in EXTRAS:
                raise
            _leave(f"this needs {package}: pip install 'diffcodec[train]'", 1)
        except (KeyboardInterrupt, click.Abort):
            _leave("interrupted", 130)
        except OSError as error:
            _leave(_reason(error), 1)
        except (MemoryError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and "memory" not in str(error):
                raise  # torch has no class of its own for this on the CPU
            _leave("there is not enough memory for this", 1)
        except (ValueError, ArithmeticError) as error:
            if not _ours(error):
                raise
            _leave(str(error), 1)
        sys.exit(code if isinstance(code, int) else 0)


def _ours(error: Exception) -> bool:
    """Raised for the user's sake: a class of ours (known without importing it), or training's."""
    return type(error).__module__.startswith("diffcodec.") or type(error) is FloatingPointError


def _reason(error: OSError) -> str:
    if error.filename is not None:
        return f"{os.fsdecode(error.filename)}: {error.strerror}"
    if not error.strerror:
        return str(error)
    with contextlib.suppress(OSError, ValueError):  # Python flushes again at exit, and would fail
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return f"standard output: {error.strerror}"


def _leave(message: str, code: int) -> NoReturn:
    click.echo(f"diffcodec: {' '.join(message.split())}", err=True)
    sys.exit(code)


@click.group(
    cls=Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, "-V", "--version", prog_name="diffcodec")
@click.pass_context
def main(context: click.Context) -> None:
    """Progressive image compression with diffusion models: one file, from a few bytes to lossless.

    A .dfc file can be cut at any byte and still decodes, to the best image those bytes allow.
    Uncut it gives back every pixel.

    \b
    Examples:
      diffcodec encode photo.png              # photo.dfc, lossless at its full length
      diffcodec decode photo.dfc view.png --bytes 2000
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


IMAGES = (encode, decode, truncate, info, archive, extract, list_)
MEASURES = (nll, evaluate, bench, plot, report)
NETWORKS = (models, train, calibrate, schedule, export, selftest)
for command in (*IMAGES, *MEASURES, *NETWORKS):
    main.add_command(command)
