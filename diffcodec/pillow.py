"""Pillow reads and writes .dfc files once this is imported.

import diffcodec.pillow
image = Image.open("photo.dfc")     # a whole file, or the first bytes of one
image.save("small.dfc", bpp=0.5)    # without bpp, psnr, max_bytes, max_steps: lossless
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from diffcodec import api
from diffcodec.bitstream.container import MAGIC, parse_header
from diffcodec.bitstream.errors import BitstreamError
from diffcodec.bitstream.types import Pixels
from diffcodec.errors import CheckpointError, OptionError
from diffcodec.image.holding import phrase
from diffcodec.image.pillow_info import info_of, metadata_of, texts_of
from diffcodec.limits import USUAL
from diffcodec.progressive.preview import SCALES

FORMAT = "DFC"
NETWORKS: list[str | Path] = []  # files and folders of networks to open images with, besides ours
LIMITS = USUAL  # what a file may ask for when its pixels are loaded

MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}  # by channels
GREY16 = ("I;16", "I;16L", "I;16B", "I;16N")
# Options of save() that api.encode takes, and those that are metadata.
OPTIONS = (
    *("model", "threads", "backend", "max_bytes", "bpp", "max_steps", "psnr", "effort"),
    *("chain", "code", "switch", "residual", "seed", "label"),
)
METADATA = (
    *("exif", "icc_profile", "xmp", "dpi", "aspect", "gamma", "chromaticity", "srgb"),
    *("photoshop", "comment", "cicp", "mdcv", "clli"),
)


class DfcImageFile(ImageFile.ImageFile):
    """A .dfc file, or the beginning of one, which opens as what it holds.

    Size, mode and info are there at once; a network runs when the pixels are asked for. Modes: L,
    LA, RGB, RGBA, and I;16 for grey of 16 bits. Pillow has no mode for other images of 16 bits:
    they are rounded to 8, and info["depth"] is 16; diffcodec.decode gives all of them.

    info: "depth"; "lossless": whether the file is whole, and once it is loaded, whether these are
    the exact pixels; once it is loaded also "steps" of "steps_total", and "damage", sentences on
    parts that are damaged, of which a warning is given. Metadata are named as in Pillow's own PNG
    and JPEG files. `draft`, and so `thumbnail`, decodes to 1/2, 1/4 or 1/8 of the size. Raises
    OSError for damage, for files beyond LIMITS, and where the file's network is neither a shipped
    one nor in NETWORKS.
    """

    format = FORMAT
    format_description = "diffcodec, lossy to lossless"

    def _open(self) -> None:
        assert self.fp is not None
        if not _accept(self.fp.read(len(MAGIC))):
            raise SyntaxError("not a .dfc file")
        self._data: bytes | None = MAGIC + self.fp.read()
        with _as_os_errors():
            header, _ = parse_header(self._data)
            metadata = api.metadata_of(self._data)
        self._size, self._scale = (header.width, header.height), 1
        self._fingerprint = header.fingerprint
        self._mode = MODES[header.format.channels]
        if header.format.depth > 8 and self._mode == "L":
            self._mode = "I;16"
        self.text = texts_of(metadata)
        whole = header.total_bytes == len(self._data)
        self.info.update(info_of(metadata))
        self.info |= {"depth": header.format.depth, "lossless": whole}
        self._announce()

    def _announce(self) -> None:
        """What `load` will find in `fp`."""
        self.tile = [ImageFile._Tile("raw", (0, 0, *self.size), 0, self.mode)]

    def draft(
        self, mode: str | None, size: tuple[int, int] | None
    ) -> tuple[str, tuple[int, int, float, float]] | None:
        """Decode to the smallest preview that is no smaller than `size`; there are other modes of
        none. Returns the mode and the box that the whole image fills; None if nothing changes.
        """
        if size is None or self._data is None or self._scale != 1:
            return None
        fits = [s for s in SCALES if self.width // s >= size[0] and self.height // s >= size[1]]
        if not fits:
            return None
        self._scale = max(fits)
        self._size = -(-self.width // self._scale), -(-self.height // self._scale)
        self._announce()
        return self.mode, (0, 0, float(self.width), float(self.height))

    def load(self) -> Any:
        """Decode the pixels, once."""
        if self._data is not None and self.tile:
            with _as_os_errors():
                model = _network_of(self._fingerprint)
                decoded = api.decode(self._data, model, scale=self._scale, limits=LIMITS)
            for sentence in decoded.damage:
                warnings.warn(sentence, stacklevel=2)
            self.info |= {
                "lossless": decoded.lossless,
                "steps": decoded.steps,
                "steps_total": decoded.steps_total,
                "damage": decoded.damage,
            }
            if self.fp and self._exclusive_fp:
                self.fp.close()
            self.fp = io.BytesIO(_as_mode(decoded.pixels, self.mode).tobytes())
            self._data = None
        return super().load()

    def load_seek(self, pos: int) -> None:
        """Nowhere: `load` has put the pixels into `fp`. Without this Pillow would map the file."""

    def verify(self) -> None:
        """Check what there is against its checksums, without a network; OSError for damage."""
        if self._data is not None:
            with _as_os_errors():
                model = _network_of(self._fingerprint)
                damage = api.open_file(self._data, model).damage
            if damage:
                raise OSError("; ".join(damage))
        super().verify()


def _accept(prefix: bytes) -> bool:
    return prefix.startswith(MAGIC)


@contextmanager
def _as_os_errors() -> Iterator[None]:
    """Our errors as Pillow's plugins raise theirs."""
    try:
        yield
    except (BitstreamError, CheckpointError, OptionError) as error:
        raise OSError(str(error)) from error


