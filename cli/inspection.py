"""truncate, info, models: what takes no network; parse, call, print."""

from __future__ import annotations

from typing import Any

import click

from diffcodec.cli.options import cut_options, file_model_option, json_option, output_options
from diffcodec.cli.output import Output
from diffcodec.cli.streams import about, name_of, print_json, read


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
    output.write(target, data)
    output.say(f"cut {len(whole):,} bytes to {len(data):,}, {how_far(facts)}")
    if output.as_json:
        print_json({"input": source, "output": target, **facts})


@click.command()
@click.argument("source", metavar="IN")
@file_model_option
@click.option("--ledger", is_flag=True, help="Report what every bit was spent on.")
@json_option
def info(source: str, model: str | None, ledger: bool, as_json: bool) -> None:
    """Report what the file IN holds, without decoding it.

    Only the encoder knows how many bits would be ideal (encode --ledger).

    \b
    Examples:
      diffcodec info photo.dfc
      diffcodec info --json - < photo.dfc
      diffcodec info photo.dfc --ledger
    """
    data = read(source)

    from diffcodec import api
    from diffcodec.accounting.ledger import to_json, to_text

    with about(source):
        file = api.open_file(data, model) if ledger else data
        facts = api.info(file, model)
        book = api.ledger(file, model) if ledger else None
    if as_json:
        record = {"input": source, **facts}
        print_json(record if book is None else {**record, "ledger": to_json(book)})
        return
    total = "" if facts["total_bytes"] is None else f" of {facts['total_bytes']:,}"
    click.echo(
        f"{name_of(source)}: {facts['width']} x {facts['height']} "
        f"{'grey' if facts['channels'] == 1 else 'RGB'}\n"
        f"bytes    {facts['bytes']:,}{total} ({facts['bpp']:.3f} bpp)\n"
        f"image    {how_far(facts)}\n"
        f"network  {facts['model'] or 'not a shipped one'} ({facts['fingerprint']})\n"
        f"coding   chain {facts['chain']}, {facts['code']}, seed {facts['seed']}"
    )
    if facts["pixels"] is not None:
        click.echo(f"pixels   {facts['pixels']}")
    for damage in facts["damage"] or ():
        click.echo(f"damage   {damage}")
    if book is not None:
        click.echo(f"\n{to_text(book)}")


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
