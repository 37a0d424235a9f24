"""Recipes: frozen dataclasses read from a TOML file; one recipe describes one trained network.

A recipe is the whole truth about a network: `diffcodec train RECIPE` turns it into weights, and the
file of weights carries it along. An unknown or missing field is an error, never a silent default.
"""

from __future__ import annotations

import dataclasses
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal


class RecipeError(ValueError):
    """A recipe that cannot be read, or whose fields do not fit together."""


@dataclass(frozen=True)
class NetworkConfig:
    """Sizes of the U-Net (diffcodec.unet)."""

    channels: int  # feature maps at full resolution
    multipliers: tuple[int, ...]  # of channels, one a level; each level halves the resolution
    blocks: int  # residual blocks a level
    attention: tuple[int, ...]  # resolutions that attend, in feature pixels per `window` pixels
    norm: Literal["group", "none"]
    window: int  # picture pixels inside which attention and normalisation statistics stay
    patch: int = 1  # pixel-unshuffle before the first convolution: 1 or 2
    sigma_data: float = 0.5  # spread of the pixels in [-1, 1], for the preconditioning

    def __post_init__(self) -> None:
        if self.norm not in ("group", "none"):
            raise RecipeError(f'network.norm is "{self.norm}"; it is "group" or "none"')
        stride = self.stride
        if self.window % stride:
            raise RecipeError(f"network.window {self.window} is not a multiple of {stride}")
        levels = [self.window // (self.patch << i) for i in range(len(self.multipliers))]
        for resolution in self.attention:
            if resolution not in levels:
                raise RecipeError(f"network.attention {resolution} is not a level; {levels} are")

    @property
    def stride(self) -> int:
        """Picture pixels per feature pixel at the lowest resolution."""
        return self.patch << (len(self.multipliers) - 1)

    @property
    def multiple(self) -> int:
        """A picture is padded to a multiple of this many pixels a side."""
        return self.window if self.attention or self.norm == "group" else self.stride


@dataclass(frozen=True)
class TrainConfig:
    """Algorithm 1 with a budget."""

    objective: Literal["simple", "vlb", "edm"]
    batch: int  # pictures a step, over all processes
    steps: int
    lr: float
    warmup: int  # steps of linear warm-up of lr
    cooldown: float  # share of the steps, at the end, in which lr falls linearly to 0
    ema: float
    crop: int  # side of the training crops in pixels
    sigma_min: float = 0.6  # range of the noise in grey levels (0..255), log-uniform
    sigma_max: float = 1000.0
    tile: int = 0  # cut every picture into tiles of this side first (CIFAR mosaics: 32)
    flips: bool = True
    grey: float = 0.0  # share of the crops that are turned grey (R = G = B)
    scale: float = 1.0  # every other crop is a smaller one, enlarged by up to this factor
    optimizer: Literal["adam", "muon"] = "adam"  # muon: for the convolutions (diffcodec.optimizer)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.objective not in ("simple", "vlb", "edm"):
            raise RecipeError(f'train.objective is "{self.objective}"; simple, vlb and edm exist')
        if self.optimizer not in ("adam", "muon"):
            raise RecipeError(f'train.optimizer is "{self.optimizer}"; adam and muon exist')
        if min(self.batch, self.steps, self.crop) < 1 or self.lr <= 0:
            raise RecipeError("train.batch, train.steps, train.crop and train.lr must be positive")
        if not 0 < self.sigma_min < self.sigma_max:
            raise RecipeError("train.sigma_min must be positive and below train.sigma_max")


@dataclass(frozen=True)
class Recipe:
    """Everything that makes a network."""

    name: str
    network: NetworkConfig
    train: TrainConfig

    def to_dict(self) -> dict[str, Any]:
        """The recipe as plain JSON types."""
        return dataclasses.asdict(self)

    @staticmethod
    def from_dict(fields: dict[str, Any]) -> Recipe:
        """Build a recipe from plain types; raises RecipeError naming the offending field."""
        unknown = set(fields) - {"name", "network", "train"}
        if unknown or "name" not in fields:
            raise RecipeError(f"a recipe has name, [network] and [train]; not {sorted(unknown)}")
        return Recipe(
            name=str(fields["name"]),
            network=_build(NetworkConfig, fields.get("network", {}), "network"),
            train=_build(TrainConfig, fields.get("train", {}), "train"),
        )

    @staticmethod
    def load(path: Path) -> Recipe:
        """Read a TOML recipe; raises RecipeError in one sentence."""
        try:
            return Recipe.from_dict(tomllib.loads(path.read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise RecipeError(f"cannot read the recipe {path}: {error}") from error

    def override(self, settings: tuple[str, ...]) -> Recipe:
        """Apply `section.field=value` settings (TOML values), as `--set train.lr=1e-4` does."""
        fields = self.to_dict()
        for setting in settings:
            key, _, text = setting.partition("=")
            section, _, field = key.partition(".")
            if section not in ("network", "train") or field not in fields[section]:
                raise RecipeError(f'"{key}" is not a field of a recipe (section.field=value)')
            try:
                fields[section][field] = tomllib.loads(f"x = {text}")["x"]
            except tomllib.TOMLDecodeError:
                fields[section][field] = text
        return Recipe.from_dict(fields)


def _build(cls: type[Any], fields: dict[str, Any], section: str) -> Any:
    types = {f.name: f for f in dataclasses.fields(cls)}
    unknown = sorted(set(fields) - set(types))
    missing = sorted(
        n for n, f in types.items() if f.default is dataclasses.MISSING and n not in fields
    )
    if unknown or missing:
        raise RecipeError(f"[{section}] has unknown fields {unknown} and lacks {missing}")
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
    for name, value in values.items():
        wanted = str(types[name].type)
        kinds = {"int": (int,), "float": (int, float), "bool": (bool,), "str": (str,)}.get(wanted)
        wrong_bool = isinstance(value, bool) and wanted != "bool"
        if kinds and (not isinstance(value, kinds) or wrong_bool):
            raise RecipeError(f"{section}.{name} must be {wanted}, not {value!r}")
    return cls(**values)