def _network_of(fingerprint: bytes) -> str | Path | None:
    """The one of NETWORKS that a file names; None: it is a shipped one, or not here."""
    return next((n for n in NETWORKS if api.fingerprint_of(n) == fingerprint), None)


def _as_mode(pixels: NDArray[Any], mode: str) -> NDArray[Any]:
    """Samples as they lie in memory of a mode."""
    if mode == "I;16":
        return pixels.astype("<u2")
    if pixels.dtype == np.uint16:
        return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return pixels


def _save(im: Image.Image, fp: IO[bytes], filename: str | bytes) -> None:
    """What Image.save calls. Options: those of diffcodec.encode, `model` among them; and metadata,
    exif, icc_profile, xmp, dpi and so on, in place of the image's own, None for leaving it out.

    A warning says which metadata a file that stops early does not hold. Raises OSError for modes
    that a .dfc file has not, and for options that there are not.
    """
    given = dict(im.encoderinfo)
    unknown = sorted(set(given) - {*OPTIONS, *METADATA, "text"})
    if unknown:
        raise OSError(
            f'a .dfc file is not saved with an option "{unknown[0]}"; there are '
            f"{', '.join(OPTIONS)}"
        )
    pixels = _pixels(im)
    own = {name: im.info[name] for name in METADATA if name in im.info}
    own |= {name: given[name] for name in METADATA if name in given}
    texts = given.get("text", getattr(im, "text", None)) or {}
    try:
        metadata = metadata_of(own, texts)
    except ValueError as error:
        raise OSError(str(error)) from error
    options = {name: given[name] for name in OPTIONS if name in given}
    with _as_os_errors():
        data = api.encode(pixels, metadata=metadata, **options)
    for item in api.left_out(data, metadata):
        warnings.warn(f"the file stops early, and {phrase(item)} is not in it", stacklevel=2)
    fp.write(data)


def _pixels(im: Image.Image) -> Pixels:
    """(H, W, C) of an image, exactly, or OSError."""
    if im.mode in GREY16 or (im.mode == "I" and _in_16_bits(*im.getextrema())):
        pixels = np.asarray(im).astype(np.uint16)
        if "transparency" in im.info:
            opaque = (pixels != im.info["transparency"]) * np.uint16(65535)
            pixels = np.stack([pixels, opaque], axis=-1)
    elif im.mode in ("1", "L", "P", "PA", "LA", "RGB", "RGBA"):
        pixels = np.asarray(im.convert(_own_mode(im)))
    else:
        raise OSError(
            f'a .dfc file holds grey, RGB and alpha, not mode {im.mode}: save image.convert("RGB")'
        )
    return np.ascontiguousarray(pixels.reshape(im.height, im.width, -1))


def _in_16_bits(least: Any, greatest: Any) -> bool:
    return bool(least >= 0 and greatest < 1 << 16)


def _own_mode(im: Image.Image) -> str:
    """The one of MODES that holds an image of 8 bits or fewer exactly."""
    grey = im.mode in ("1", "L", "LA")
    if im.has_transparency_data:
        return "LA" if grey else "RGBA"
    return "L" if grey else "RGB"


Image.register_open(FORMAT, DfcImageFile, _accept)
Image.register_save(FORMAT, _save)
Image.register_extension(FORMAT, ".dfc")
Image.register_mime(FORMAT, "image/x-diffcodec")
