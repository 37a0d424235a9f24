"""Any codec that has a command line, given by a template.

    name=cenc {input} {output} -q {q}; cdec {output} {decoded}

Two commands, the encoder and the decoder, run without a shell. {input} is an image to read,
{output} the coded file, {decoded} where the decoder puts its image; {input.ppm} and the like
choose a suffix (.png, .bin and .png otherwise). {q} is each of the qualities in turn.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from diffcodec.bitstream.types import Pixels
from diffcodec.eval.common.coded import File, PeerError, read_again
from diffcodec.eval.peers.pillow_codecs import read
from diffcodec.image import WRITES, to_bytes

SUFFIXES = {"input": ".png", "output": ".bin", "decoded": ".png"}
FIELD = re.compile(r"\{(input|output|decoded)(\.\w+)?\}")


@dataclass(frozen=True)
class CommandCodec:
    """encoder, decoder: words with fields; qualities: what {q} becomes, one file each."""

    name: str
    encoder: tuple[str, ...]
    decoder: tuple[str, ...]
    qualities: tuple[str, ...]

    @staticmethod
    def parse(template: str, qualities: Sequence[str]) -> CommandCodec:
        """Raises PeerError, in one sentence, for a template that makes no sense."""
        name, equals, commands = template.partition("=")
        parts = commands.split(";")
        try:
            encoder, decoder = (tuple(shlex.split(part)) for part in parts)
        except ValueError:
            encoder = decoder = ()
        if not (re.fullmatch(r"[\w.+-]+", name) and equals and encoder and decoder):
            raise PeerError(
                f"--codec {template!r} is not 'NAME=ENCODER {{input}} {{output}}; "
                "DECODER {output} {decoded}'"
            )
        for words, fields in ((encoder, ("input", "output")), (decoder, ("output", "decoded"))):
            for field in fields:
                if not any(f[1] == field for word in words for f in FIELD.finditer(word)):
                    raise PeerError(f"--codec {name}: {words[0]} does not get {{{field}}}")
        turns = any("{q}" in word for word in encoder)
        return CommandCodec(name, encoder, decoder, tuple(qualities) if turns else ("",))

    def missing(self) -> list[str]:
        """The programs that are not here."""
        words = dict.fromkeys((self.encoder[0], self.decoder[0]))
        return [word for word in words if shutil.which(word) is None]

    def files(self, pixels: Pixels, budgets: Sequence[int] = ()) -> list[File | None]:
        """One file for each quality, whatever the budgets. Raises PeerError if a command fails."""
        return [self._file(pixels, quality) for quality in self.qualities]

    def _file(self, pixels: Pixels, quality: str) -> File:
        with tempfile.TemporaryDirectory() as folder:
            at = _Paths(Path(folder))
            source, target = at("input", self.encoder), at("output", self.encoder)
            if source.suffix not in WRITES:
                raise PeerError(
                    f"{self.name}: images can be given to it as {', '.join(WRITES)}, "
                    f"not as {source.suffix}"
                )
            source.write_bytes(to_bytes(pixels, WRITES[source.suffix]))
            start = time.perf_counter()
            at.run(self.name, self.encoder, quality)
            seconds = time.perf_counter() - start
            if not target.is_file():
                raise PeerError(f"{self.name}: {self.encoder[0]} made no file")
            data = target.read_bytes()
        decode = partial(self.decode, channels=pixels.shape[2], quality=quality)
        try:
            return read_again(pixels, data, decode, seconds)
        except PeerError:
            raise
        except (OSError, ValueError) as error:
            raise PeerError(f"{self.name}: what it decoded is not the image: {error}") from error

    def decode(self, data: bytes, channels: int, quality: str) -> Pixels:
        """(H, W, channels) uint8."""
        with tempfile.TemporaryDirectory() as folder:
            at = _Paths(Path(folder))
            at("output", self.encoder).write_bytes(data)
            if (own := at("output", self.decoder)) != at("output", self.encoder):
                own.write_bytes(data)
            at.run(self.name, self.decoder, quality)
            target = at("decoded", self.decoder)
            if not target.is_file():
                raise PeerError(f"{self.name}: {self.decoder[0]} made no image")
            return read(target.read_bytes(), channels)


class _Paths:
    """The files of one run, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, field: str, words: Sequence[str]) -> Path:
        """Where a field of these words lies."""
        found = (f for word in words for f in FIELD.finditer(word) if f[1] == field)
        return self._path(next(found))

    def _path(self, field: re.Match[str]) -> Path:
        return self.folder / f"{field[1]}{field[2] or SUFFIXES[field[1]]}"

    def run(self, name: str, words: Sequence[str], quality: str) -> None:
        """Raises PeerError if the command fails."""
        command = [
            FIELD.sub(lambda f: str(self._path(f)), word).replace("{q}", quality) for word in words
        ]
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=False
        )
        if done.returncode:
            said = (done.stderr.strip() or done.stdout.strip()).splitlines()
            raise PeerError(f"{name}: {words[0]} failed: {said[-1] if said else done.returncode}")
