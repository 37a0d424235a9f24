"""The command `diffcodec`: its group of commands, and errors reported in one sentence.

Exit codes: 0 done; 1 it cannot be done, and one line on stderr says why; 2 the command line makes
no sense; 128 and its number if a signal ended it, so 130 for Ctrl-C. Nothing here imports torch or
numpy, so that help appears at once.
"""

from __future__ import annotations

import errno
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

import click

from diffcodec import __version__
from diffcodec.cli.archiving import archive
from diffcodec.cli.bench import bench
from diffcodec.cli.classifier_training import train_classifier
from diffcodec.cli.decoding import decode
from diffcodec.cli.encoding import encode
from diffcodec.cli.evaluation import evaluate
from diffcodec.cli.export import export
from diffcodec.cli.extracting import extract
from diffcodec.cli.inspection import info, models, truncate
from diffcodec.cli.interpolating import interpolate
from diffcodec.cli.inverting import invert
from diffcodec.cli.listing import list_
from diffcodec.cli.nll import nll
from diffcodec.cli.plot import plot
from diffcodec.cli.quality import quality
from diffcodec.cli.report import report
from diffcodec.cli.sampling import sample
from diffcodec.cli.schedule import schedule
from diffcodec.cli.selftest import selftest
from diffcodec.cli.standard import OUTPUT, settle
from diffcodec.cli.streams import shown
from diffcodec.cli.training import calibrate, train
from diffcodec.cli.verifying import verify
from diffcodec.errors import sentence

EXTRAS = ("torch", "scipy")  # the codec does without them


class Commands(click.Group):
    """Commands that end in a sentence and an exit code, never in a traceback."""

    def main(self, *args: Any, **extra: Any) -> NoReturn:
        """Run, and leave with an exit code."""
        try:
            with _ended_by_signals():
                settle()
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
        except Ended as end:
            _leave(end.reason, 128 + end.number)
        except Exception as error:
            if (reason := sentence(error)) is None:
                raise
            _leave(reason, 1)
        finally:  # a signal may have come between a part's beginning and who would remove it
            if files := sys.modules.get("diffcodec.files"):
                files.remove_parts()
        sys.exit(code if isinstance(code, int) else 0)

    def invoke(self, context: click.Context) -> Any:
        """As click does, which takes every broken pipe for that of standard output."""
        try:
            return super().invoke(context)
        except BrokenPipeError as error:
            if error.errno != errno.EPIPE or error.filename == OUTPUT:
                raise
            raise click.ClickException(sentence(error) or "") from error


class Ended(BaseException):
    """A signal asks this process to end; what it was doing is put away first."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.reason = signal.strsignal(number) or f"signal {number}"


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP raise Ended, and Ctrl-C KeyboardInterrupt, unless somebody else has use
    for them.
    """

    def end(number: int, _: FrameType | None) -> None:
        raise KeyboardInterrupt if number == signal.SIGINT else Ended(number)

    def heard_again(raised: sys.UnraisableHookArgs) -> None:
        """What a finalizer raises ends nothing: whom a signal met there has to hear of it again."""
        error = raised.exc_value
        if not isinstance(error, Ended | KeyboardInterrupt) or not hasattr(signal, "pthread_kill"):
            usual(raised)
            return
        _again(error.number if isinstance(error, Ended) else signal.SIGINT)

    usual, sys.unraisablehook = sys.unraisablehook, heard_again
    mine = []
    if threading.current_thread() is threading.main_thread():
        known = [getattr(signal, name, None) for name in ("SIGTERM", "SIGHUP", "SIGINT")]
        mine = [n for n in known if n is not None and signal.getsignal(n) == signal.SIG_DFL]
    for number in mine:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in mine:
            signal.signal(number, signal.SIG_DFL)
        sys.unraisablehook = usual


def _again(number: int) -> None:
    """A signal once more, when the finalizer that it met is over."""
    main_thread = threading.main_thread().ident
    soon = threading.Timer(0.01, signal.pthread_kill, (main_thread, number))
    soon.daemon = True
    soon.start()


def _leave(message: str, code: int) -> NoReturn:
    click.echo(f"diffcodec: {shown(' '.join(message.split()))}", err=True)
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


IMAGES = (encode, decode, truncate, info, verify, archive, extract, list_)
MEASURES = (nll, evaluate, bench, quality, plot, report)
SAMPLES = (sample, interpolate, invert)
NETWORKS = (models, train, train_classifier, calibrate, schedule, export, selftest)
for command in (*IMAGES, *MEASURES, *SAMPLES, *NETWORKS):
    main.add_command(command)
