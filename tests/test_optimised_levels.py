"""The bound at any noise levels: closed forms of a Gaussian source, and what the command says."""

from __future__ import annotations

import dataclasses
import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from diffcodec import image
from diffcodec.errors import OptionError
from diffcodec.eval.likelihood.elbo import summarise, to_text
from diffcodec.eval.likelihood.nll import Terms
from diffcodec.eval.likelihood.optimised_levels import chosen, levels_of, pixel_bpd
from diffcodec.eval.likelihood.plan import Settings, images_of
from diffcodec.eval.publish.tables import networks
from diffcodec.exact.stored import load_integers
from diffcodec.theory.chain import Tables
from diffcodec.theory.gaussian import mi_bpd
from diffcodec.theory.schedule import Schedule
from diffcodec.theory.units import GREY, to_x0
from tests.command import invoke
from tests.synthetic import synthetic_image
from tests.white_source import SOURCE, named, source_images, terms_of

V = np.geomspace(1.0, 600.0, 24) ** 2 / GREY**2


def settings(v: Any, **options: Any) -> Settings:
    """The bound of SOURCE at noise variances v, increasing."""
    errors = tuple(SOURCE.mse(level) for level in v)
    return Settings("own", len(v), levels=tuple(v), errors=errors, **options)


def tables() -> Tables:
    """Of SOURCE, in closed form."""
    v = np.geomspace(0.8, 1000, 60) ** 2 / GREY**2
    mse = np.array([SOURCE.mse(level) for level in v])
    return Tables((0.0, 0.0, 0.0), SOURCE.mse(np.inf), v, mse, {})


def close(found: Any, expected: Any, terms: Terms) -> None:
    """Means of L_{t-1}, within what their draws allow."""
    spread = terms.vb.std(axis=0, ddof=1) / np.sqrt(len(terms.vb))
    assert (np.abs(found - expected) < 4.5 * spread + 1e-9).all()


def test_a_chain_of_any_noise_is_one() -> None:
    schedule = Schedule.of_noise("own", V)
    np.testing.assert_allclose(schedule.v, V, rtol=1e-11)
    np.testing.assert_allclose(np.cumprod(1 - schedule.betas), schedule.alpha_bar, rtol=1e-11)
    assert schedule.timesteps.tolist() == list(range(1, 25)) and schedule.name == "own"


def test_widened_terms_are_the_informations_of_the_steps() -> None:
    pixels = source_images(150)
    terms, D = terms_of(pixels, settings(V, sigma2="widened")), np.array([*map(SOURCE.mse, V)])
    steps = mi_bpd(-np.diff(1 / V) * D[1:])
    close(terms.vb.mean(axis=0), np.append(pixel_bpd(D[0]), steps), terms)
    x_0, abar = to_x0(np.stack(pixels)), 1 / (1 + V[-1])
    nats = 0.5 * (abar * x_0**2 - abar - np.log1p(-abar))
    np.testing.assert_allclose(terms.prior, nats.mean(axis=(1, 2, 3)) / np.log(2), rtol=1e-6)


def test_fixed_variances_have_their_closed_forms_and_the_same_decoder() -> None:
    pixels, D = source_images(150), np.array([*map(SOURCE.mse, V)])
    energy = -np.diff(1 / V) * D[1:]  # of the shift, in units of beta_tilde
    wider = (V[1:] / (1 + V[1:])) / (V[:-1] / (1 + V[:-1]))  # beta_t / beta_tilde_t
    expected = {
        "beta_tilde": energy / 2,
        "beta": 0.5 * (np.log(wider) + (1 + energy) / wider - 1),
    }
    for sigma2, nats in expected.items():
        terms = terms_of(pixels, settings(V, sigma2=sigma2))
        close(terms.vb.mean(axis=0), np.append(pixel_bpd(D[0]), nats / np.log(2)), terms)


