"""The integer network by a compiled kernel: the same integers as reference.py, in less time.

convolve.c evaluates a layer, or some rows of it, with the best instructions the processor has.
Here is what it needs: weights in its order (packed.py), the biases of a noise level, and streams,
whose memory is used again as soon as nobody reads them any more.
"""

from __future__ import annotations

import math
from collections import defaultdict
from functools import partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from diffcodec.bitstream.kernel import load_kernel
from diffcodec.bitstream.types import Int16, Int32
from diffcodec.exact.compiled_windows import Rows, attended, normalise
from diffcodec.exact.graph import Graph
from diffcodec.exact.memory import zeroed
from diffcodec.exact.packed import Biases, Packed, Shape, order_of, pack
from diffcodec.exact.stripes import Reach, Stripe, Window, plan, windows
from diffcodec.exact.threads import Threads

KERNEL = load_kernel("diffcodec.exact._convolve")

SMALL = 128 * 128  # input pixels up to which threads share out images, not rows
WORTHWHILE = 8_000_000  # products from which on the rows of a layer are shared out
# Bytes of all streams, of which less than half are held at a time, up to which an image is
# evaluated at once, else in stripes.
WHOLE = 512 << 20
# Bytes of all streams that a stripe adds, roughly; what the next one needs again is moved.
STRIPE = 256 << 20

Noise = tuple[float, Int32]  # its variance, and a layer's biases there


def instruction_sets() -> tuple[str, ...]:
    """The ones that can be used here, the fastest first; empty without the kernel."""
    return () if KERNEL is None else tuple(KERNEL.instruction_sets())


