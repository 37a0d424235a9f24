"""Several processes that share a measurement: what torchrun starts, on one machine or on many."""

from __future__ import annotations

import datetime
import os
from dataclasses import dataclass
from typing import Any, TypeVar

Value = TypeVar("Value")

PATIENCE = datetime.timedelta(days=7)  # shares may differ in length by hours


@dataclass(frozen=True)
class Ranks:
    """This process's place, `rank` of `world`; alone by default."""

    rank: int = 0
    world: int = 1

    @staticmethod
    def join() -> Ranks:
        """Meet the other processes, if torchrun's environment speaks of any."""
        ranks = Ranks(int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")))
        if ranks.world > 1:
            from diffcodec.training.distributed import meet

            meet("gloo", PATIENCE)
        return ranks

    @property
    def first(self) -> bool:
        """The one that reads, merges and prints."""
        return self.rank == 0

    @property
    def share(self) -> slice:
        """This process's part of a sequence that all of them know."""
        return slice(self.rank, None, self.world)

    def broadcast(self, value: Value) -> Value:
        """The first one's value, in all."""
        if self.world == 1:
            return value
        import torch.distributed as dist

        box = [value]
        dist.broadcast_object_list(box)
        return box[0]

    def gather(self, value: Value) -> list[Value] | None:
        """All values in the first one, None in the others."""
        if self.world == 1:
            return [value]
        import torch.distributed as dist

        values: list[Any] | None = [None] * self.world if self.first else None
        dist.gather_object(value, values)
        return values