def test_many_chosen_levels_reach_what_the_pixels_cost() -> None:
    pixels, known = source_images(40, (8, 8, 3)), tables()
    exact = SOURCE.nll_bpd(to_x0(np.stack(pixels))).mean() + np.log2(GREY)  # of these very pixels
    bounds = []
    for steps in (12, 40, 300):
        v = levels_of("chosen", steps, known)
        assert len(v) == steps and (np.diff(v) > 0).all()
        assert v == chosen(known, [steps])[steps][::-1]
        ask = settings(v, sigma2="widened", stride=4)
        result = summarise(terms_of(pixels, ask), images_of(named(pixels), ask, "00ff"), ask)
        bounds.append(result["nelbo"]["bpd"])
    assert bounds[0] > exact + 0.05
    assert bounds[1:] == pytest.approx([exact, exact], abs=0.02)
    assert "T = 300 own, sigma2 widened" in to_text(result)


def test_an_exact_pixel_costs_its_entropy() -> None:
    for grey in (0.7, 1.5, 4.0):
        model = grey**2 + 1 / 12  # the Gaussian, and the bin that blurs it
        fine = 0.5 * np.log2(2 * np.pi * model) + grey**2 / model / 2 / np.log(2)
        assert pixel_bpd((grey / GREY) ** 2) == pytest.approx(fine, abs=0.02)
    assert pixel_bpd((0.05 / GREY) ** 2) < 1e-6


def test_levels_that_there_are_not() -> None:
    known = dataclasses.replace(tables(), chains={"6": (1.0, 0.1), "12": (2.0, 0.2)})
    assert levels_of("own", 6, known) == (0.1, 1.0)
    with pytest.raises(OptionError, match="no optimised schedule of 7 levels, only 6, 12"):
        levels_of("own", 7, known)
    for steps in (1, 1001):
        with pytest.raises(OptionError, match=f"2 to 1000 noise levels can be chosen, not {steps}"):
            levels_of("chosen", steps, known)


# --- the command --------------------------------------------------------------------------------


run = partial(invoke, "nll", "a.png")


def test_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_network: Path, tiny_float: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    image.save(synthetic_image(16, 16, 3, seed=1), Path("a.png"))
    bounds = {}
    for network in (tiny_network, tiny_float):
        for chain in ("12", "chosen:12", "ddpm:12"):
            ask = ("-m", network, "--chain", chain, "--sigma2", "widened", "--json")
            bounds[chain] = json.loads(run(*ask).stdout)
            assert bounds[chain]["nelbo"]["sigma2"] == "widened"
        assert len({bound["nelbo"]["bpd"] for bound in bounds.values()}) == 3
    told = json.loads(run("-m", tiny_network, "--chain", "12", "--json").stdout)
    assert told["nelbo"]["sigma2"] == "widened" and told["nelbo"]["schedule"] == "own"
    chain = Tables.of(load_integers(tiny_network).facts["tables"]).chains["12"]
    grey = [row["sigma_grey"] for row in told["per_step"]]
    assert grey == pytest.approx(GREY * np.sqrt(chain))
    beta = json.loads(run("-m", tiny_network, "--chain", "12", "--sigma2", "beta", "--json").stdout)
    assert beta["nelbo"]["bpd"] != told["nelbo"]["bpd"]
    assert (
        "no optimised schedule of 7 levels"
        in run("-m", tiny_network, "--chain", "7", code=2).stderr
    )
    graph = load_integers(tiny_network)
    dataclasses.replace(graph, facts={**graph.facts, "tables": {}}).save(Path("bare.safetensors"))
    bare = run("-m", "bare.safetensors", "--chain", "chosen:9", code=1)
    assert "the network has no tables" in bare.stderr


def test_the_readmes_table(tmp_path: Path) -> None:
    pixels = source_images(3)
    ask, environment = settings(V, sigma2="widened"), {"cpu": "one", "cpus": 1, "processes": 1}
    environment |= {"threads_per_process": 1, "torch": "2", "pillow": "3"}
    bound = summarise(terms_of(pixels, ask), images_of(named(pixels), ask, "00ff"), ask)
    dataset = {"name": "set", "images": 3}
    bound |= {"dataset": dataset, "environment": environment, "command": "made"}
    for name, files in networks.MEASURED.items():
        for file in files:
            found = bound | {"model": {"name": name}}
            (tmp_path / f"{file}.json").write_text(json.dumps(found))
    text = networks.bounds(tmp_path)
    assert text.count("| `photo`, 3 of set | 24 own, widened | ") == 3
    assert f"**{bound['nelbo']['bpd']:.3f}** +- " in text
