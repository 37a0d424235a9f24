"""The program's commands, run within the test."""

from __future__ import annotations

from click.testing import CliRunner, Result

from diffcodec.cli.main import main


def invoke(*words: object, code: int = 0, input: bytes | None = None) -> Result:
    """`diffcodec WORDS`, which must end with this exit code."""
    result = CliRunner().invoke(main, [str(word) for word in words], input=input)
    assert result.exit_code == code, (result.stderr, result.exception)
    return result
