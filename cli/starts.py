"""Where `diffcodec sample` starts: from noise, from latents of a file, from x_t of an image."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from diffcodec.cli.drawing import Job, Targets
from diffcodec.cli.generating import SIDE, channels_of, size, states_of, trained_on
from diffcodec.cli.options import grouped
from diffcodec.cli.sampler_options import schedule_of, timesteps_option
from diffcodec.cli.streams import about, name_of, read

if TYPE_CHECKING:
    from diffcodec.bitstream.types import Pixels
    from diffcodec.cli.sampler_options import AnyNetwork
    from diffcodec.image.picture import Choices
    from diffcodec.sampling.latents import Latents
    from diffcodec.sampling.method import Method

    Shape = tuple[int, int, int]

COUNT, ROWS = 64, 8  # new images, and of them with --progressive
COLUMNS = 11  # of a progressive grid: estimates on the way, the sample last
REPEAT = 4  # samples from one x_t
SMALL = (SIDE, SIDE)  # of cifar10, which is the default for them


@dataclass(frozen=True)
class Asked:
    """-n, --size, --progressive, --latent, --from-image, --t, --repeat."""

    count: int | None = None
    sides: tuple[int, int] | None = None
    progressive: bool = False
    latent: str | None = None
    image: str | None = None
    t: Sequence[int] | None = None
    repeat: int | None = None

    def check(self, targets: Targets) -> None:
        """UsageError for what does not go together."""
        if self.image is not None and (self.progressive or self.latent is not None):
            raise click.UsageError("--from-image is a start of its own: leave the others out")
        if (self.image is None) != (self.t is None):
            raise click.UsageError("--from-image IMAGE and --t T,T,... go together")
        if self.image is None and self.repeat is not None:
            raise click.UsageError("--repeat is about --from-image")
        if self.files and (self.count is not None or self.sides is not None):
            raise click.UsageError("-n and --size are about new images: leave them out")
        if (self.image is not None or self.progressive) and (targets.folder or targets.npz):
            raise click.UsageError("this draws a grid: name its file with -o alone")

    @property
    def files(self) -> list[str]:
        """What is read."""
        return [name for name in (self.image, self.latent) if name is not None]

    def start(self, choices: Choices) -> Start:
        """What that is; raises ImageError and OptionError for files that are none."""
        if self.latent is not None:
            from diffcodec.sampling.latents import Latents

            with about(self.latent):
                return FromLatents(self.latent, Latents.read(read(self.latent)))
        if self.image is not None:
            from diffcodec.cli.generating import read_pixels

            pixels = read_pixels(self.image, choices)
            return FromImage(self.image, pixels, self.t or (), self.repeat or REPEAT)
        return New(self.count or (ROWS if self.progressive else COUNT), self.sides)


# --- the three of them --------------------------------------------------------------------------


@dataclass(frozen=True)
class New:
    """From x_T ~ N(0, I): so many, of a height and width."""

    count: int
    sides: tuple[int, int] | None

    def shape(self, network: AnyNetwork) -> Shape:
        """(C, H, W), as the network was trained on if it is not said."""
        side = trained_on(network)
        return channels_of(network)[-1], *(self.sides or (side, side))

    def jobs(self, network: AnyNetwork, method: Method, seed: int) -> list[Job]:
        """One walk each."""
        from diffcodec.sampling.starts import new

        walk = new(network, method, self.shape(network), seed)
        return [Job(range(self.count), method.visits(method.levels[0]), walk)]


@dataclass(frozen=True, eq=False)
class FromLatents:
    """From those of a file."""

    name: str
    latents: Latents

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.latents.x_T)

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width."""
        height, width = self.latents.x_T.shape[2:]
        return height, width

    def shape(self, network: AnyNetwork) -> Shape:
        """Theirs; OptionError where the network takes no such images."""
        from diffcodec.errors import OptionError

        channels = self.latents.x_T.shape[1]
        if channels not in channels_of(network):
            raise OptionError(
                f"{name_of(self.name)} holds latents of {size((*self.sides, channels))} images, "
                f"which {network.name} does not take"
            )
        return channels, *self.sides

    def jobs(self, network: AnyNetwork, method: Method, seed: int) -> list[Job]:
        """One walk each."""
        from diffcodec.sampling.starts import from_latents

        v = self.latents.v
        walk = from_latents(network, method, self.latents.y, v, seed)
        return [Job(range(self.count), method.visits(v), walk)]


