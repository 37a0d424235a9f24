"""Meeting the processes that torchrun started, and parting from them in order."""

from __future__ import annotations

import atexit
import datetime
from typing import Literal

import torch.distributed as dist


def meet(backend: Literal["gloo", "nccl"], patience: datetime.timedelta | None = None) -> None:
    """Join the process group that torchrun's environment describes, once.

    It is left when the interpreter ends: its threads would abort a process that just stops.
    """
    if dist.is_initialized():
        return
    dist.init_process_group(backend, timeout=patience)
    atexit.register(_part)


def _part() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()
