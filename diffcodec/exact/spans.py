"""Wide images in spans of columns: the same integers as all at once, in bounded memory.

Zeros lie around the image at every layer of a network, so a span that ends inside the image is
right only where the network does not see its ends. It is given as many columns more as the network
reaches, on either side; they are thrown away.
"""

from __future__ import annotations

from dataclasses import dataclass

from diffcodec.exact.integers import IntegerNetwork


@dataclass(frozen=True)
class Span:
    """Columns [seen, seen_end) are evaluated together, and right in [kept, kept_end)."""

    seen: int
    seen_end: int
    kept: int
    kept_end: int


def reach(graph: IntegerNetwork) -> int:
    """How far from it, in pixels, a pixel of the input may have an effect on the output."""
    pitch, before, after = [1], [0], [0]  # of every stream, in squares of patch x patch pixels
    for k, layer in enumerate(graph.layers):
        sources = graph.sources(k)
        i = sources[0]  # all have the same pitch
        step = pitch[i] // 2 if layer.upsample else pitch[i]
        edge = graph.weight(layer).shape[1] // 2 * step
        # Where each row becomes two, the second one reads what begins a step before it.
        inside = (graph.window(k) - 1) * pitch[i]  # of a window, its other end
        low = max(before[i] for i in sources) + edge + inside + (step if layer.upsample else 0)
        high = max(after[i] for i in sources) + edge + inside
        if layer.add is not None:
            low, high = max(low, before[layer.add]), max(high, after[layer.add])
        pitch.append(step * layer.stride)
        before.append(low)
        after.append(high)
    return graph.patch * (max(before[-1], after[-1]) + 1)


def spans(graph: IntegerNetwork, length: int, most: int) -> list[Span]:
    """Spans of at most `most` columns, or of what the network needs, that cover `length` columns.

    All begin and end at multiples of the network's stride, but for the end of the last one.
    """
    unit = graph.stride
    halo = -(-reach(graph) // unit)
    whole, fits = -(-length // unit), max(most // unit, 3 * halo)
    if whole <= fits:
        return [Span(0, length, 0, length)]
    count = -(-(whole - 2 * halo) // (fits - 2 * halo))
    own = -(-(whole - 2 * halo) // count)  # units that a span adds to those before it
    found: list[Span] = []
    for i in range(count):
        begin = min(i * own, whole - own - 2 * halo)  # the last one may overlap, so that all
        end = begin + own + 2 * halo  # have the same size
        kept = found[-1].kept_end if found else 0
        last = i == count - 1
        found.append(
            Span(
                unit * begin,
                min(unit * end, length),
                kept,
                length if last else unit * (end - halo),
            )
        )
    return found
