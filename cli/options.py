"""Options that commands share: the same words with the same meaning everywhere.

What belongs together reaches a command as one parameter: `network`, `cut`, `output`.
"""

from __future__ import annotations

import inspect
import math
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from diffcodec.cli.output import Output, listed
from diffcodec.cli.streams import warn

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from diffcodec.codec import Codec
    from diffcodec.image.picture import Choices

Function = TypeVar("Function", bound=Callable[..., Any])
Decorator = Callable[[Function], Function]

# Of diffcodec.exact.backends, and of effort and residual in diffcodec.progressive, which import
# numpy; tests see to it that they are all here.
BACKENDS = (
    "compiled",
    "numpy",
    "integers",
    "torch8",
    "torch64",
    "torch32",
    "cuda8",
    "cuda64",
    "cuda32",
)
DEVICES = ("cpu", "cuda")  # the fastest backend there
EFFORTS = ("fast", "default", "best")
RESIDUALS = ("adaptive", "gaussian")
CHAIN = (
    "Noise levels: K of the network's optimised schedule (6, 12, 25, 50 or 100), or N of DDPM's "
    "T = 1000 timesteps (ddpm:1000, cosine:100)"
)


def grouped(name: str, make: Callable[..., Any], *options: Decorator[Any]) -> Decorator[Any]:
    """Options that a command gets as one parameter: what `make` builds of their values.

    The options have the names of make's parameters; those that have no option keep their default.
    """
    known = inspect.signature(make).parameters

    def decorate(command: Function) -> Function:
        @wraps(command)
        def called(*args: Any, **values: Any) -> Any:
            own = {key: values.pop(key) for key in known if key in values}
            return command(*args, **{name: make(**own)}, **values)

        for option in reversed(options):
            called = option(called)
        return cast(Function, called)

    return decorate


# --- the network --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Network:
    """-m, --threads, --backend: which network, and how it is evaluated."""

    model: str | None = None
    threads: int | None = None
    backend: str | None = None

    @property
    def running(self) -> dict[str, Any]:
        """How it is evaluated, as keyword arguments; no bit depends on them."""
        return {"threads": self.threads, "backend": self.backend}

    def anywhere(self) -> str | None:
        """The network that was chosen, by a name or path that holds in any folder.

        Raises CheckpointError for one that cannot be read, before any worker tries it.
        """
        if self.model is None:
            return None
        from diffcodec.zoo import find, load_graph, shipped_networks

        load_graph(path := find(self.model))
        return self.model if self.model in dict(shipped_networks()) else os.path.abspath(path)

    def codec(self, model: str, parallel: Parallel | None = None) -> Codec:
        """The codec of the network that was chosen in the end, for one job or each of several."""
        from diffcodec.api import load_codec

        return load_codec(model, (parallel or Parallel()).threads(self), self.backend)


model_option = click.option(
    "-m",
    "--model",
    metavar="NAME|PATH",
    help="A shipped network, or its file (default: cifar10 for 32 x 32 images, "
    "photo-large for others).",
)
file_model_option = click.option(
    "-m", "--model", metavar="NAME|PATH", help="The network's file, if it is not a shipped one."
)
threads_option = click.option(
    "--threads",
    type=click.IntRange(1),
    metavar="N",
    help="Use N processor threads (default: all).",
)


def backend_option(default: str) -> Decorator[Any]:
    """--backend NAME, with what stands for it where it is not given."""
    return click.option(
        "--backend",
        type=click.Choice([*DEVICES, *BACKENDS]),
        metavar="NAME",
        help=f"What evaluates the network: {', '.join(BACKENDS)}, or the fastest of a device, "
        f"{' or '.join(DEVICES)} (default: {default}). All give the same bits.",
    )


_any_backend = backend_option("cuda where there is a GPU, else cpu")
network_options = grouped("network", Network, model_option, threads_option, _any_backend)
file_network_options = grouped("network", Network, file_model_option, threads_option, _any_backend)


# --- cuts and work ------------------------------------------------------------------------------


def _finite(_: click.Context, option: click.Parameter, value: float | None) -> float | None:
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value} is not a number of bits or dB", param=option)
    return value


def _cut(**limits: float | None) -> dict[str, Any]:
    """The one cut that was asked for, as the codec's keyword argument."""
    chosen = {key: value for key, value in limits.items() if value is not None}
    if len(chosen) > 1:
        options = listed([f"--{key.removeprefix('max_')}" for key in limits])
        raise click.UsageError(f"{options} each choose the cut; give one of them")
    return chosen