class Compiled:
    """Evaluates a Graph like Reference. Not to be had where KERNEL is None.

    threads: for the rows of large images, and for the images of a batch of small ones. isa:
    one of instruction_sets(), or None for the fastest. The output depends on neither. Large
    images are evaluated in stripes of rows (stripes.py), with the same output. Memory of streams
    is kept for the next image of the same size, unless it is large. Raises RuntimeError without
    the kernel, ValueError if there is no such set, CheckpointError if the graph's tensors do not
    fit.
    """

    def __init__(self, graph: Graph, threads: int = 1, isa: str | None = None) -> None:
        sets = instruction_sets()
        if not sets:
            raise RuntimeError("the kernel of integer networks is not built; use Reference instead")
        if isa is not None and isa not in sets:
            raise ValueError(f"there is no instruction set {isa} here; use {' or '.join(sets)}")
        self.graph, self.threads, self.isa = graph, threads, isa or sets[0]
        self.layers = pack(graph, order_of(self.isa))
        self._biases = Biases(graph)
        self._exp2 = graph.tensors.get("exp2", np.zeros(0)).astype(np.int64)
        self._threads = Threads(threads)
        self._side: tuple[int, ...] = ()
        self._spare: dict[Shape, list[Int32]] = defaultdict(list)

    def __call__(self, x: Int16, v: NDArray[np.float64]) -> Int32:
        """Output (N, H, W, C') int32 for input (N, H, W, C) int16 and noise variances (N,).

        Raises ValueError if the sides of the image do not suit the network.
        """
        n, height, width, channels = x.shape
        if self._side != (height, width):
            self._side = (height, width)
            self._spare.clear()
        shapes: list[Shape] = [(height, width, channels)]
        for layer in self.layers:
            shapes.append(layer.shape(shapes))
        if len(v) != n:
            raise ValueError(f"{n} images need {n} noise variances; there are {len(v)}")
        out = np.empty((n, *shapes[-1]), np.int32)
        size = 4 * sum(math.prod(shape) for shape in shapes)
        if size > WHOLE:
            rows = max(1, shapes[-1][0] * STRIPE // size)
            for image in zip(x, v, out, strict=True):
                self._in_stripes(*image, shapes=shapes, rows=rows)
        elif self.threads > 1 and n > 1 and height * width <= SMALL:
            images = partial(self._evaluate, shapes=shapes, threads=1)
            list(self._threads.pool.map(images, x, v, out))
        else:
            for image in zip(x, v, out, strict=True):
                self._evaluate(*image, shapes=shapes, threads=self.threads)
        return out

    def _evaluate(self, x: Int16, v: float, out: Int32, shapes: list[Shape], threads: int) -> None:
        """One image. Streams live until their last reader; the last one is `out`."""
        streams = {0: self._memory(shapes[0])}
        streams[0][:] = x
        biases = self._biases(float(v))
        for k, (layer, bias) in enumerate(zip(self.layers, biases, strict=True), start=1):
            if k == len(self.layers):
                streams[k] = out
            elif layer.in_place is not None:
                streams[k] = streams[layer.in_place]
            else:
                streams[k] = self._memory(shapes[k])
            sources = tuple(streams[i] for i in layer.sources)
            add = None if layer.add is None else streams[layer.add]
            rows = (0, shapes[k][0])
            self._layer(layer, sources, add, streams[k], (float(v), bias), rows, threads)
            for i in layer.done:
                stream = streams.pop(i)
                if i != layer.in_place:
                    self._spare[shapes[i]].append(stream)

    def _in_stripes(self, x: Int16, v: float, out: Int32, shapes: list[Shape], rows: int) -> None:
        """One image, with so many rows of the output at a time."""
        stripes = plan(self.layers, shapes, rows)
        held, biases = windows(stripes, shapes), self._biases(float(v))
        for stripe in stripes:
            for window, keep, end in zip(held, stripe.keep, stripe.begin, strict=False):
                window.drop(keep, end)
            held[0].rows(stripe.begin[0], stripe.end[0])[:] = x[stripe.begin[0] : stripe.end[0]]
            for k, bias in enumerate(biases, start=1):
                if stripe.begin[k] < stripe.end[k]:
                    self._stripe(k, held, out, (float(v), bias), stripe)

    def _stripe(self, k: int, held: list[Window], out: Int32, noise: Noise, stripe: Stripe) -> None:
        """What a stripe adds to stream k."""
        layer, reach = self.layers[k - 1], Reach.of(self.layers[k - 1])
        first = reach.start(stripe.begin[k])
        origin, end = reach.output(first), stripe.end[k]
        sources = tuple(held[i].rows(first, reach.end(end, stripe.end[i])) for i in layer.sources)
        add = None if layer.add is None else held[layer.add].rows(origin, end)
        to = out[origin:end] if k == len(self.layers) else held[k].rows(origin, end)
        rows = (stripe.begin[k] - origin, end - origin)
        self._layer(layer, sources, add, to, noise, rows, self.threads)

    def _layer(
        self,
        layer: Packed,
        sources: tuple[Int32, ...],
        add: Int32 | None,
        out: Int32,
        noise: Noise,
        between: tuple[int, int],
        threads: int,
    ) -> None:
        """Rows first .. end - 1 of a layer's output, counted like the rows of the sources."""
        assert KERNEL is not None
        made = self._made(layer, sources, noise[0], threads)
        rows = partial(
            KERNEL.layer,
            self.isa,
            sources if made is None else (made,),
            (*sources[0].shape[:2], *layer.numbers),
            layer.table if made is None else None,
            layer.weight,
            noise[1],
            layer.down,
            add,
            out,
        )
        first, height = between[0], between[1] - between[0]
        products = height * out.shape[1] * layer.products
        self._share(first, height, rows, threads if products >= WORTHWHILE else 1)
        if made is not None:
            self._spare[made.shape].append(made)

    def _made(
        self, layer: Packed, sources: tuple[Int32, ...], v: float, threads: int
    ) -> Int32 | None:
        """Activations of a layer that looks at windows, (H, W, c_in)."""
        if KERNEL is None or not (layer.norm or layer.attention):
            return None
        made = self._memory((*sources[0].shape[:2], layer.c_in))
        if layer.attention:
            attended(layer, sources, self._exp2, made)
        else:
            share = partial(self._share, 0, threads=threads)
            affine = self.graph.affine(layer.name, v)
            normalise(KERNEL, layer, sources, affine, made, share)
        return made

    def _share(self, first: int, count: int, rows: Rows, threads: int) -> None:
        """So many rows from `first` on, shared out."""
        parts = max(1, min(threads, count))
        cuts = [first + count * i // parts for i in range(parts + 1)]
        others = [self._threads.pool.submit(rows, *cut) for cut in pairwise(cuts[1:])]
        rows(*cuts[:2])
        for other in others:
            other.result()

    def _memory(self, shape: Shape) -> Int32:
        try:
            return self._spare[shape].pop()
        except IndexError:
            return zeroed(4 * math.prod(shape)).view(np.int32).reshape(shape)
