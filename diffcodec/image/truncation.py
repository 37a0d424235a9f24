"""Pillow's switch for images that are cut short is one for the whole process: readers that need it
off run beside each other, one that needs it on runs alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import ImageFile

_ready = threading.Condition()
_reading = 0  # how many read with the switch off


@contextmanager
def truncated_images(accepted: bool) -> Iterator[None]:
    """While Pillow reads: whether an image that is cut short is taken as far as it goes."""
    with _alone() if accepted else _together():
        yield


@contextmanager
def _together() -> Iterator[None]:
    global _reading
    with _ready:
        _reading += 1
    try:
        yield
    finally:
        with _ready:
            _reading -= 1
            _ready.notify_all()


@contextmanager
def _alone() -> Iterator[None]:
    with _ready:
        _ready.wait_for(lambda: _reading == 0)
        before = ImageFile.LOAD_TRUNCATED_IMAGES
        ImageFile.LOAD_TRUNCATED_IMAGES = True
        try:
            yield
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = before
