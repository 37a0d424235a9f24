"""Recipes: frozen dataclasses read from a TOML file; one recipe describes one trained network.

A recipe is the whole truth about a network: `diffcodec train RECIPE` turns it into weights, and the
file of weights carries it along. An unknown or missing field is an error, never a silent default,
and fields that do not fit together are refused by name.
"""

from __future__ import annotations

import dataclasses
import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from diffcodec.errors import RecipeError
from diffcodec.network.fields import check_types, from_plain, one_of, read_fields
from diffcodec.network.kinds import KINDS

Predicts = Literal["preconditioned", "eps", "x0", "v", "mu"]
Sigma2 = Literal["beta", "beta_tilde", "learned"]
Betas = Literal["linear", "quadratic", "sigmoid", "cosine"]
Skips = Literal["concat", "add"]
Activation = Literal["silu", "hard_swish"]
Middle = Literal["level", "attention", "bare_attention", "none"]
Downsampling = Literal["centred", "same"]
Condition = Literal["sigma", "timestep"]
Objective = Literal["simple", "nelbo", "hybrid", "vlb", "edm", "psnr"]
Sampling = Literal["uniform", "importance"]
Quantize = Literal["none", "int8"]
Target = Literal["image", "start"]
BETWEEN = ("attention", "bare_attention")  # of network.middle, where its two blocks have one
WIDEST, DEEPEST = 1 << 16, 64  # channels of a level; levels, and blocks of one
SPREAD = 1000.0  # the largest sigma_data
FIRST = 8  # [network] fields that every file has; the first files lack the others
CONTINUOUS = ("vlb", "edm", "psnr")  # objectives that draw any noise level; the others draw t


