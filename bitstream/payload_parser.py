"""Takes the payload of a .dfc file apart; payload_writer.py writes it.

Parsing needs integers only (nodes, dims, the step code's lengths and the expected energies of the
network's file), so a file is taken apart, and its layers verified, before any network is run.
"""

from __future__ import annotations

from collections.abc import Iterator

from diffcodec.bitstream.bits import OutOfBits, read_skip_or_change
from diffcodec.bitstream.layers import LayerReader, damaged
from diffcodec.bitstream.payload import LAYER, Payload
from diffcodec.bitstream.pixel_parser import parse_pixels
from diffcodec.bitstream.plan import ENERGY, FEWEST_BITS, Plan, Step


def parse_payload(
    data: bytes,
    plan: Plan,
    total: int | None,
    max_steps: int | None,
    layers: type[LayerReader] = LayerReader,
) -> Payload:
    """Take a payload, or any prefix of it, apart and verify its layers.

    total: bytes of the whole payload, None if it has no lossless end. max_steps: stop after so many
    complete steps. layers: what verifies them. Raises BitstreamError where a layer is damaged, and
    where all of the payload is there, but not the end of its pixels.
    """
    payload = Payload()
    parser = _StepParser(layers(data, payload), plan)
    for step in parser.steps():
        payload.steps.append(step)
        if max_steps is not None and len(payload.steps) >= max_steps:
            return payload
    if total is not None and parser.at_pixels:
        parse_pixels(parser.layers, plan, total)
    parser.layers.count("cut", 8 * len(data))
    ended = payload.pixel_crc is not None or any(block.damaged for block in payload.blocks)
    if total is not None and len(data) >= total and not ended:
        # A step's head that is wrong may state so long a step that it looks like one that was cut.
        raise damaged("nothing of it is cut off, and yet it does not end", parser.layers.layer)
    return payload


class _StepParser:
    def __init__(self, layers: LayerReader, plan: Plan) -> None:
        self.plan, self.layers = plan, layers
        self.at_pixels = False

    def steps(self) -> Iterator[Step]:
        """Steps in order, the last one perhaps incomplete."""
        plan, layers, state, offset, number = self.plan, self.layers, -1, 0, 0
        reader = layers.reader
        while state < plan.nodes - 1:
            try:
                skipped, change = read_skip_or_change(reader)
                end = state + 1 + skipped
                if end == plan.nodes:
                    break
                if end < plan.nodes and change is None:
                    skipped, change = read_skip_or_change(reader)
                if end > plan.nodes or change is None:
                    raise damaged("a step leads nowhere", reader.at // 8)
            except OutOfBits:
                return
            offset += change
            if not ENERGY[0] <= plan.energy(state, end, offset) <= ENERGY[1]:
                raise damaged("a step has an impossible energy", reader.at // 8)
            head = plan.head(state, end, offset)
            if head.n_bits < FEWEST_BITS:
                if reader.left < FEWEST_BITS:
                    return  # the padding of a file that ends with a step
                raise damaged("a step carries next to nothing", reader.at // 8)
            layers.count("side", reader.at, number)
            bits = reader.read(head.n_bits)
            step = head.with_bits(bits, -(-reader.at // 8))
            layers.count("path", reader.at, number)
            yield step
            if not step.complete:
                return
            state, number = end, number + 1
            if reader.at - 8 * layers.layer >= 8 * LAYER:
                layers.count("padding", 8 * reader.align())
                if not layers.close(reader.at // 8):
                    return
        self.at_pixels = True
        layers.count("side", reader.at)
        layers.count("padding", 8 * reader.align())
