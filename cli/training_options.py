"""--minutes, --finish-in, --device: how long a training takes, and where it runs."""

from __future__ import annotations

import click

minutes_option = click.option(
    "--minutes", type=click.FloatRange(0, min_open=True), metavar="N", help="Stop after N minutes."
)
finish_option = click.option(
    "--finish-in",
    type=click.FloatRange(0, min_open=True),
    metavar="N",
    help="Cool down and end within N minutes of training, over all calls.",
)
training_device_option = click.option(
    "--device",
    type=click.Choice(["cpu", "cuda"]),
    default="cpu",
    help="Where to train (default: cpu).",
)
