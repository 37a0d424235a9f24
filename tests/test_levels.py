"""Chosen steps: the best of all chains, stored in a network of either kind, told in bits."""

from __future__ import annotations

import itertools
import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from diffcodec import image
from diffcodec.cli.main import main
from diffcodec.codec import Codec
from diffcodec.exact.conformance import expected
from diffcodec.exact.stored import load_integers
from diffcodec.theory import levels as steps
from diffcodec.theory.chain import CHAIN_LENGTHS, Tables, choose_chain
from diffcodec.theory.gaussian import mi_bpd
from diffcodec.theory.levels import choose, cost_of, pixels_at
from diffcodec.theory.schedule import parse_steps
from diffcodec.zoo import load_checkpoint
from tests.command import invoke
from tests.exported import exported
from tests.gaussian import source, tables
from tests.synthetic import synthetic_image

PIXELS = np.where(np.arange(40) < 10, 3.0 + 0.2 * np.arange(40), np.inf)


def test_no_chain_on_the_grid_costs_less(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "GRID_LEVELS", 14)
    known = tables(source())
    for k, choice in choose(known, PIXELS, (2, 3, 5)).items():
        grid = np.geomspace(known.v[-1], known.v[0], 14)
        all_chains = (cost_of(known, PIXELS, c) for c in itertools.combinations(grid, k))
        best = min(all_chains, key=lambda c: steps.CODER_LOSS * c.steps_bpd + c.pixels_bpd)
        assert choice.v == pytest.approx(best.v)
        assert choice.steps_bpd == pytest.approx(best.steps_bpd)
        assert choice.total_bpd == pytest.approx(best.total_bpd)


def test_the_cost_is_the_sum_of_the_informations() -> None:
    known = tables(source())
    chain = choose_chain("ddpm:50", known)
    bits = [
        float(
            mi_bpd((1 / chain.noise(i) - 1 / chain.noise(i - 1)) * known.error(chain.noise(i - 1)))
        )
        for i in range(50)
    ]
    found = cost_of(known, PIXELS, chain.v)
    assert found.steps_bpd == pytest.approx(sum(bits))
    assert found.pixels_bpd == pytest.approx(pixels_at(known, PIXELS, np.array(chain.v[-1:]))[0])


def test_many_steps_tend_to_the_information_itself() -> None:
    known, gauss = tables(source()), source()
    choices = choose(known, PIXELS, (10, 50, 200))
    totals = [choice.total_bpd for choice in choices.values()]
    assert totals == sorted(totals, reverse=True)
    last = choices[200]
    # Of a Gaussian source a chain of any steps carries I(x0; y) at least, and soon little more.
    assert 0 < last.steps_bpd - gauss.information_bpd(last.v[-1]) < 0.02
    even = cost_of(known, PIXELS, tuple(parse_steps("ddpm:50")))
    assert choices[50].total_bpd < even.total_bpd


# --- the command --------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Working folder with an image, and little work to do."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("diffcodec.cli.training_set.PIXELS", 2 * 16**2)
    monkeypatch.setattr("diffcodec.eval.likelihood.step_counts.LENGTHS", (10, 12))
    image.save(synthetic_image(24, 24, 3, seed=5), Path("a.png"))
    return tmp_path


run = partial(invoke, "schedule", "--data", "a.png")


def test_an_integer_network_gets_the_chains_and_keeps_its_vector(folder: Path) -> None:
    exported().save(Path("n.safetensors"))
    told = json.loads(run("n.safetensors", "--chain", 7, "--chain", 30, "--json").stdout)
    before, made = (
        load_integers(Path("n.safetensors")),
        load_integers(Path("n.scheduled.safetensors")),
    )
    assert made.fingerprint != before.fingerprint
    assert told["model"]["fingerprint"] == before.fingerprint.hex()
    assert told["output"]["fingerprint"] == made.fingerprint.hex()
    assert made.facts["conformance"] == before.facts["conformance"] == expected(made)
    chains = Tables.of(made.facts["tables"]).chains
    assert sorted(map(int, chains)) == sorted({*CHAIN_LENGTHS, 7, 30})
    assert all(len(chain) == int(k) for k, chain in chains.items())
    assert [row["steps"] for row in told["steps"]] == sorted({*CHAIN_LENGTHS, 7, 10, 12, 30})
    for row in told["steps"]:
        assert row["total_bpd"] == pytest.approx(row["steps_bpd"] + row["pixels_bpd"])
        assert row["total_bpd"] < row["even_bpd"] and row["handover_grey"] < 4
    # A file made with the new chain is exact; the network's name for it is its number of steps.
    codec, pixels = Codec.from_pretrained("n.scheduled.safetensors", 1), image.load(Path("a.png"))
    data = codec.encode(pixels, chain="7")
    assert (codec.decode(data).pixels == pixels).all()
    Path("steps.json").write_text(json.dumps(told))
    drawn = CliRunner().invoke(main, ["plot", "steps.json", "-o", "steps.svg"])
    assert drawn.exit_code == 0 and "evenly spaced" in Path("steps.svg").read_text()


def test_a_float_network_gets_the_same_tables_as_by_calibrate(
    folder: Path, tiny_float: Path
) -> None:
    content = tiny_float.read_bytes()
    Path("n.safetensors").write_bytes(content)
    table = run("n.safetensors", "--chain", 9, "-o", "more.safetensors").stdout
    assert [line.split()[0] for line in table.splitlines()[1:]] == [
        "6",
        "9",
        "10",
        "12",
        "25",
        "50",
        "100",
    ]
    assert Path("n.safetensors").read_bytes() == content
    told = CliRunner().invoke(main, ["calibrate", "n.safetensors", "--data", "a.png"])
    assert told.exit_code == 0
    ours, theirs = (load_checkpoint(name).tables for name in ("more.safetensors", "n.safetensors"))
    assert len(ours["chains"].pop("9")) == 9
    assert ours == theirs


def test_mistakes(folder: Path, tiny_float: Path) -> None:
    Path("n.safetensors").write_bytes(tiny_float.read_bytes())
    assert "Missing option '--chain'" in run("n.safetensors", code=2).stderr
    assert "1001 is not in the range" in run("n.safetensors", "--chain", 1001, code=2).stderr
    again = run("n.safetensors", "--chain", 9, "-o", "a.png", code=1)
    assert "a.png exists" in again.stderr
    same = run("n.safetensors", "--chain", 9, "-o", "n.safetensors", "-f", code=1)
    assert "would be written over itself" in same.stderr