@dataclass(frozen=True)
class NetworkConfig:
    """The architecture (diffcodec.network.kinds) with its sizes, which are named as a U-Net's, and
    what its output means (diffcodec.network.prediction).
    """

    channels: int  # feature maps at full resolution
    multipliers: tuple[int, ...]  # of channels, one a level; each level halves the resolution
    blocks: int  # residual blocks a level
    attention: tuple[int, ...]  # resolutions that attend, in feature pixels per `window` pixels
    norm: Literal["group", "none"]
    window: int  # image pixels inside which attention and normalisation statistics stay
    patch: int = 1  # pixel-unshuffle before the first convolution: 1 or 2
    sigma_data: float = 0.5  # spread of the pixels in [-1, 1], for the preconditioning
    predicts: Predicts = "preconditioned"  # as EDM; the others: network/prediction.py
    sigma2: Sigma2 = "beta"  # of p_theta; learned: by the network, for every sub-pixel
    betas: Betas = "linear"  # of T = 1000: what a timestep t is, in training and for mu
    fourier: tuple[int, ...] = ()  # n of the extra inputs sin and cos(2^n pi x_t)
    skips: Skips = "concat"  # how a level's way down joins its way up; add: wider at equal cost
    activation: Activation = "silu"  # hard_swish: x clip(x / 6 + 1/2, 0, 1), integers' favourite
    kind: str = "unet"  # of KINDS
    image_channels: int = 3  # 1: of grey images only
    groups: int = 0  # of norm = "group"; 0: 8, or as many of them as divide the channels
    eps: float = 1e-5  # that is added to its variances
    head_width: int = 0  # channels of each head of attention; 0: one head has all
    middle: Middle = "level"  # attention between the two blocks there, or as its level has it;
    # bare: what attends is not normalised
    downsampling: Downsampling = "centred"  # same: zeros below and right only (network/same.py)
    condition: Condition = "sigma"  # what layers are told: log sigma, or t of the betas
    freq_shift: int = 0  # of the n frequencies it is told in the last is 10000^-((n-1)/(n-shift))
    scale_shift: bool = False  # the noise level scales and shifts what norm2 yields
    classes: int = 0  # of images that it is told; 0: none

    def __post_init__(self) -> None:
        check_types(self, "network")
        one_of("network.kind", self.kind, tuple(KINDS))
        if min((self.channels, self.blocks, *self.multipliers), default=0) < 1 or self.channels % 2:
            raise RecipeError(
                "network.channels, network.blocks and network.multipliers must be positive, and "
                "network.channels even"
            )
        spread = 0 < self.sigma_data <= SPREAD
        if self.patch not in (1, 2) or not spread or not self.multipliers:
            raise RecipeError(
                f"network.patch is 1 or 2, network.sigma_data above 0 and at most {SPREAD:g}, and "
                "network.multipliers has a number for each level"
            )
        widest, deepest = max(self.multipliers), max(self.blocks, len(self.multipliers))
        if self.channels * widest > WIDEST or self.classes > WIDEST or deepest > DEEPEST:
            raise RecipeError(
                "network.channels by network.multipliers, and network.classes, are at most "
                f"{WIDEST:,}; network.blocks, and levels, at most {DEEPEST}"
            )
        if sorted(set(self.fourier)) != list(self.fourier) or any(
            not 0 <= n <= 8 for n in self.fourier
        ):
            raise RecipeError(
                f"network.fourier {list(self.fourier)} must be increasing numbers of 0 to 8"
            )
        stride = self.stride
        if self.window % stride:
            raise RecipeError(f"network.window {self.window} is not a multiple of {stride}")
        levels = [self.window // (self.patch << i) for i in range(len(self.multipliers))]
        for resolution in self.attention:
            if resolution not in levels:
                raise RecipeError(f"network.attention {resolution} is not a level; {levels} are")
        self._check_layers()

    def _check_layers(self) -> None:
        """Raises RecipeError for sizes inside layers that do not fit."""
        widths = [self.channels * m for m in self.multipliers]
        if self.image_channels not in (1, 3):
            raise RecipeError(f"network.image_channels is 1 or 3, not {self.image_channels}")
        sides = [self.window // (self.patch << i) for i in range(len(widths))]
        attend = [w for w, side in zip(widths, sides, strict=True) if side in self.attention]
        attend += widths[-1:] if self.middle in BETWEEN else []
        groups = "groups", self.groups, [self.channels, *widths]
        for name, size, among in (groups, ("head_width", self.head_width, attend)):
            if size < 0 or (size and any(width % size for width in among)):
                raise RecipeError(f"network.{name} {size} does not divide all channels of {among}")
        if self.eps <= 0 or self.classes < 0:
            raise RecipeError("network.eps is above 0, and network.classes not below")
        if not 0 <= self.freq_shift < self.channels // 2:
            raise RecipeError(
                f"network.freq_shift {self.freq_shift} is not in 0..{self.channels // 2 - 1}"
            )
        if self.scale_shift and self.norm == "none":
            raise RecipeError('network.scale_shift is about what network.norm = "group" yields')

    @property
    def stride(self) -> int:
        """Image pixels per feature pixel at the lowest resolution."""
        return self.patch << (len(self.multipliers) - 1)

    @property
    def multiple(self) -> int:
        """An image is padded to a multiple of this many pixels a side."""
        windows = self.attention or self.norm == "group" or self.middle in BETWEEN
        return self.window if windows else self.stride


@dataclass(frozen=True)
class TrainConfig:
    """Algorithm 1 with a budget."""

    objective: Objective
    batch: int  # images a step, over all processes
    steps: int
    lr: float
    warmup: int  # steps of linear warm-up of lr
    cooldown: float  # share of the steps, at the end, in which lr falls linearly to 0
    ema: float
    crop: int  # side of the training crops in pixels
    sigma_min: float = 0.6  # range of the noise in grey levels (0..255), log-uniform, or
    sigma_max: float = 1000.0
    sigma_centre: float = 0.0  # if above 0, log-normal around this one, within the range,
    sigma_spread: float = 1.6  # with this standard deviation of ln sigma
    tile: int = 0  # cut every image into tiles of this side first (CIFAR mosaics: 32)
    flips: bool = True
    turns: bool = False  # flips and quarter turns: all eight symmetries
    colours: float = 0.0  # share of the crops with other brightness, contrast, gamma, channel order
    grey: float = 0.0  # share of the crops that are turned grey (R = G = B)
    scale: float = 1.0  # every other crop is a smaller one, enlarged by up to this factor
    optimizer: Literal["adam", "muon"] = (
        "adam"  # muon: for the convolutions (diffcodec.training.optimizer)
    )
    seed: int = 0
    sampling: Sampling = "uniform"  # of t; importance: as sqrt(E[L_t^2]) (improved DDPM, 3.3)
    timesteps: int = 1000  # of the 1000, evenly spaced, that training is for
    quantize: Quantize = "none"  # int8: as the integer network of bytes (training/quantized.py)
    target: Target = "image"  # of x0_hat; start: that of the network that training started from
    dropout: float = 0.0  # share of the activations before a block's last convolution

    def __post_init__(self) -> None:
        check_types(self, "train")
        if min(self.batch, self.steps, self.crop) < 1 or self.lr <= 0:
            raise RecipeError("train.batch, train.steps, train.crop and train.lr must be positive")
        if not 0 < self.sigma_min < self.sigma_max:
            raise RecipeError("train.sigma_min must be positive and below train.sigma_max")
        shares = (self.cooldown, self.grey, self.colours)
        if min(shares) < 0 or max(shares) > 1 or not 0 <= self.ema < 1:
            raise RecipeError(
                "train.cooldown, train.grey and train.colours are shares of 0 to 1, and train.ema "
                "is below 1"
            )
        if not 0 <= self.dropout < 1:
            raise RecipeError(f"train.dropout {self.dropout} is not a share below 1")
        if self.sigma_centre < 0 or self.sigma_spread <= 0:
            raise RecipeError(
                "train.sigma_centre is 0 or a noise level, and train.sigma_spread positive"
            )
        if self.scale < 1 or self.warmup < 0:
            raise RecipeError("train.scale is at least 1, and train.warmup not negative")
        if 0 < self.tile < self.crop or self.tile < 0:
            raise RecipeError(f"train.crop {self.crop} does not fit into train.tile {self.tile}")
        if not 2 <= self.timesteps <= 1000:
            raise RecipeError(f"train.timesteps {self.timesteps} is not in 2..1000")
        if self.objective in CONTINUOUS and self.sampling != "uniform":
            raise RecipeError(
                f'train.sampling = "{self.sampling}" is about timesteps, which train.objective = '
                f'"{self.objective}" has not; simple, nelbo and hybrid have'
            )
        if self.objective in CONTINUOUS and self.timesteps != 1000:
            raise RecipeError(
                f'train.timesteps is about timesteps, which train.objective = "{self.objective}" '
                "has not; simple, nelbo and hybrid have"
            )
        if self.target == "start" and self.objective in ("nelbo", "hybrid"):
            raise RecipeError(
                f'train.target = "start" is about x0_hat alone, and train.objective = '
                f'"{self.objective}" about its variance too; simple, vlb, edm and psnr are not'
            )


@dataclass(frozen=True)
class Recipe:
    """Everything that makes a network."""

    name: str
    network: NetworkConfig
    train: TrainConfig

    def __post_init__(self) -> None:
        learned, objective = self.network.sigma2 == "learned", self.train.objective
        if learned and objective not in ("nelbo", "hybrid"):
            raise RecipeError(
                f'train.objective = "{objective}" has no gradient for network.sigma2 = "learned"; '
                "nelbo and hybrid have"
            )
        if objective == "hybrid" and not learned:
            raise RecipeError(
                'train.objective = "hybrid" trains a variance by the bound: it needs '
                f'network.sigma2 = "learned", not "{self.network.sigma2}"'
            )
        if self.train.quantize == "int8":
            self._check_bytes()
            if self.train.dropout:
                raise RecipeError('train.quantize = "int8" trains without train.dropout')
        if self.network.image_channels == 1 and self.train.grey != 1:
            raise RecipeError("network.image_channels = 1 needs train.grey = 1, grey crops alone")
        if self.train.crop % self.network.multiple:
            raise RecipeError(
                f"train.crop {self.train.crop} is not a multiple of {self.network.multiple} "
                "pixels, which [network] needs"
            )

    def _check_bytes(self) -> None:
        """Raises RecipeError for the first field that networks of bytes have no form for."""
        wanted = {"norm": "none", "attention": (), "skips": "add", "activation": "hard_swish"}
        defaults = ("sigma2", "image_channels", "middle", "downsampling", "condition", "classes")
        as_ever = {name: getattr(NetworkConfig, name) for name in defaults}
        for name, value in {**wanted, **as_ever}.items():
            found = getattr(self.network, name)
            if found != value:
                shown = list(value) if isinstance(value, tuple) else json.dumps(value)
                raise RecipeError(
                    f'train.quantize = "int8" needs network.{name} = {shown}, not {found!r}'
                )

    def to_dict(self) -> dict[str, Any]:
        """The recipe as plain JSON types; fields that older networks lack only where they count.

        The [network] decides a network's fingerprint, and a new field leaves those that exist.
        """
        fields = dataclasses.asdict(self)
        for field in dataclasses.fields(NetworkConfig)[FIRST:]:
            if getattr(self.network, field.name) == field.default:
                del fields["network"][field.name]
        return fields

    @staticmethod
    def from_dict(fields: dict[str, Any]) -> Recipe:
        """Build a recipe from plain types; raises RecipeError naming the offending field."""
        unknown = set(fields) - {"name", "network", "train"}
        if unknown or "name" not in fields:
            raise RecipeError(f"a recipe has name, [network] and [train]; not {sorted(unknown)}")
        return Recipe(
            name=str(fields["name"]),
            network=from_plain(NetworkConfig, fields.get("network", {}), "network"),
            train=from_plain(TrainConfig, fields.get("train", {}), "train"),
        )

    @staticmethod
    def load(path: Path) -> Recipe:
        """Read a TOML recipe; raises RecipeError in one sentence."""
        return Recipe.from_dict(read_fields(path))

    def override(self, settings: tuple[str, ...]) -> Recipe:
        """Apply `section.field=value` settings (TOML values), as `--set train.lr=1e-4` does."""
        fields = dataclasses.asdict(self)
        for setting in settings:
            key, _, text = setting.partition("=")
            section, _, field = key.partition(".")
            if section not in ("network", "train") or field not in fields[section]:
                raise RecipeError(f'"{key}" is not a field of a recipe (section.field=value)')
            try:
                fields[section][field] = tomllib.loads(f"x = {text}")["x"]
            except (tomllib.TOMLDecodeError, RecursionError):
                fields[section][field] = text
        return Recipe.from_dict(fields)
