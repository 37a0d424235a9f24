"""selftest: does this installation compute what it should? Parse, call, print."""

from __future__ import annotations

import dataclasses

import click

from diffcodec.cli.streams import print_json


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def selftest(as_json: bool) -> None:
    """Try every backend, and decode files of known pixels with it.

    All that this machine has must give the same numbers to the bit; backends that are missing are
    listed with the reason. Exit code 1 if a check fails.

    \b
    Examples:
      diffcodec selftest
      diffcodec selftest --json
    """
    from diffcodec import selftest as tests

    compiled = tests.kernels()
    checks, failed = [], 0
    if not as_json:
        click.echo(f"{'backend':<10} {'subject':<16} {'passes':<8} {'ms':>9}")
    for check in tests.selftest():
        checks.append(check)
        failed += check.passes is False
        if not as_json:
            passes = {True: "yes", False: "NO", None: "not here"}[check.passes]
            ms = "" if check.ms is None else f"{check.ms:.1f}"
            row = f"{check.backend:<10} {check.subject:<16} {passes:<8} {ms:>9}"
            click.echo(f"{row}  {check.reason or ''}".rstrip())
    if as_json:
        rows = [dataclasses.asdict(check) for check in checks]
        print_json({"passes": not failed, "compiled": compiled, "checks": rows})
    else:
        parts = [f"{name}: {'compiled' if done else 'numpy'}" for name, done in compiled.items()]
        click.echo(", ".join(parts))
    if failed:
        raise click.ClickException(
            f"{failed} of {len(checks)} checks failed: install diffcodec anew"
        )
