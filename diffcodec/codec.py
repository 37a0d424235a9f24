"""The codec: images to bytes and back, at any cut. Algorithms 3 and 4: progressive/steps.py."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from diffcodec.accounting.trace import Clock, Trace
from diffcodec.beside import pack_beside
from diffcodec.bitstream.container import Header, parse_header
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.metadata import Metadata
from diffcodec.bitstream.types import Pixels, Progress
from diffcodec.checks import check_seed, check_stop
from diffcodec.conditions import conditioned, misfit
from diffcodec.decoded import Decoded, decoded_image, fitted
from diffcodec.draft import draft_of
from diffcodec.errors import OptionError
from diffcodec.file import File
from diffcodec.limits import NEVER, USUAL, Deadline, Limits
from diffcodec.opened import Opened
from diffcodec.progressive.alpha import decode_alpha, encode_alpha
from diffcodec.progressive.effort import effort_of
from diffcodec.progressive.fit import check_scale, scale_for
from diffcodec.progressive.parts import take_apart
from diffcodec.progressive.preview import preview
from diffcodec.progressive.receiver import Reconstruct, receive
from diffcodec.progressive.residual import RESIDUAL, Residual, Switch, ending_of
from diffcodec.progressive.sender import Stop, send
from diffcodec.progressive.shared import Shared
from diffcodec.progressive.steps import Walk
from diffcodec.sampling import reconstruction
from diffcodec.theory.chain import Chain


class Codec(Opened):
    """A network with its tables; encodes images of any size, decodes files made with it.

    Threads may share it, a forked child may use it, and it can be copied and pickled.
    """

    def encode(
        self,
        pixels: Pixels,
        *,
        metadata: Metadata = (),
        max_bytes: int | None = None,
        bpp: float | None = None,
        max_steps: int | None = None,
        psnr: float | None = None,
        effort: str = "default",
        chain: str | None = None,
        code: str | None = None,
        switch: Switch | None = None,
        residual: Residual = RESIDUAL,
        seed: int = 0,
        label: int | None = None,
        trace: Trace | None = None,
        progress: Progress | None = None,
    ) -> bytes:
        """A .dfc file of an image (H, W, C), uint8 or uint16, with its exact pixels at the end.

        C is 1 for grey, 3 for RGB, and one more with alpha. metadata: what the file holds besides;
        in one that stops before its end, only what colours and orientation depend on (`Item.early`;
        api.left_out names the rest). max_bytes, bpp or max_steps: stop there instead; psnr: stop
        once the colours reach so many dB; one of them. effort: "fast", "default" or "best", which
        chooses chain and code to suit the size, where they are not given. chain: "25", "50", ... of
        the network's optimised schedules, "ddpm:1000" or "cosine:50". code: of the steps' messages,
        by name: "butterfly:8" (fast) to "butterfly:18", or "polar:64" (small). residual: what codes
        the exact pixels, "adaptive" or "gaussian" (as in DDPM; 8 bits only). switch: the noise in
        grey levels (of 8 bits) at which steps end and the exact pixels follow, or "none", for no
        steps and no network at all. By default it is the effort's; but with the Gaussian, or where
        the file is to stop somewhere, steps go on to the end of the chain. label: the number of the
        image's class, for networks that have to know it; the file says it to the decoder.
        Raises OptionError for what does not exist, is no sensible number, or cannot be met.
        """
        check_stop(max_bytes=max_bytes, bpp=bpp, max_steps=max_steps, psnr=psnr)
        check_seed(seed)
        parts, work = take_apart(pixels), effort_of(effort)
        if reason := misfit(self.denoiser, self.name, parts.colours.shape[2], label):
            raise OptionError(reason)
        clock = Clock() if trace is None else trace.clock
        with clock.measure("total"):
            beside = pack_beside(metadata, encode_alpha(parts, work, self.workers, trace))
        draft = draft_of(
            parts,
            beside,
            work,
            self.tables,
            chain=chain,
            code=code,
            seed=seed,
            fingerprint=self.fingerprint,
            promised=self.promised,
            label=label,
        )
        room = draft.room(max_bytes, bpp)
        stop = Stop(room, max_steps, psnr)
        ending = ending_of(
            work,
            draft.levels,
            draft.header.coded,
            draft.header.width * draft.header.height,
            switch=switch,
            residual=residual,
            stops=stop != Stop(),
        )
        with clock.measure("total"):
            payload, lossless = send(
                self.shared(draft.header, draft.levels, clock),
                parts.colours,
                stop,
                ending,
                header_bytes=draft.payload_at,
                trace=trace,
                progress=progress,
            )
        data = draft.with_payload(payload, lossless)
        return data if room is None else data[: draft.payload_at + room]

    def decode(
        self,
        data: bytes | File,
        *,
        max_bytes: int | None = None,
        bpp: float | None = None,
        max_steps: int | None = None,
        reconstruct: Reconstruct | str | None = None,
        scale: int = 1,
        size: int | None = None,
        limits: Limits = USUAL,
        clock: Clock | None = None,
        progress: Progress | None = None,
    ) -> Decoded:
        """The best image that a file, or any prefix of one, holds.

        max_bytes, bpp or max_steps: use only that much of it. reconstruct: shows a cut otherwise
        than by its mean x0_hat: a name of diffcodec.sampling.SAMPLERS, or what
        diffcodec.sampling.reconstruction returns. scale: 2, 4 or 8 for a preview that is so many
        times smaller, from the steps that matter to it (diffcodec.progressive.preview). size: make
        it so small that its longest side has at most so many pixels, from the preview that is just
        large enough. limits: what the file may ask for. Raises BitstreamError for damage, except to
        a strip of the exact pixels, to alpha and to metadata (Decoded.damage), and for a file that
        was made with another network, OverLimit where it asks for more than the limits, OptionError
        for another scale or name, no sensible number, and for a preview that is to be
        reconstructed.
        """
        shown = _sampler(reconstruct)
        check_scale(scale, size, shown is not None)
        clock = clock if clock is not None else Clock()
        with clock.measure("total"):
            limits.check(data.header if isinstance(data, File) else parse_header(data)[0])
            file = self.open(data, max_bytes=max_bytes, bpp=bpp, max_steps=max_steps)
            steps = 0 if file.payload.plain or scale > 1 else len(file.payload.steps)
            deadline = limits.deadline(steps)
            longest = max(file.header.height, file.header.width)
            if size is not None and shown is None:
                scale = scale_for(longest, size)
            walk, alpha = (
                Walk(self.shared(file.header, file.chain, clock, deadline)),
                decode_alpha(file, self.workers, deadline),
            )
            if scale == 1:
                decoded = decoded_image(file, receive(file.payload, walk, progress, shown), alpha)
            else:
                opacity = None if alpha is None else alpha.opacity
                small = preview(file.payload, walk, scale, progress, opacity)
                decoded = decoded_image(file, small, alpha and alpha.shrunk(scale))
            return decoded if size is None else fitted(decoded, size)

    def decode_cuts(
        self,
        data: bytes,
        sizes: Iterable[int],
        reconstruct: Reconstruct | str | None = None,
        *,
        limits: Limits = USUAL,
    ) -> Iterator[Decoded]:
        """The image after each of these numbers of bytes, in increasing order.

        As decoding every prefix, but what they share is done once. reconstruct, limits: as in
        `decode`, but for seconds: callers who have waited long enough take no more images.
        """
        limits.check(parse_header(data)[0])
        shown, walk, alpha = _sampler(reconstruct), None, None
        for size in sizes:
            file = self.open(data, max_bytes=size)
            walk = walk or Walk(self.shared(file.header, file.chain, Clock()))
            alpha = alpha if alpha and alpha.exact else decode_alpha(file, self.workers)
            yield decoded_image(file, receive(file.payload, walk, None, shown), alpha)

    def progressive(self, data: bytes, *, limits: Limits = USUAL) -> Iterator[Decoded]:
        """The image after every complete step, and at last after all of the file; limits: as in
        `decode_cuts`."""
        limits.check(parse_header(data)[0])
        yield from self.decode_cuts(data, [*self.open(data).step_ends, len(data)], limits=limits)

    def open(
        self,
        data: bytes | File,
        *,
        max_bytes: int | None = None,
        bpp: float | None = None,
        max_steps: int | None = None,
    ) -> File:
        """A file taken apart, or only so much of it.

        Raises BitstreamError for damage and for another network's file.
        """
        header = data.header if isinstance(data, File) else parse_header(data)[0]
        if header.fingerprint != self.fingerprint:
            raise BitstreamError(
                f"the file was made with network {header.fingerprint.hex()}, not with {self.name} "
                f"({self.fingerprint.hex()})"
            )
        if reason := misfit(self.denoiser, self.name, header.coded.channels, header.label):
            raise BitstreamError(f"the file does not fit its network: {reason}")
        if isinstance(data, File):
            if max_bytes is None and bpp is None and max_steps is None:
                return data
            data = data.data
        return File.parse(data, self.tables, max_bytes=max_bytes, bpp=bpp, max_steps=max_steps)

    def shared(
        self, header: Header, levels: Chain, clock: Clock, deadline: Deadline = NEVER
    ) -> Shared:
        """What sender and receiver of a file share; deadline: the receiver's."""
        return Shared(
            denoiser=conditioned(self.denoiser, header.label),
            chain=levels,
            size=(header.height, header.width),
            format=header.coded,
            code=header.code,
            seed=header.seed,
            clock=clock,
            workers=self.workers,
            promised=header.promised,
            deadline=deadline,
        )


def _sampler(reconstruct: Reconstruct | str | None) -> Reconstruct | None:
    if reconstruct is None or callable(reconstruct):
        return reconstruct
    return reconstruction(reconstruct)
