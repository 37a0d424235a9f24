"""truncate, info, models: what takes no network; parse, call, print."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from diffcodec.cli.limit_options import stated_limit_options
from diffcodec.cli.many import Outcome
from diffcodec.cli.metadata_words import listing
from diffcodec.cli.options import (
    cut_options,
    file_model_option,
    json_option,
    output_options,
)
from diffcodec.cli.output import Output
from diffcodec.cli.streams import about, name_of, print_json, read, warn
from diffcodec.errors import sentence

if TYPE_CHECKING:
    from diffcodec.limits import Limits


@click.command()
@click.argument("source", metavar="IN")
@click.argument("target", metavar="OUT")
@file_model_option
@cut_options
@output_options
def truncate(
    source: str, target: str, model: str | None, cut: dict[str, Any], output: Output
) -> None:
    """Cut the file IN to a smaller file OUT, without decoding it.

    \b
    Examples:
      diffcodec truncate photo.dfc thumbnail.dfc --bytes 1500
      diffcodec truncate photo.dfc - --bpp 0.25 | ssh host 'cat > photo.dfc'
    """
    if not cut:
        raise click.UsageError("say where to cut: --bytes, --bpp or --steps")
    output.claim(source, target)

    whole = read(source)

    from diffcodec import api

    with about(source):
        data = api.truncate(whole, model=model, **cut)
        facts = api.info(data, model)
    output.write(target, data, source)
    output.say(f"cut {len(whole):,} bytes to {len(data):,}, {how_far(facts)}")
    if output.as_json:
        print_json({"input": source, "output": target, **facts})


@click.command()
@click.argument("sources", metavar="IN...", nargs=-1, required=True)
@file_model_option
@click.option("--ledger", is_flag=True, help="Report what every bit was spent on.")
@stated_limit_options
@json_option
def info(
    sources: tuple[str, ...], model: str | None, ledger: bool, limits: Limits, as_json: bool
) -> None:
    """Report what files hold, without decoding them; `-` is a pipe.

    The first 1,000 bytes of a file say most of it. Only the encoder knows how many bits would be
    ideal (encode --ledger).

    \b
    Examples:
      diffcodec info photo.dfc
      diffcodec info --json - < photo.dfc
      diffcodec info photo.dfc --ledger
      diffcodec info upload.dfc --max-pixels 24M --max-memory 2G > /dev/null && echo all right
    """
    records, outcome = [], Outcome()
    for number, source in enumerate(sources):
        try:
            record, book = _inspect(source, model, ledger, limits)
        except (click.ClickException, ValueError, OSError) as error:
            if len(sources) == 1 or (reason := reason_of(source, error)) is None:
                raise
            warn(reason)
            outcome.failed.append((source, reason))
            continue
        records.append(record)
        if not as_json:
            click.echo("\n" * (number > 0) + "\n".join(_lines(record)))
            if book is not None:
                click.echo(f"\n{book}")
    if as_json and len(sources) == 1:
        print_json(records[0])
        return
    outcome.records = records
    outcome.end(Output(as_json=as_json))


def _inspect(
    source: str, model: str | None, ledger: bool, limits: Limits
) -> tuple[dict[str, Any], str | None]:
    """What --json says about a file, and its ledger as tables."""
    data = read(source)

    from diffcodec import api
    from diffcodec.accounting.ledger import to_json, to_text

    with about(source):
        file = api.open_file(data, model) if ledger else data
        record = {"input": source, **api.info(file, model, limits=limits)}
        if not ledger:
            return record, None
        book = api.ledger(file, model)
        return {**record, "ledger": to_json(book)}, to_text(book)


def reason_of(source: str, error: Exception) -> str | None:
    """A sentence on a file that cannot be inspected; None about a fault of the program."""
    if isinstance(error, click.UsageError):
        return None
    if isinstance(error, click.ClickException):
        return error.format_message()
    if (reason := sentence(error)) is None:
        return None
    return reason if isinstance(error, OSError) else f"{name_of(source)}: {reason}"


def _lines(facts: dict[str, Any]) -> Iterator[str]:
    """A file for people, by its record."""
    total = "" if facts["total_bytes"] is None else f" of {facts['total_bytes']:,}"
    yield f"{name_of(facts['input'])}: {facts['width']} x {facts['height']} {_samples(facts)}"
    yield f"bytes    {facts['bytes']:,}{total} ({facts['bpp']:.3f} bpp)"
    yield f"image    {how_far(facts)}{promise(facts, 'the machine and libraries that made it')}"
    floats = ", floats" if facts["promised"] else ""
    yield f"network  {facts['model'] or 'not a shipped one'} ({facts['fingerprint']}){floats}"
    if facts["label"] is not None:
        yield f"class    {facts['label']}"
    yield f"coding   chain {facts['chain']}, {facts['code']}, seed {facts['seed']}"
    if facts["pixels"] is not None:
        yield f"pixels   {facts['pixels']}"
    items = list(listing(facts["metadata"]))
    if facts["metadata_unknown"]:
        items.append(f"{facts['metadata_unknown']} that this version does not know")
    if items:
        yield f"metadata {', '.join(items)}"
    for damage in facts["damage"] or ():
        yield f"damage   {damage}"


def _samples(facts: dict[str, Any]) -> str:
    """What a pixel is: "RGB", "grey + alpha, 16 bits"."""
    name = {1: "grey", 2: "grey + alpha", 3: "RGB", 4: "RGBA"}[facts["channels"]]
    return name if facts["depth"] == 8 else f"{name}, {facts['depth']} bits"


@click.command()
@click.argument("name", required=False)
@json_option
def models(name: str | None, as_json: bool) -> None:
    """List the networks that ship, or print the card of one.

    \b
    Examples:
      diffcodec models
      diffcodec models photo --json
    """
    from diffcodec import api
    from diffcodec.zoo import model_card

    known = {model["name"]: model for model in api.list_models()}
    if name is None and as_json:
        print_json({"models": list(known.values())})
    elif name is None:
        width = max(map(len, known))
        for model in known.values():
            size = f"{model['bytes'] / 2**20:.1f} MiB"
            words = model.get("description", "")
            click.echo(f"{model['name']:<{width}} {size:>9}  {words}".rstrip())
    elif name not in known:
        raise click.ClickException(f'no network is called "{name}"; there are {", ".join(known)}')
    elif as_json:
        print_json(known[name])
    elif card := model_card(name):
        click.echo(card.rstrip())
    else:
        for key, value in known[name].items():
            click.echo(f"{key:<12} {value}")


def how_far(facts: dict[str, Any]) -> str:
    """How far a file goes, from its api.info."""
    if facts["damage"]:
        return "damaged"
    if facts["complete"]:
        return "lossless"
    if facts["pixels"] and not facts["steps_available"]:
        return "part of the exact pixels"
    steps = "an unknown step" if (at := facts["steps_available"]) is None else f"step {at}"
    return f"{steps} of {facts['steps_total']}"


def promise(facts: dict[str, Any], here: str) -> str:
    """Where the exact pixels of a file are promised, from its api.info; nothing of other files.

    here: the place where floats are the same.
    """
    if facts["damage"] or not facts["complete"]:
        return ""
    if facts["exact_anywhere"] is None:  # it takes the network to know
        return f" on {here}, at least"
    return f" on {'every machine' if facts['exact_anywhere'] else here}"
