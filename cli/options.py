"""Options that commands share: the same words with the same meaning everywhere.

What belongs together reaches a command as one parameter: `network`, `cut`, `output`.
"""

from __future__ import annotations

import inspect
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from diffcodec.cli.output import Output, listed

if TYPE_CHECKING:
    from diffcodec.cli.parallel import Parallel
    from diffcodec.codec import Codec

Function = TypeVar("Function", bound=Callable[..., Any])
Decorator = Callable[[Function], Function]

# Of diffcodec.exact.backends, which import numpy; a test sees to it that they are all here.
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
        from diffcodec.api import check_model
        from diffcodec.zoo import shipped_networks

        path = check_model(self.model)
        return self.model if self.model in dict(shipped_networks()) else os.path.abspath(path)

    def codec(self, model: str, parallel: Parallel | None = None) -> Codec:
        """The codec of the network that was chosen in the end, for one job or each of several."""
        from diffcodec.api import load_codec

        threads = self.threads if parallel is None else parallel.threads(self)
        return load_codec(model, threads, self.backend)


model_option = click.option(
    "-m",
    "--model",
    metavar="NAME|PATH",
    help="A shipped network, a network's file, or a folder of diffusers (default: cifar10 for "
    "32 x 32 images, photo-large for others).",
)
file_model_option = click.option(
    "-m",
    "--model",
    metavar="NAME|PATH",
    help="The network's file, or folder, if it is not a shipped one.",
)
class_option = click.option(
    "--class",
    "label",
    type=click.IntRange(0),
    metavar="N",
    help="The number of the images' class, for networks that have to know it.",
)
threads_option = click.option(
    "--threads",
    type=click.IntRange(1),
    metavar="N",
    help="Use N processor threads (default: all).",
)


def backend_option(default: str, floats: str) -> Decorator[Any]:
    """--backend NAME, with what stands for it where it is not given, and what float networks take
    of it."""
    return click.option(
        "--backend",
        type=click.Choice([*DEVICES, *BACKENDS]),
        metavar="NAME",
        help=f"What evaluates the network: {', '.join(BACKENDS)}, or the fastest of a device, "
        f"{' or '.join(DEVICES)} (default: {default}). All give the same bits of integer networks; "
        f"float ones take {floats}.",
    )


_any_backend = backend_option("cuda where there is a GPU, else cpu", " or ".join(DEVICES))
network_options = grouped("network", Network, model_option, threads_option, _any_backend)
file_network_options = grouped("network", Network, file_model_option, threads_option, _any_backend)


# --- cuts ---------------------------------------------------------------------------------------


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