def _cut_of_file(max_bytes: int | None, bpp: float | None, max_steps: int | None) -> dict[str, Any]:
    return _cut(max_bytes=max_bytes, bpp=bpp, max_steps=max_steps)


def _cut_of_encoder(
    max_bytes: int | None, bpp: float | None, psnr: float | None, max_steps: int | None
) -> dict[str, Any]:
    return _cut(max_bytes=max_bytes, bpp=bpp, psnr=psnr, max_steps=max_steps)


bytes_option = click.option(
    "--bytes", "max_bytes", type=click.IntRange(1), metavar="N", help="Cut after N bytes."
)
bpp_option = click.option(
    "--bpp",
    type=click.FloatRange(0, min_open=True),
    callback=_finite,
    metavar="X",
    help="Cut after X bits per pixel.",
)
steps_option = click.option(
    "--steps", "max_steps", type=click.IntRange(1), metavar="N", help="Cut after N steps."
)
psnr_option = click.option(
    "--psnr",
    type=click.FloatRange(0, min_open=True),
    callback=_finite,
    metavar="P",
    help="Cut after the first step that reaches P dB.",
)
cut_options = grouped("cut", _cut_of_file, bytes_option, bpp_option, steps_option)
encoder_cut_options = grouped(
    "cut", _cut_of_encoder, bytes_option, bpp_option, psnr_option, steps_option
)

effort_option = click.option(
    "--effort",
    type=click.Choice(EFFORTS),
    default="default",
    help="Time against bytes: fast (up to 25 steps) halves encoding time, for files 2 % larger; "
    "best (up to 100) doubles encoding and decoding time, for files 1 % smaller; the default takes "
    "up to 50 steps. Small images take fewer.",
)


def chain_option(default: str) -> Decorator[Any]:
    """--chain K|NAME:N, with what stands for it where it is not given."""
    return click.option("--chain", metavar="K|NAME:N", help=f"{CHAIN} (default: {default}).")


def _switch_at(_: click.Context, option: click.Parameter, value: str | None) -> float | str | None:
    """Grey levels, or "none"."""
    if value in (None, "none"):
        return value
    try:
        sigma = float(value or "")
    except ValueError:
        sigma = 0.0
    if not (math.isfinite(sigma) and sigma > 0):
        raise click.BadParameter(f"{value!r} is no number above 0, nor none", param=option)
    return sigma


def _ending(switch: float | str | None, residual: str | None) -> dict[str, Any]:
    """What was chosen of both, as the codec's keyword arguments."""
    chosen = {"switch": switch, "residual": residual}
    return {key: value for key, value in chosen.items() if value is not None}


switch_option = click.option(
    "--switch",
    callback=_switch_at,
    metavar="SIGMA|none",
    help="Noise in grey levels at which steps end and the exact pixels follow (default: as "
    "--effort suggests; with a cut, or --residual gaussian, the end of the chain). A cut inside "
    "the exact pixels shows a part of the image exact and the rest as the last step left it; 0.6 "
    "keeps cuts fine up to 54 dB, for files some 10 % larger and half as much time again. none: no "
    "steps and no network at all, so the first bytes are no preview.",
)
residual_option = click.option(
    "--residual",
    type=click.Choice(RESIDUALS),
    help="What codes the exact pixels: adaptive, a model that learns as it goes; or gaussian, one "
    f"Gaussian for the image as in DDPM, for files 10 to 40 % larger (default: {RESIDUALS[0]}).",
)
ending_options = grouped("ending", _ending, switch_option, residual_option)


def seed_option(what: str) -> Decorator[Any]:
    """--seed N of what is random."""
    return click.option(
        "--seed",
        type=click.IntRange(0, 2**32 - 1),
        default=0,
        metavar="N",
        help=f"Seed of {what} (default: 0).",
    )


# --- images that cannot be kept as they are -----------------------------------------------------

COLOURS = {"white": (255, 255, 255), "black": (0, 0, 0)}


def _colour(
    _: click.Context, option: click.Parameter, value: str | None
) -> tuple[int, int, int] | None:
    """A colour as RGB of 8 bits: one of COLOURS, #rgb or #rrggbb."""
    if value is None or value in COLOURS:
        return COLOURS[value] if value else None
    if not re.fullmatch(r"#([0-9a-fA-F]{3}|[0-9a-fA-F]{6})", value):
        message = f"{value!r} is no colour; give #rgb, #rrggbb, {' or '.join(COLOURS)}"
        raise click.BadParameter(message, param=option)
    digits = value[1:] if len(value) == 7 else "".join(2 * digit for digit in value[1:])
    red, green, blue = bytes.fromhex(digits)
    return red, green, blue


