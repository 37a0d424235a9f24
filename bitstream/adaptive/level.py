"""How much model a level has, and where what it learns lies. level.h mirrors this file."""

from __future__ import annotations

import math
from dataclasses import dataclass

LANES = 16
NODES = 128  # of the tree, told apart by the path of the first six decisions
PATHS = 64  # contexts of the last mixer
VALUES = 512  # contexts of a final correction
BINS = 33  # its logits: -8 .. 8
CORRECTIONS = 3
SCALES = 48  # classes of a local squared error
PLAIN = 5  # tables whose contexts are small numbers; those after are hashed
SLOTS = 1024  # of a plain table
CLASSES = 16
FILTER = 16  # weights of the filter of errors, and of the scale's features
GRAM = 160 * LANES  # numbers of the largest sum of products

# Contexts of each set of mixing weights.
SET_SIZES = (256, 256, 240, 336, 576, 432, 128)

# Luminance and two chrominances of a step of green, red and blue.
GRIDS = (
    # JPEG
    ((0.587, 0.299, 0.114), (-0.331264, -0.168736, 0.5), (-0.418688, 0.5, -0.081312)),
    # video, BT.601
    (
        (0.504129, 0.256788, 0.097906),
        (-0.290993, -0.148223, 0.439216),
        (-0.367788, 0.439216, -0.071427),
    ),
    # video, BT.709
    (
        (0.614231, 0.182586, 0.062007),
        (-0.338572, -0.100644, 0.439216),
        (-0.398942, 0.439216, -0.040274),
    ),
    # Photo CD
    (
        (0.432273, 0.220027, 0.083861),
        (-0.264755, -0.134760, 0.399515),
        (-0.322371, 0.384911, -0.062540),
    ),
)


@dataclass(frozen=True)
class Level:
    """How much model.

    experts: groups of 16 of them; sets: of mixing weights; tables: of offsets; classic: predictors;
    fits: means by least squares; wide: whether there is a window between the local one and the
    whole; switched: fits of a class of samples each; hashed: bits of a hashed table's slots, at
    most.
    """

    experts: int
    sets: int
    tables: int
    classic: int
    fits: int
    wide: bool
    switched: int
    hashed: int

    @property
    def inputs(self) -> int:
        """Of a mixer: experts, tables and a constant."""
        return LANES * (self.experts + 1)

    @property
    def contexts(self) -> int:
        """Of all sets of mixing weights."""
        return sum(SET_SIZES[: self.sets])

    # Lanes of the experts: the blend with the learnt scale, the blend of fits, the fits, then:

    @property
    def estimate(self) -> int:
        """x0_hat, or the base."""
        return 2 + self.fits

    @property
    def state(self) -> int:
        """y."""
        return self.estimate + 1

    @property
    def filter(self) -> int:
        """The blend and the filtered misses."""
        return self.state + 1

    @property
    def first_classic(self) -> int:
        """The classic predictors."""
        return self.filter + 1

    @property
    def pool(self) -> int:
        """Another blend."""
        return self.first_classic + self.classic

    @property
    def narrow(self) -> int:
        """The blend, of a smaller scale."""
        return self.pool + 1

    @property
    def broad(self) -> int:
        """The blend, of a larger scale."""
        return self.narrow + 1

    @property
    def first_switched(self) -> int:
        """The switched fits."""
        return self.broad + 1

    @property
    def used(self) -> int:
        """Lanes that are experts."""
        return self.first_switched + self.switched


LEVELS = (
    Level(experts=1, sets=4, tables=8, classic=6, fits=2, wide=False, switched=0, hashed=15),
    Level(experts=2, sets=7, tables=14, classic=10, fits=5, wide=False, switched=0, hashed=16),
    Level(experts=2, sets=7, tables=14, classic=10, fits=6, wide=True, switched=2, hashed=18),
)


def layout(level: Level) -> dict[str, tuple[int, tuple[int, ...]]]:
    """Where everything that a channel's model learns lies in a run of singles, and its shape."""
    shapes: dict[str, tuple[int, ...]] = {
        "mixer": (level.contexts, level.inputs),
        "rate": (level.contexts,),
        "power": (level.inputs,),
        "last": (PATHS, 8),
        "plain": (PLAIN, SLOTS, 2),
        "correction": (CORRECTIONS, VALUES, BINS),
        "factor": (SCALES, LANES * level.experts),
        "scale": (FILTER,),
        "filter": (FILTER,),
        "gram": (GRAM,),
    }
    places, at = {}, 0
    for name, shape in shapes.items():
        places[name] = (at, shape)
        at += math.prod(shape)
    return places


def learnt_size(level: Level) -> int:
    """Singles that a channel's model learns."""
    at, shape = layout(level)["gram"]
    return at + math.prod(shape)
