"""Threads that evaluate a network: started when they are needed, by the process that needs them."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor


class Threads:
    """Up to `count` threads for those who share a network.

    A forked child inherits no threads, only the record that there are some, and would wait for them
    for ever. So it starts its own.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._started: tuple[int, ThreadPoolExecutor] | None = None  # by which process

    @property
    def pool(self) -> ThreadPoolExecutor:
        """The threads of this process."""
        process, started = os.getpid(), self._started
        if started is None or started[0] != process:
            # No lock, which a fork could find taken: where two threads are first at once, both
            # pools work, and one of them ends with what it was asked for.
            started = self._started = process, ThreadPoolExecutor(self.count)
        return started[1]
