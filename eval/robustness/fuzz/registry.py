"""All targets by name."""

from __future__ import annotations

from diffcodec.eval.robustness.fuzz import (
    archives,
    files,
    images,
    metadata,
    networks,
    pixels,
    texts,
)
from diffcodec.eval.robustness.fuzz.planted import PLANTED
from diffcodec.eval.robustness.fuzz.target import Target

TARGETS: dict[str, Target] = {
    target.name: target
    for module in (files, archives, pixels, metadata, images, networks, texts)
    for target in module.TARGETS
}


def target_of(name: str) -> Target:
    """A target, or one of those that are planted."""
    return {**TARGETS, **PLANTED}[name]


def shares(inputs: int, targets: list[Target]) -> dict[str, int]:
    """How many of all inputs each target gets, by weight; one at least."""
    weights = sum(target.weight for target in targets)
    return {target.name: max(1, inputs * target.weight // weights) for target in targets}
