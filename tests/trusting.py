"""Encoders that believe in every network, however tiny."""

from __future__ import annotations

import pytest


def trust_steps(patch: pytest.MonkeyPatch) -> None:
    """Steps are never given up for plain pixels, whatever the image."""
    for name in ("SPARE", "GRAPHICS_MOST", "DOUBT"):
        patch.setattr(f"diffcodec.progressive.fallback.{name}", 10**9)
