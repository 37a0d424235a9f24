"""How many threads torch uses, for a while."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_FORKED: list[int] = []  # this process, if it is a forked child


@contextmanager
def torch_threads(count: int | None) -> Iterator[None]:
    """So many threads of torch inside the block, and as many as before after it; None: those.

    In a forked child one: OpenMP would wait for the threads of the parent, which are not there.
    """
    before = torch.get_num_threads()
    if _FORKED:
        count = 1
    if count is None or count == before:
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _FORKED.append(os.getpid()))
