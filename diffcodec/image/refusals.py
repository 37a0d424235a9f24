"""What cannot be kept is refused in one sentence that says what to do."""

from __future__ import annotations

from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from diffcodec.errors import ImageError
from diffcodec.image.boxes import avif_depth, jp2_depths
from diffcodec.image.picture import Choices
from diffcodec.image.tiff_tags import DNG_VERSION, EXTRA_SAMPLES

MAX_PIXELS = 2**26
KEPT = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "I;16", "I;16B", "I;16L")
_FORMS = {"F": "floating-point numbers", "I": "numbers of 32 bits"}


def refuse_size(width: int, height: int, name: str) -> None:
    """Raise ImageError for more pixels than MAX_PIXELS, or none."""
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"{name} has {width * height:,} pixels, more than {MAX_PIXELS:,}; cut it up"
        )
    if width < 1 or height < 1:
        raise ImageError(f"{name} has no pixels")


def chosen_frame(file: Image.Image, name: str, choices: Choices) -> None:
    """Go to the image that was chosen, or raise ImageError if one has to be."""
    count = getattr(file, "n_frames", 1)
    if choices.frame is None:
        if count > 1 and file.format != "MPO":  # whose first one is a whole JPEG
            raise ImageError(
                f"{name} holds several images; choose one of them (--frame 0 to {count - 1})"
            )
    elif not 0 <= choices.frame < count:
        last = f"to {count - 1}" if count > 1 else "alone"
        raise ImageError(f"{name} has no image {choices.frame}: it holds image 0 {last}")
    elif choices.frame:
        file.seek(choices.frame)


def refuse_colours(file: Image.Image, name: str) -> None:
    """Raise ImageError for colours other than grey and RGB, and depths other than 8 and 16 bits."""
    if premultiplied(file):
        raise ImageError(
            f"{name} holds colours multiplied by alpha, which do not come back exactly; convert "
            "it (--convert rgb divides them)"
        )
    if file.mode in _FORMS or file.mode.startswith("I;16S"):
        raise ImageError(
            f"{name} holds {_FORMS.get(file.mode, 'signed numbers')}, not 8 or 16 bits a channel; "
            "convert it to 16 bits (--convert rgb scales it to 8)"
        )
    if file.mode not in KEPT:
        raise ImageError(
            f"{name} is {file.mode}, not RGB or grey; convert it to RGB (--convert rgb does)"
        )


def premultiplied(file: Image.Image) -> bool:
    """Whether colours were multiplied by alpha."""
    if isinstance(file, TiffImageFile) and file.tag_v2.get(EXTRA_SAMPLES, (0,))[0] == 1:
        return True
    return file.mode in ("La", "RGBa")


def refuse_depths(data: bytes, format: str, name: str) -> None:
    """Raise ImageError for depths that Pillow would reduce to 8 bits without a word."""
    if format == "AVIF" and (depth := avif_depth(data)) > 8:
        raise ImageError(
            f"{name} is an AVIF of {depth} bits a channel, of which 8 are read; convert it to PNG "
            "with 16 bits"
        )
    if format == "JPEG2000" and (depths := jp2_depths(data)) - {8}:
        found = ", ".join(str(abs(depth)) for depth in sorted(depths))
        raise ImageError(f"{name} is JPEG 2000 of {found} bits a channel, not 8; convert it to PNG")


def refuse_tiff(file: TiffImageFile, name: str) -> None:
    """Raise ImageError for what Pillow reads otherwise than it is meant."""
    tags = file.tag_v2
    bits = max(tags.get(258, (1,)))
    if DNG_VERSION in tags or (330 in tags and tags.get(254, 0) & 1):
        raise ImageError(f"{name} is a camera's raw file; develop it and save it as TIFF or PNG")
    if file.mode.startswith("I;16") and bits != 16:
        raise ImageError(f"{name} has {bits} bits a channel; convert it to 16 bits")
    if file.mode == "L" and 2 in tags.get(339, (1,)):
        raise ImageError(f"{name} holds signed numbers; convert it to unsigned ones")
    if bits == 16 and (tags.get(284, 1) == 2 or tags.get(262) == 0):
        raise ImageError(
            f"{name} is a TIFF of 16 bits whose channels lie apart, or whose 0 is white, which is "
            "not read; convert it to PNG"
        )
