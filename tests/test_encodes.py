"""Every encoder writes the bytes that it wrote before."""

from __future__ import annotations

import json

from tests.encodes import FILE, digests


def test_encoders_write_the_same_bytes() -> None:
    assert digests() == json.loads(FILE.read_text(encoding="utf-8"))
