"""A group of an archive: images cut into tiles, all on one stack of bits.

The stack starts from what the file itself carries: the first tiles are coded progressively, and
their bytes are the bits that the next tiles' latents are popped from. Batches grow as the stack
does, so about two tiles are enough. Decoding takes everything off again, in reverse order, and ends
with the progressive tiles; the stack is then empty.
"""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import takewhile
from typing import cast

import numpy as np

from diffcodec.accounting.trace import Balance, Clock
from diffcodec.archive.alone import AloneCoder
from diffcodec.archive.bitsback import pop, push
from diffcodec.archive.ending import chain_of_tile
from diffcodec.archive.model import Model, tile_model
from diffcodec.bitstream.ans import LANES, Stack, StackEmpty
from diffcodec.bitstream.archive import Entry
from diffcodec.bitstream.archive_header import ArchiveHeader
from diffcodec.bitstream.byte_order import little_endian
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.sample_format import archived
from diffcodec.bitstream.tiles import Shape, tiles_of
from diffcodec.bitstream.types import Pixels, Progress
from diffcodec.codec import Codec
from diffcodec.limits import BASE, NEVER, USUAL, Deadline, Limits, OverLimit
from diffcodec.progressive.plain import graphics_bytes
from diffcodec.theory.chain import choose_chain
from diffcodec.theory.denoiser import BatchDenoiser

# Bits of a sub-pixel as a lossless WebP below which a tile is graphics. Tiles of photographs take
# 1.5 and more, and the network then as much; of graphics WebP makes next to nothing, it makes 1.
GRAPHICS_BPD = 1.0
TILE = 300  # bytes that a tile takes in the list of all, about
SIDE = 32  # of a tile for a network: smaller ones are padded
LATENTS = 500  # bytes that a pixel takes while its batch is decoded, about
BATCH = 128 * 128  # pixels in a batch, at most: what a network runs on one thread, always alike


def is_graphics(pixels: Pixels) -> bool:
    """Whether a tile (H, W, C) is so small as a lossless WebP that it goes as one."""
    return 8 * graphics_bytes(pixels.transpose(2, 0, 1)) < GRAPHICS_BPD * pixels.size


@dataclass
class Spent:
    """What a group's bits were spent on. Bits-back steps are in `balance`."""

    balance: Balance
    progressive_bits: int = 0  # the initial tiles; their bytes are the initial bits
    progressive_ideal: float = 0.0  # what theory asks for these tiles
    progressive_values: int = 0  # sub-pixels in them
    graphics_bits: int = 0  # the tiles that are graphics
    graphics_values: int = 0
    packing_bits: float = 0.0  # of the lanes' states, over what they hold
    plain_images: int = 0  # those that need no network
    plain_bits: int = 0
    plain_ideal: float = 0.0
    plain_values: int = 0
    metadata_bits: int = 0


