"""What is done of prefixes in other processes, which find it here by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from diffcodec.eval.robustness.prefixes.golden import golden_row
from diffcodec.eval.robustness.prefixes.shipped import Large, shipped_row

Job = str | Large  # a golden file by its name, or an image
Row = dict[str, Any]


def _row(stride: int, job: Job) -> Row:
    return golden_row(job, stride) if isinstance(job, str) else shipped_row(job)


def doer(stride: int) -> Callable[[Job], Row]:
    """What does a job; stride: of the prefixes of golden files."""
    return partial(_row, stride)
