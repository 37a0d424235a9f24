"""What is archived: images by their names, from files or from memory."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from diffcodec.bitstream.directory import MAX_TIME, PERMISSIONS, ImageInfo
from diffcodec.bitstream.types import Pixels
from diffcodec.errors import ImageError
from diffcodec.image import Choices, Picture, read_picture


@dataclass(frozen=True)
class Source:
    """An image to be archived.

    path: of its file, or the bytes of one, or the pixels or the picture themselves. modified, mode:
    as in ImageInfo; choices: what to do about a file that cannot be kept as it is.
    """

    name: str
    path: Path | str | bytes | Pixels | Picture
    modified: int | None = None
    mode: int | None = None
    choices: Choices = field(default_factory=Choices)

    @staticmethod
    def of_file(name: str, path: Path, choices: Choices) -> Source:
        """A file, with its time and permissions; what can be read but once is read now.

        Raises nothing about a file that is not there: reading it says so.
        """
        try:
            found = path.stat()
            if stat.S_ISFIFO(found.st_mode) or stat.S_ISCHR(found.st_mode):
                return Source(name, path.read_bytes(), choices=choices)
        except OSError:
            return Source(name, path, choices=choices)
        mode = found.st_mode & PERMISSIONS
        return Source(name, Path(os.path.abspath(path)), found.st_mtime_ns, mode, choices)

    @property
    def time(self) -> int | None:
        """When the file was last modified, if an archive can say that: not after the year 2262."""
        known = self.modified is not None and -MAX_TIME <= self.modified < MAX_TIME
        return self.modified if known else None

    def picture(self) -> Picture:
        """Raises ImageError or OSError."""
        if isinstance(self.path, Picture):
            return self.path
        if not isinstance(self.path, Path | str | bytes):
            return Picture(self.path)
        try:
            return read_picture(self.path, self.choices)
        except ImageError as error:
            if not isinstance(self.path, bytes):
                raise
            raise ImageError(f"{self.name}: {error}") from error

    def read(self) -> Pixels:
        """(H, W, C), uint8 or uint16; raises ImageError or OSError."""
        return self.picture().pixels

    def info(self, pixels: Pixels) -> ImageInfo:
        """What the directory says of it, with these pixels."""
        height, width, channels = pixels.shape
        depth = 8 * pixels.dtype.itemsize
        return ImageInfo(self.name, height, width, channels, depth, self.time, self.mode)
