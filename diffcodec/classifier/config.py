"""Recipes of classifiers: frozen dataclasses read from a TOML file, as those of denoisers."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from diffcodec.errors import RecipeError
from diffcodec.network.config import NetworkConfig
from diffcodec.network.fields import check_types, from_plain, read_fields

Kind = Literal["encoder", "convolutions"]
PLAIN = (1, (), 0, False, 1)  # blocks, attention, head_width, scale_shift, patch: their defaults


@dataclass(frozen=True)
class ClassifierConfig:
    """The architecture with its sizes: of RGB images of one size.

    encoder: ADM's, the way down of a U-Net and an attention pool, told the noise level;
    convolutions: a few with batch normalisation, told no noise level.
    """

    kind: Kind
    classes: int
    size: int  # side of the images in pixels
    channels: int  # feature maps at the first level
    multipliers: tuple[int, ...]  # of channels, one a level; each level halves the resolution
    blocks: int = 1  # residual blocks a level; of an encoder
    attention: tuple[int, ...] = ()  # resolutions that attend, in feature pixels; of an encoder
    head_width: int = 0  # channels of each head of attention; 0: one head has all
    scale_shift: bool = False  # the noise level scales and shifts (ADM's adaptive group norm)
    patch: int = 1  # pixel-unshuffle before an encoder's first convolution: 1 or 2

    def __post_init__(self) -> None:
        check_types(self, "classifier")
        if self.classes < 2 or self.size < 8:
            raise RecipeError("classifier.classes is at least 2, and classifier.size at least 8")
        if min((self.channels, *self.multipliers), default=0) < 1 or not self.multipliers:
            raise RecipeError(
                "classifier.channels and classifier.multipliers must be positive, a multiplier "
                "for each level"
            )
        if self.kind == "encoder":
            try:
                _ = self.trunk
            except RecipeError as error:
                raise RecipeError(str(error).replace("network.", "classifier.")) from error
        elif self._of_encoder != PLAIN:
            raise RecipeError(
                'classifier.kind = "convolutions" takes channels and multipliers alone; '
                '"encoder" takes the others'
            )
        elif self.size >> len(self.multipliers) < 1:
            raise RecipeError("classifier.multipliers has more levels than classifier.size allows")

    @property
    def _of_encoder(self) -> tuple[object, ...]:
        """Fields that only an encoder has a use for."""
        return self.blocks, self.attention, self.head_width, self.scale_shift, self.patch

    @property
    def trunk(self) -> NetworkConfig:
        """The U-Net whose way down an encoder is."""
        return NetworkConfig(
            channels=self.channels,
            multipliers=self.multipliers,
            blocks=self.blocks,
            attention=self.attention,
            norm="group",
            window=self.size,
            patch=self.patch,
            head_width=self.head_width,
            scale_shift=self.scale_shift,
        )


@dataclass(frozen=True)
class ClassifierTrain:
    """The cross-entropy of labels, at noise levels that are drawn, with a budget."""

    batch: int
    steps: int
    lr: float
    warmup: int  # steps of linear warm-up of lr
    cooldown: float  # share of the steps, at the end, in which lr falls linearly to 0
    ema: float
    sigma_min: float = 0.0  # range of the noise in grey levels (0..255), log-uniform;
    sigma_max: float = 0.0  # 0: no noise at all
    tile: int = 0  # cut every image into tiles of this side first (CIFAR mosaics: 32)
    flips: bool = True
    shift: int = 0  # pixels that an image is moved by at most, its edges mirrored
    optimizer: Literal["adam", "muon"] = "muon"
    seed: int = 0

    def __post_init__(self) -> None:
        check_types(self, "train")
        if min(self.batch, self.steps) < 1 or self.lr <= 0:
            raise RecipeError("train.batch, train.steps and train.lr must be positive")
        if not 0 <= self.sigma_min <= self.sigma_max or (self.sigma_max and not self.sigma_min):
            raise RecipeError(
                "train.sigma_min must be positive and not above train.sigma_max, or both 0"
            )
        if not 0 <= self.cooldown <= 1 or not 0 <= self.ema < 1:
            raise RecipeError("train.cooldown is a share of 0 to 1, and train.ema below 1")
        if min(self.warmup, self.tile, self.shift) < 0:
            raise RecipeError("train.warmup, train.tile and train.shift are not negative")


@dataclass(frozen=True)
class ClassifierRecipe:
    """Everything that makes a classifier."""

    name: str
    classifier: ClassifierConfig
    train: ClassifierTrain

    def __post_init__(self) -> None:
        if self.classifier.kind == "convolutions" and self.noisy:
            raise RecipeError(
                'classifier.kind = "convolutions" is told no noise level: train.sigma_max is 0'
            )
        if self.classifier.kind == "encoder" and not self.noisy:
            raise RecipeError('classifier.kind = "encoder" needs train.sigma_max above 0')
        if self.train.shift >= self.classifier.size:
            raise RecipeError("train.shift must be below classifier.size")

    @property
    def noisy(self) -> bool:
        """Does it see noise?"""
        return self.train.sigma_max > 0

    def to_dict(self) -> dict[str, Any]:
        """The recipe as plain JSON types."""
        return dataclasses.asdict(self)

    @staticmethod
    def from_dict(fields: dict[str, Any]) -> ClassifierRecipe:
        """Build a recipe from plain types; raises RecipeError naming the offending field."""
        if set(fields) != {"name", "classifier", "train"}:
            raise RecipeError(
                "a classifier's recipe has name, [classifier] and [train]; this one has "
                f"{', '.join(sorted(fields)) or 'nothing'}"
            )
        return ClassifierRecipe(
            str(fields["name"]),
            from_plain(ClassifierConfig, fields["classifier"], "classifier"),
            from_plain(ClassifierTrain, fields["train"], "train"),
        )

    @staticmethod
    def load(path: Path) -> ClassifierRecipe:
        """Read a TOML recipe; raises RecipeError in one sentence."""
        return ClassifierRecipe.from_dict(read_fields(path))