class GroupCoder:
    """Codes and decodes groups of one archive."""

    def __init__(
        self,
        codec: Codec,
        header: ArchiveHeader,
        clock: Clock | None = None,
        limits: Limits = USUAL,
    ) -> None:
        self.codec, self.header, self.clock = codec, header, clock or Clock()
        self.limits = limits
        self.chain = choose_chain(header.chain_name, codec.tables)
        self.alone = AloneCoder(codec, header, self.clock, limits)
        self._model = lru_cache(maxsize=16)(self._make_model)

    def encode(
        self,
        images: Sequence[Pixels],
        spent: Spent | None = None,
        progress: Progress | None = None,
    ) -> tuple[list[Entry], bytes]:
        """Entries and body of images (H, W, C) uint8."""
        tiles = tiles_of([(p.shape[0], p.shape[1], p.shape[2]) for p in images], self.header.tile)
        stack, entries, at = Stack(), list[Entry](), 0
        kinds = [(t.shape, is_graphics(t.of(images[t.image]))) for t in tiles]
        while at < len(tiles):
            shape, graphics = kinds[at]
            most = 0 if graphics else self._largest_batch(stack, shape)
            alike = sum(1 for _ in takewhile(kinds[at].__eq__, kinds[at : at + most]))
            batch = tiles[at : at + max(1, alike)]
            pixels = np.stack([t.of(images[t.image]) for t in batch])
            stack, done = self._push(stack, pixels[:alike], spent)
            if done:
                entries.append(Entry(done, zlib.crc32(little_endian(pixels[:done]).data)))
            else:
                code = self._graphics if graphics else self._progressive
                payload = code(pixels[0], spent)
                stack.put_bytes(payload)
                entries.append(Entry(0, zlib.crc32(little_endian(pixels[0]).data), len(payload)))
            at += done or 1
            if progress:
                progress(at, len(tiles))
        body = stack.pack()
        if spent is not None:
            spent.packing_bits += 8 * len(body) - stack.bits
        return entries, body

    def decode(
        self,
        shapes: Sequence[Shape],
        entries: Sequence[Entry],
        body: bytes,
        wanted: set[int],
        progress: Progress | None = None,
        *,
        intact: bool = True,
    ) -> dict[int, Pixels]:
        """The wanted images, by their number in the group: only what lies above is decoded.

        intact: whether the body matches its checksum; if not, the images that lie above the damage
        are there, as their own checksums say. Raises BitstreamError if the entries do not fit, or
        pixels do not match their checksum, OverLimit beyond the limits.
        """
        self.limits.check_memory(self._memory(shapes, entries), "the group's images")
        deadline = self.limits.deadline()
        tiles = tiles_of(shapes, self.header.tile)
        if sum(e.tiles for e in entries) != len(tiles):
            raise BitstreamError("a group's tiles do not fit its images")
        first = next((i for i, e in enumerate(entries) if e.count), None)
        stack = Stack.unpack(body, first is not None)
        images = {i: np.empty(shapes[i], archived(shapes[i][2]).dtype) for i in wanted}
        end, missing = len(tiles), Counter(t.image for t in tiles if t.image in wanted)
        for i in reversed(range(len(entries))):
            if not missing.total():
                return images
            deadline.check()
            entry = entries[i]
            here = tiles[end - entry.tiles : end]
            if any(t.shape != here[0].shape for t in here):
                raise BitstreamError("a group's tiles do not fit its images")
            try:
                pixels = self._pop(stack, entry, here[0].shape, deadline)
            except OverLimit:
                raise
            except BitstreamError:
                if intact:
                    raise
                return {i: image for i, image in images.items() if not missing[i]}
            for tile, part in zip(here, pixels, strict=True):
                if tile.image in wanted:
                    tile.of(images[tile.image])[:] = part
                    missing[tile.image] -= 1
            end -= len(here)
            if i == first and intact:
                stack.close_beginning()
            if progress:
                progress(len(tiles) - end, len(tiles))
        if stack.count and intact:
            raise BitstreamError("the stack does not end where it began: the stream is damaged")
        return images

    # --- one entry ---

    def _push(self, stack: Stack, pixels: Pixels, spent: Spent | None) -> tuple[Stack, int]:
        """The stack with a batch on it, and how many tiles of it there was room for."""
        n = len(pixels)
        while n:
            trial, balance = stack.copy(), Balance()
            if trial.states is None:
                trial.open()
            opened = trial.bits - stack.bits
            try:
                push(self._model(pixels[0].shape), trial, pixels[:n], balance)
            except StackEmpty:
                n //= 2
                continue
            if spent is not None:
                spent.balance.include(balance)
                spent.packing_bits += opened
            return trial, n
        return stack, 0

    def _pop(self, stack: Stack, entry: Entry, shape: Shape, deadline: Deadline = NEVER) -> Pixels:
        if entry.count:
            pixels = pop(self._model(shape), stack, entry.count, deadline)
        else:
            pixels = self.alone.decode(stack.take_bytes(entry.size), shape)[None]
        if zlib.crc32(little_endian(pixels).data) != entry.crc:
            raise BitstreamError(
                "the decoded pixels do not match their checksum, though the archive is intact: "
                "this installation computes something wrong; diffcodec selftest reports what"
            )
        return pixels

    def _memory(self, shapes: Sequence[Shape], entries: Sequence[Entry]) -> int:
        """Bytes that decoding a group's images takes, about, by its head alone."""
        side = self.header.tile
        tiles = sum(-(-height // side) * -(-width // side) for height, width, _ in shapes)
        pixels = sum(math.prod(shape) for shape in shapes)
        padded = (_padded(min(h, side)) * _padded(min(w, side)) for h, w, _ in shapes)
        widest = max(padded, default=0)
        batch = widest * max((entry.tiles for entry in entries), default=0)
        return BASE + TILE * tiles + pixels + LATENTS * batch

    def _largest_batch(self, stack: Stack, shape: Shape) -> int:
        """How many tiles of a shape the stack's bits serve, and the network in one go."""
        usable = stack.bits - 32 * LANES  # states do not fall below 32 bits
        room = int(usable // self._model(shape).initial_bits)
        area = _padded(shape[0]) * _padded(shape[1])
        return max(0, min(room, max(1, BATCH // area)))

    def _make_model(self, shape: Shape) -> Model:
        denoiser = cast(BatchDenoiser, self.codec.denoiser)
        chain = chain_of_tile(self.header, self.chain, shape)
        return tile_model(denoiser, self.header, chain, shape, self.clock)

    # --- tiles that are coded alone ---

    def _graphics(self, pixels: Pixels, spent: Spent | None) -> bytes:
        payload = self.alone.without_steps(pixels).payload
        if spent is not None:
            spent.graphics_bits += 32 * -(-len(payload) // 4)
            spent.graphics_values += pixels.size
        return payload

    def _progressive(self, pixels: Pixels, spent: Spent | None) -> bytes:
        code = self.alone.encode(pixels)
        if spent is not None:
            spent.progressive_bits += 32 * -(-len(code.payload) // 4)
            spent.progressive_ideal += code.ideal_bits
            spent.progressive_values += pixels.size
        return code.payload


def _padded(side: int) -> int:
    """A side of a tile as networks see it."""
    return max(side, SIDE)
