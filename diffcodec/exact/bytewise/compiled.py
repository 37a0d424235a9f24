"""The integer network of bytes by a compiled kernel: the integers of reference.py, in less time.

kernel.c computes rows of chains of layers with the best instructions the processor has. Here is
what it needs: weights in its order (packed.py), a plan for the size of the image (chains.py and
plan.py), memory, and threads, which share out the rows of a chain, or the images of a batch of
small ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from diffcodec.bitstream.kernel import load_kernel
from diffcodec.bitstream.types import Int16, Int32
from diffcodec.exact.bytewise.chains import Rows, Stripe
from diffcodec.exact.bytewise.graph import ByteGraph
from diffcodec.exact.bytewise.packed import pack
from diffcodec.exact.bytewise.plan import Plan
from diffcodec.exact.memory import zeroed
from diffcodec.exact.threads import Threads

KERNEL = load_kernel("diffcodec.exact.bytewise._kernel")

SMALL = 128 * 128  # input pixels up to which threads share out images, not rows
WORTHWHILE = 8_000_000  # products from which on the rows of a chain are shared out
STRIPE = 1 << 18  # pixels of the network's output in a stripe, roughly, of large images


def instruction_sets() -> tuple[str, ...]:
    """The ones that can be used here, the fastest first; empty without the kernel."""
    return () if KERNEL is None else tuple(KERNEL.instruction_sets())


class ByteCompiled:
    """Evaluates a ByteGraph like ByteReference.

    threads: for the rows of large images, and for the images of a batch of small ones. isa: one of
    instruction_sets(), or None for the fastest. The output depends on neither. Memory is kept for
    the next image of the same size. Raises RuntimeError without the kernel, ValueError if there is
    no such set. The graph is one that was proven: what it holds is not looked at again.
    """

    def __init__(self, graph: ByteGraph, threads: int = 1, isa: str | None = None) -> None:
        sets = instruction_sets()
        if not sets:
            raise RuntimeError("the kernel of networks of bytes is not built; use ByteReference")
        if isa is not None and isa not in sets:
            raise ValueError(f"there is no instruction set {isa} here; use {' or '.join(sets)}")
        self.graph, self.threads, self.isa = graph, threads, isa or sets[0]
        self.packed = pack(graph, self.isa)
        self._threads = Threads(threads)
        self._spare: tuple[tuple[int, ...], list[_Workspace]] = (), []  # for images of this shape

    def __call__(self, x: Int16, v: NDArray[np.float64]) -> Int16:
        """Output (N, H, W, C') for input (N, H, W, C) and noise variances (N,).

        Raises ValueError if the sides of the image do not suit the network.
        """
        n, height, width, channels = x.shape
        first, last = self.graph.layers[0], self.graph.layers[-1]
        if channels != self.graph.weight(first).shape[3]:
            raise ValueError(f"the network reads other images than ones of {channels} channels")
        if len(v) != n:
            raise ValueError(f"{n} images need {n} noise variances; there are {len(v)}")
        small = self.threads > 1 and n > 1 and height * width <= SMALL
        shape = height, width, int(small)
        spare = self._spare  # another thread may put that of another shape in its place
        if spare[0] != shape:
            spare = self._spare = shape, []
        out = np.empty((n, height, width, len(self.graph.weight(last))), np.int16)
        images = partial(
            self._evaluate,
            shape=(height, width),
            threads=1 if small else self.threads,
            spare=spare[1],
        )
        if small:
            list(self._threads.pool.map(images, x, v, out))
        else:
            list(map(images, x, v, out))
        return out

    def _evaluate(
        self,
        x: Int16,
        v: float,
        out: Int16,
        shape: tuple[int, int],
        threads: int,
        spare: list[_Workspace],
    ) -> None:
        """One image. Memory that nobody uses is taken, and given back."""
        try:
            own = spare.pop()
        except IndexError:
            own = _Workspace(self, shape, threads)
        own(x, self.packed.sums(float(v)), out)
        spare.append(own)


class _Workspace:
    """A plan with its memory."""

    def __init__(self, network: ByteCompiled, shape: tuple[int, int], threads: int) -> None:
        self.network, self.threads = network, threads
        rows = max(1, STRIPE // shape[1])
        self.plan = Plan(network.graph, network.packed, shape, rows, threads)
        self.memory = zeroed(self.plan.size)
        self.plan.prepare(self.memory)
        self.input = self.plan.input(self.memory)

    def __call__(self, x: Int16, sums: Int32, out: Int16) -> None:
        done = 0
        for stripe in self.plan.stripes:
            if stripe.rows[0][0] < stripe.rows[0][1]:
                done = self._copy(x, done, self.plan.input_rows(stripe)[1])
            self._stripe(stripe, sums, out)

    def _copy(self, x: Int16, done: int, end: int) -> int:
        """Rows of the image to where the first layer reads them."""
        rows, channels = len(self.input), x.shape[2]
        while done < end:
            at = done % rows
            count = min(end - done, rows - at)
            self.input[at : at + count, :, :channels] = x[done : done + count]
            done += count
        return end

    def _stripe(self, stripe: Stripe, sums: Int32, out: Int16) -> None:
        plan = self.plan
        work = [
            (chain.first, chain.last, *rows)
            for chain, rows in zip(plan.chains, stripe.rows, strict=True)
            if rows[0] < rows[1]
        ]
        if self.threads == 1:
            self._run(0, work, sums, out)
            return
        for first, last, *rows in work:
            parts = self._parts(first, last, (rows[0], rows[1]))
            others = [
                self.network._threads.pool.submit(self._run, i, [(first, last, *part)], sums, out)
                for i, part in enumerate(parts[1:], start=1)
            ]
            self._run(0, [(first, last, *parts[0])], sums, out)
            for other in others:
                other.result()

    def _parts(self, first: int, last: int, rows: Rows) -> list[Rows]:
        """Rows of a chain's output, shared out among the threads if that is worth while."""
        sides = self.plan.sides[first : last + 1]
        begin, end = rows
        pixels = (end - begin) * sides[-1].out_width
        products = pixels * sum(side.kernel**2 * side.channels * side.outputs for side in sides)
        if products < WORTHWHILE:
            return [rows]
        cuts = [begin + (end - begin) * i // self.threads // 2 * 2 for i in range(self.threads)]
        edges = [*cuts, end]
        return [part for part in pairwise(edges) if part[0] < part[1]]

    def _run(self, thread: int, work: Sequence[tuple[int, ...]], sums: Int32, out: Int16) -> None:
        assert KERNEL is not None
        packed = self.network.packed
        KERNEL.chains(
            packed.isa,
            self.plan.tables[thread],
            packed.weights,
            sums,
            packed.constants,
            self.memory,
            out,
            np.array(work, np.int64),
        )
