"""Bits-back coding against theory: what every step costs, and that everything is given back."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from diffcodec.accounting.trace import Balance
from diffcodec.archive.bitsback import pop, push
from diffcodec.archive.model import BINS, Model
from diffcodec.bitstream.ans import Stack, StackEmpty
from diffcodec.bitstream.gaussian import PHASES, SIGMA_UNIT
from diffcodec.bitstream.types import Pixels
from diffcodec.theory.chain import Chain, Tables
from diffcodec.theory.denoiser import BatchDenoiser, GaussianDenoiser, OracleDenoiser
from diffcodec.theory.units import from_unit
from tests.gaussian import SIZE, SPREAD, gaussian_image, source, tables

WHITE = GaussianDenoiser(0.0, SPREAD**2)


def white_tables() -> Tables:
    """All that is known about the white source: p_theta is then exact, and the bound is tight."""
    v = (np.geomspace(0.8, 1000, 400) / 127.5) ** 2
    mse = np.array([WHITE.mse(level) for level in v])
    return Tables((0.0, 0.0, 0.0), SPREAD**2, v, mse, {})


def chain(levels: int, known: Tables, finest: float = 3.0) -> Chain:
    sigmas = np.geomspace(600, finest, levels) / 127.5
    return Chain("own", tuple(float(s**2) for s in sigmas), known)


def initial(model: Model, n: int, times: float = 1.0) -> Stack:
    stack = Stack(np.random.default_rng(0).bytes(int(times * n * model.initial_bits / 8) + 512))
    stack.open()
    return stack


def code(model: Model, pixels: Pixels) -> tuple[float, Balance]:
    """Net bits of a batch that is coded and decoded again."""
    stack, balance = initial(model, len(pixels)), Balance()
    before = stack.copy()
    push(model, stack, pixels, balance)
    net = stack.bits - before.bits
    assert np.array_equal(pop(model, stack, len(pixels)), pixels)
    assert stack.states is not None and before.states is not None
    assert np.array_equal(stack.states, before.states)
    assert np.array_equal(stack.words[: stack.count], before.words[: before.count])
    return net, balance


@pytest.fixture(scope="module")
def images() -> Pixels:
    return np.stack([gaussian_image(seed) for seed in range(8)])


@pytest.fixture(scope="module")
def white() -> tuple[Pixels, float]:
    """Images of the white source, and their negative log-likelihood in bits."""
    x0 = WHITE.sample(24, SIZE, np.random.default_rng(3))
    pixels = np.stack([from_unit(x) for x in x0])
    on_grid = pixels.transpose(0, 3, 1, 2) / 127.5 - 1
    return pixels, float((WHITE.nll_bpd(on_grid) + np.log2(127.5)).sum()) * x0[0].size


class TestTheory:
    def test_the_white_source_costs_its_likelihood(self, white: tuple[Pixels, float]) -> None:
        pixels, nll = white
        for levels in (12, 40):
            model = Model(WHITE, chain(levels, white_tables()), SIZE)
            net, balance = code(model, pixels)
            assert net == pytest.approx(nll, rel=0.001)
            assert balance.ideal.sum() == pytest.approx(nll, rel=0.01)

    def test_every_step_costs_its_share(self, images: Pixels) -> None:
        model = Model(source(), Chain("own", tables(source()).chains["25"], tables(source())), SIZE)
        net, balance = code(model, images)
        assert balance.spent.sum() == pytest.approx(net, abs=1e-3)
        assert net == pytest.approx(balance.ideal.sum(), rel=0.005)
        noise = 6 * np.sqrt(2 * balance.ideal / np.log(2)) + 20  # of the latents that were drawn
        assert (np.abs(balance.spent - balance.ideal)[1:] < noise[1:]).all()
        assert balance.spent[0] - balance.ideal[0] < 8 * len(images)  # sigma indices
        assert (balance.kl >= balance.ideal - 1e-6).all() or balance.kl.sum() > balance.ideal.sum()

    def test_a_denoiser_that_knows_the_images_costs_nothing(self, images: Pixels) -> None:
        x0 = (images.transpose(0, 3, 1, 2).astype(np.float32) / 127.5) - 1
        bare = tables(source())
        sure = dataclasses.replace(bare, mse=np.full_like(bare.mse, 1e-12))
        model = Model(OracleDenoiser(x0), chain(30, sure, finest=1.0), SIZE)
        _, balance = code(model, images)
        bpd = np.abs(balance.spent) / images.size
        assert bpd[:-1].max() < 0.002 and bpd[:-1].sum() < 0.012
        # What is left is L_T, which no denoiser is asked about.
        assert balance.spent[-1] == pytest.approx(balance.ideal[-1], abs=0.03 * images.size)

    def test_grey_images(self) -> None:
        denoiser, shape = GaussianDenoiser(0.0, SPREAD**2), (1, 9, 5)
        rng = np.random.default_rng(5)
        pixels = np.stack([from_unit(x) for x in denoiser.sample(6, shape, rng)])
        code(Model(denoiser, chain(8, white_tables()), shape), pixels)


class TestPrecision:
    """The overhead over the same images' likelihood, bits/dim, by bins and phases."""

    @staticmethod
    def overhead(
        white: tuple[Pixels, float], bins: int = BINS, phases: int = PHASES
    ) -> tuple[float, float]:
        """Measured, and what theory says of the means that are rounded in p and q."""
        pixels, nll = white
        model = Model(WHITE, chain(20, white_tables()), SIZE, bins=bins, phases=phases)
        stack, balance = initial(model, len(pixels)), Balance()
        before = stack.bits
        push(model, stack, pixels, balance)
        # Errors are uniform, of variance 1 / (12 phases^2) bins; cost is variance / (2 sigma^2).
        sigmas = np.array([[g.q.sigma, g.p.sigma] for g in model.grids]) / SIGMA_UNIT
        theory = float((1 / sigmas**2).sum()) / (24 * phases**2 * np.log(2))
        return (stack.bits - before - nll) / pixels.size, theory

    def test_rounded_means_cost_what_theory_says(self, white: tuple[Pixels, float]) -> None:
        finest, _ = self.overhead(white)
        for phases in (1, 2, 8):
            cost, theory = self.overhead(white, phases=phases)
            assert cost - finest == pytest.approx(theory, rel=0.1, abs=0.0018)

    def test_narrow_bins_cost_nothing_in_the_end(self, white: tuple[Pixels, float]) -> None:
        costs = [self.overhead(white, bins)[0] for bins in (1, 2, 4, 8)]
        assert costs[0] > 0.004
        assert costs[0] > costs[1] + 0.002
        assert max(abs(cost) for cost in costs[2:]) < 0.003


def test_too_few_initial_bits_are_noticed(images: Pixels) -> None:
    model = Model(source(), chain(10, tables(source())), SIZE)
    with pytest.raises(StackEmpty):
        push(model, initial(model, len(images), times=0.7), images)


def test_initial_bits_do_not_grow_with_the_chain() -> None:
    need = [
        Model(source(), chain(levels, tables(source())), SIZE).initial_bits
        for levels in (10, 40, 160)
    ]
    assert need[2] < need[0] + 3 * 3072  # three bits/dim, as q gets narrower than its latent


@pytest.mark.parametrize("denoiser", [WHITE])
def test_hopeless_estimates_are_coded_all_the_same(denoiser: BatchDenoiser) -> None:
    rng = np.random.default_rng(6)
    pixels = rng.choice([0, 255], (2, 32, 32, 3)).astype(np.uint8)  # far beyond the source's spread
    sure = dataclasses.replace(white_tables(), mse=np.full(400, 1e-12))
    code(Model(denoiser, chain(4, sure, finest=1.0), SIZE), pixels)