def _choices(
    flatten: tuple[int, int, int] | None,
    frame: int | None,
    convert: str | None,
    accept_truncated: bool,
    strip: bool = False,
) -> Choices:
    """What was chosen, as diffcodec.image takes it."""
    from diffcodec.image.picture import Choices

    return Choices(flatten, frame, convert == "rgb", strip, accept_truncated)


_reading = (
    click.option(
        "--flatten",
        callback=_colour,
        metavar="COLOUR",
        help="Lay transparent pixels on a colour: #rgb, #rrggbb, white or black.",
    ),
    click.option(
        "--frame",
        type=click.IntRange(0),
        metavar="N",
        help="Take image N, from 0, of a file that holds several.",
    ),
    click.option(
        "--convert",
        type=click.Choice(["rgb"]),
        help="Convert CMYK, LAB and floats to RGB of 8 bits; they are refused otherwise.",
    ),
    click.option(
        "--accept-truncated",
        is_flag=True,
        help="Take what is there of an image that is cut short; it is refused otherwise.",
    ),
)
strip_option = click.option(
    "--strip", is_flag=True, help="Leave out metadata: profiles, EXIF, XMP, text."
)
reading_options = grouped("choices", _choices, *_reading)  # of commands that look at pixels alone
choices_options = grouped("choices", _choices, *_reading, strip_option)


# --- where the work is done ---------------------------------------------------------------------


@dataclass(frozen=True)
class Parallel:
    """-j, --dask: how many jobs at a time, and on which machines."""

    processes: int = 1
    dask: str | None = None

    @property
    def alone(self) -> bool:
        """Whether it is done in this process."""
        return self.processes == 1 and self.dask is None

    def threads(self, network: Network) -> int | None:
        """Threads of a network: all cores for one job at a time, one each for several."""
        return network.threads or (None if self.alone else 1)

    def running(self, network: Network) -> dict[str, Any]:
        """How each job evaluates the network, as keyword arguments."""
        return {"threads": self.threads(network), "backend": network.backend}

    @contextmanager
    def executor(self) -> Iterator[Executor]:
        """What runs jobs; says so where an engine has no workers yet."""
        from diffcodec.executors import Engine, executor

        with executor(self.processes, self.dask) as pool:
            if isinstance(pool, Engine) and not pool.workers:
                warn(f"{self.dask} has no workers yet; they start with `dask worker {self.dask}`")
            yield pool


def _parallel(processes: int, dask: str | None) -> Parallel:
    if processes > 1 and dask is not None:
        raise click.UsageError("--processes and --dask each say where jobs run; give one of them")
    return Parallel(processes, dask)


def parallel_options(what: str) -> Decorator[Any]:
    """-j N, --dask ADDRESS: at what commands that map over many work; what: "images", say."""
    return grouped(
        "parallel",
        _parallel,
        click.option(
            "-j",
            "--processes",
            type=click.IntRange(1),
            default=1,
            metavar="N",
            help=f"Work on N {what} at a time, in a process each (default: 1).",
        ),
        click.option(
            "--dask",
            metavar="ADDRESS",
            help="Work on the machines of a dask.distributed scheduler, tcp://HOST:8786 for "
            "instance; they must see the same files.",
        ),
    )


# --- outputs ------------------------------------------------------------------------------------

force_option = click.option("-f", "--force", is_flag=True, help="Overwrite what exists.")


def target_option(suffix: str) -> Decorator[Any]:
    """-o PATH: where results with a suffix go."""
    return click.option(
        "-o",
        "--output",
        "target",
        metavar="PATH",
        help="The result of one IN; or, for several and for folders, a folder, which is made, and "
        f"has them as they lie below IN (default: beside each IN, with the suffix {suffix}).",
    )


def resume_option(what: str) -> Decorator[Any]:
    """--resume; what: a phrase on what a whole result is."""
    return click.option(
        "--resume",
        is_flag=True,
        help=f"Skip an IN whose result is there, newer than it, and {what}.",
    )


quiet_option = click.option(
    "-q", "--quiet", is_flag=True, help="Print nothing on stderr but errors and warnings."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")

output_options = grouped("output", Output, force_option, quiet_option, json_option)
file_options = grouped("output", Output, force_option, quiet_option)  # of commands without --json
quiet_options = grouped("output", Output, quiet_option)  # of those whose files are theirs