@dataclass(frozen=True, eq=False)
class FromImage:
    """From x_t of an image, so many times for each t."""

    name: str
    pixels: Pixels
    t: Sequence[int]
    repeat: int

    @property
    def count(self) -> int:
        """How many are drawn."""
        return len(self.t) * self.repeat

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width."""
        height, width, _ = self.pixels.shape
        return height, width

    def shape(self, network: AnyNetwork) -> Shape:
        """The image's; OptionError where the network takes no such images."""
        _, channels, height, width = states_of(network, [(self.name, self.pixels)]).shape
        return channels, height, width

    def jobs(self, network: AnyNetwork, method: Method, seed: int) -> list[Job]:
        """One for each t, which shows x_t before its samples."""
        from diffcodec.errors import OptionError
        from diffcodec.sampling.starts import from_one, on_the_way
        from diffcodec.sampling.taus import level_of
        from diffcodec.theory.units import from_unit

        if method.name == "ddim" and not method.eta:
            raise OptionError(
                "samples from one x_t differ by the noise of the steps, and ddim has none: "
                "say --eta 1, or leave out --sampler"
            )
        x_0, jobs = states_of(network, [(self.name, self.pixels)]), list[Job]()
        for t in self.t:
            v = level_of(t, schedule_of(network))
            y = on_the_way(x_0, v, seed)[0]
            walk = from_one(network, method, y, v, seed)
            x_t = from_unit(y / (1 + v) ** 0.5)
            jobs.append(Job(range(self.repeat), method.visits(v), walk, before=[x_t]))
        return jobs


Start = New | FromLatents | FromImage


# --- options ------------------------------------------------------------------------------------


def _sides(_: click.Context, option: click.Parameter, value: str | None) -> tuple[int, int] | None:
    """ "32" or "WIDTHxHEIGHT" to height and width."""
    if value is None:
        return None
    found = re.fullmatch(r"([1-9]\d{0,4})(?:x([1-9]\d{0,4}))?", value)
    if not found:
        raise click.BadParameter(f"{value!r} is no size such as 32 or 48x32", param=option)
    return int(found[2] or found[1]), int(found[1])


start_options = grouped(
    "asked",
    Asked,
    click.option(
        "-n",
        "--count",
        type=click.IntRange(1),
        metavar="N",
        help=f"So many images (default: {COUNT}; {ROWS} with --progressive).",
    ),
    click.option(
        "--size",
        "sides",
        callback=_sides,
        metavar="S|WxH",
        help="Their size in pixels (default: what the network was trained on).",
    ),
    click.option(
        "--progressive",
        is_flag=True,
        help=f"A row for each image: x0_hat at {COLUMNS - 1} states on the way, and the sample.",
    ),
    click.option(
        "--latent",
        metavar="FILE",
        help="Start from the latents that `diffcodec invert` found of images.",
    ),
    click.option(
        "--from-image",
        "image",
        metavar="IMAGE",
        help="Start from x_t of an image: a row for each --t, x_t first.",
    ),
    timesteps_option("Timesteps of --from-image, 1 to 1000."),
    click.option(
        "--repeat",
        type=click.IntRange(1),
        metavar="N",
        help=f"Samples from each x_t of --from-image (default: {REPEAT}).",
    ),
)


def progressive(job: Job) -> Job:
    """The same, with what is seen on the way."""
    last = job.visits - 1
    kept = {round(i * last / (COLUMNS - 1)) for i in range(COLUMNS - 1)} - {last}
    return Job(job.numbers, job.visits, job.walk, kept)
