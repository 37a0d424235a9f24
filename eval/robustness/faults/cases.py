"""The commands that are disturbed, and what each has to make, on inputs of a scene."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from diffcodec.eval.robustness.faults.scene import COUNT, Scene

OUT = "out"  # the folder of results, in the one that a command runs in


@dataclass(frozen=True)
class Case:
    """A command with its arguments, and the files that it makes, by their paths in OUT.

    first: options of a call; again: those of a call that goes on after an interrupted one. grows:
    files among those made that an interrupted call leaves for the next one to go on with; others
    appear whole or not at all. over: it may write over older results, with `first`. patches:
    numbers of modules, by their full names, that make the command do often what otherwise takes
    minutes. program: what Python runs.
    """

    name: str
    words: tuple[str, ...]
    makes: tuple[str, ...]
    first: tuple[str, ...] = ("-f",)
    again: tuple[str, ...] = ("-f",)
    grows: tuple[str, ...] = ()
    over: bool = True
    patches: Mapping[str, Any] = field(default_factory=dict)
    program: tuple[str, ...] = ("-m", "diffcodec")


def cases_of(scene: Scene) -> list[Case]:
    """All commands."""
    network, images = ("-m", str(scene.network)), str(scene.images)
    fast, out = ("--effort", "fast"), (f"--out={OUT}",)
    numbers = range(COUNT)
    pixels = tuple(f"{i}.png" for i in numbers)
    run = ("state.pt", "stats.jsonl")
    return [
        Case("encode", ("encode", str(scene.image), f"{OUT}/a.dfc", *network, *fast), ("a.dfc",)),
        Case(
            "encode many",
            ("encode", images, "-o", OUT, "-j2", *network, *fast),
            tuple(f"{i}.dfc" for i in numbers),
            again=("--resume",),
        ),
        Case("decode", ("decode", str(scene.coded), f"{OUT}/a.png", *network), ("a.png",)),
        Case(
            "archive",
            ("archive", images, f"{OUT}/a.dfa", *network, "--chain=12", "--tile=16"),
            ("a.dfa",),
            again=("-f", "--resume"),
            patches={"diffcodec.archive.archive.GROUP_VALUES": 2000},
        ),
        Case("extract", ("extract", str(scene.archive), "-o", OUT, *network), pixels),
        Case(
            "eval",
            (
                *("eval", images, *network, *fast, "--no-peers", "--cuts=1,4"),
                *("--records", f"{OUT}/e.jsonl", "--json", f"{OUT}/e.json"),
            ),
            ("e.jsonl", "e.json"),
            grows=("e.jsonl",),
        ),
        Case(
            "nll",
            (
                *("nll", images, *network, "--chain=12", "--batch-size=1"),
                *("--records", f"{OUT}/n.jsonl", "--csv", f"{OUT}/n.csv"),
            ),
            ("n.jsonl", "n.csv"),
            grows=("n.jsonl",),
        ),
        Case(
            "train",
            ("train", str(scene.recipe), "--data", images, *out),
            ("model.safetensors", *run),
            first=(),
            again=(),
            grows=("model.safetensors", *run),
            over=False,
            patches={
                "diffcodec.training.train.SAVE_EVERY": 0.0,
                "diffcodec.cli.training_set.PIXELS": 1024,
            },
        ),
        Case(
            "train-classifier",
            (
                *("train-classifier", str(scene.classifier), "--data", str(scene.tiles)),
                *("--labels", str(scene.labels), *out),
            ),
            ("classifier.safetensors", *run),
            first=(),
            again=(),
            grows=("classifier.safetensors", *run),
            over=False,
            patches={
                "diffcodec.classifier.train.SAVE_EVERY": 0.0,
                "diffcodec.classifier.train.LOG_EVERY": 4,
            },
        ),
    ]
