"""The bound's bookkeeping on sources with known answers, and the rate that a denoiser implies."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from diffcodec.eval.common.images import load_pixels
from diffcodec.eval.likelihood.denoising import denoising_curve, implied_rate
from diffcodec.eval.likelihood.elbo import nelbo
from diffcodec.eval.likelihood.plan import Settings
from diffcodec.theory.denoiser import GaussianDenoiser, OracleDenoiser
from diffcodec.theory.units import to_x0

SHORT = Settings(steps=100)


def pixels(n, seed=0, std=40.0):
    """Independent Gaussian pixels: (n, 4, 4, 3) uint8."""
    rng = np.random.default_rng((seed, 1))
    x = 127.5 + std * rng.standard_normal((n, 4, 4, 3))
    return np.rint(x.clip(0, 255)).astype(np.uint8)


def fitted(images):
    x = to_x0(images)
    return GaussianDenoiser(x.mean(), x.var())


class Counting:
    """Counts what the denoiser inside is asked for."""

    def __init__(self, denoiser):
        self.denoiser, self.images = denoiser, 0

    def batch(self, y, v):
        assert y.dtype == np.float32
        self.images += len(y)
        return self.denoiser.batch(y, v)


def test_to_x0_is_channels_first_and_reaches_both_ends():
    images = np.zeros((1, 2, 5, 3), np.uint8)
    images[0, 1, 4, 2] = 255
    x = to_x0(images)
    assert x.shape == (1, 3, 2, 5) and x.dtype == np.float64
    assert x[0, 2, 1, 4] == 1 and x.sum() == 1 - 29


def test_rows_run_from_T_to_1_and_add_up():
    images = pixels(4)
    result = nelbo(fitted(images), images, SHORT)
    rows, bound = result["per_step"], result["nelbo"]
    assert [row["t"] for row in rows] == list(range(100, 0, -1))
    assert rows[0]["rate_bpd"] == pytest.approx(bound["L_T_bpd"])  # to reach x_T
    reached = bound["L_T_bpd"] + bound["L_steps_bpd"]
    assert rows[-1]["rate_bpd"] == pytest.approx(reached)  # to reach x_1
    assert rows[7]["rate_bpd"] == pytest.approx(rows[6]["rate_bpd"] + rows[6]["L_bpd"])
    assert rows[-1]["L_bpd"] == pytest.approx(bound["L_0_bpd"])
    assert rows[0]["rmse_grey"] > 30 > 2 > rows[-1]["rmse_grey"]
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_gaussian_pixels_cost_a_little_more_than_their_entropy():
    images = pixels(400)
    source, schedule = fitted(images), Settings().schedule
    nll = source.nll_bpd(to_x0(images)).mean() + np.log2(127.5)
    tight = nelbo(source, images, Settings(stride=40))["nelbo"]
    loose = nelbo(source, images, Settings(sigma2="beta_tilde", stride=40))["nelbo"]
    # Nothing is left of white noise to denoise: beta is p_theta's best variance (DDPM section 3.2:
    # optimal for x_0 ~ N(0, I)), and what the steps then lose is their coarseness.
    assert nll < tight["bpd"] + 3 * tight["standard_error_bpd"] and tight["bpd"] < nll + 0.2
    # With beta_tilde each step costs D (1/v_s - 1/v_t) / 2 nats: 0.6 bits/dim more in all.
    D = np.array([source.mse(v) for v in schedule.v])
    steps = (D[1:] * -np.diff(1 / schedule.v)).sum() / 2 / np.log(2)
    assert loose["L_steps_bpd"] == pytest.approx(steps, abs=4 * loose["standard_error_bpd"])
    assert loose["L_0_bpd"] == tight["L_0_bpd"] and loose["bpd"] > tight["bpd"] + 0.4


def test_the_oracle_pays_for_the_decoder_only():
    images = pixels(1)
    oracle = OracleDenoiser(to_x0(images)[0].astype(np.float32))
    bound = nelbo(oracle, images, replace(SHORT, sigma2="beta_tilde"))["nelbo"]
    assert abs(bound["L_steps_bpd"]) < 1e-6
    assert bound["bpd"] == pytest.approx(bound["L_0_bpd"], abs=1e-3) and bound["L_0_bpd"] > 0.5


def test_a_stride_costs_less_and_stays_unbiased():
    images = pixels(40)
    full = Counting(fitted(images))
    reference = nelbo(full, images, SHORT)["nelbo"]
    assert full.images == 40 * 100
    estimates = []
    for seed in range(8):
        strided = Counting(full.denoiser)
        result = nelbo(strided, images, replace(SHORT, stride=8, seed=seed), batch=7)
        assert strided.images == sum(row["images"] for row in result["per_step"])
        assert 40 * (10 + 90 // 8) <= strided.images <= 40 * (10 + 90 // 8 + 1)  # 90 = 11 * 8 + 2
        assert all(5 <= row["images"] <= 40 for row in result["per_step"])
        assert result["per_step"][-1]["images"] == 40  # t = 1: every image
        estimates.append(result["nelbo"])
    bpd = np.array([e["bpd"] for e in estimates])
    stated = np.mean([e["standard_error_bpd"] for e in estimates])
    assert bpd.mean() == pytest.approx(reference["bpd"], abs=3 * stated / np.sqrt(8) + 1e-9)
    assert stated >= 0.8 * reference["standard_error_bpd"]


def test_the_standard_error_is_the_spread_of_repetitions():
    source = GaussianDenoiser(0.0, (40 / 127.5) ** 2)
    results = [
        nelbo(source, pixels(20, seed), replace(SHORT, stride=5, seed=seed))["nelbo"]
        for seed in range(60)
    ]
    spread = np.std([r["bpd"] for r in results], ddof=1)
    stated = np.sqrt(np.mean([r["standard_error_bpd"] ** 2 for r in results]))
    assert spread == pytest.approx(stated, rel=0.3)  # the spread of 60 is known to 9 %


def test_one_image_has_no_standard_error():
    images = pixels(1)
    assert nelbo(fitted(images), images, SHORT)["nelbo"]["standard_error_bpd"] is None


def test_a_stride_above_the_number_of_images_is_refused():
    images = pixels(4)
    with pytest.raises(ValueError, match="stride"):
        nelbo(fitted(images), images, replace(SHORT, stride=5))


def test_denoising_curve_of_a_gaussian_source():
    images = pixels(500)
    source = fitted(images)
    rows = denoising_curve(source, images, [5, 50, 500], clip_denoised=False, batch_size=64)
    assert [row["sigma_grey"] for row in rows] == [500, 50, 5]
    for row in rows:
        D = source.mse((row["sigma_grey"] / 127.5) ** 2)
        assert row["mse"] == pytest.approx(D, rel=0.03)
        assert row["rmse_grey"] == pytest.approx(127.5 * np.sqrt(row["mse"]))
        assert row["psnr_db"] == pytest.approx(20 * np.log10(255 / row["rmse_grey"]))


def test_clipping_helps_where_pixels_touch_the_ends():
    images = pixels(20, std=120.0)
    raw = denoising_curve(fitted(images), images, [50], clip_denoised=False)
    assert denoising_curve(fitted(images), images, [50])[0]["mse"] < 0.95 * raw[0]["mse"]


def test_denoising_curve_of_the_oracle_is_0():
    images = pixels(2)
    oracle = OracleDenoiser(to_x0(images).astype(np.float32))
    (row,) = denoising_curve(oracle, images, [100])
    assert row["rmse_grey"] < 1e-4 and row["psnr_db"] > 120


def test_implied_rate_is_the_information_of_a_gaussian_source():
    power = 1 / (1 + np.arange(8)[:, None] ** 2 + np.arange(8) ** 2)
    source = GaussianDenoiser(0.0, 0.2 * power, "dct")
    sigmas = np.geomspace(1, 5000, 60)
    curve = [{"sigma_grey": s, "mse": source.mse((s / 127.5) ** 2)} for s in sigmas]
    for row in implied_rate(curve):
        exact = source.information_bpd((row["sigma_grey"] / 127.5) ** 2)
        assert row["rate_bpd"] == pytest.approx(exact, rel=0.003)


def test_implied_rate_is_exact_for_powers_of_the_snr():
    # D = 1/s between s = 1 and s = 4, after D = 1 below 1: R = (1 + ln 4) / (2 ln 2).
    curve = [{"sigma_grey": 63.75, "mse": 0.25}, {"sigma_grey": 127.5, "mse": 1.0}]
    rates = [row["rate_bpd"] for row in implied_rate(curve)]
    assert rates == pytest.approx([1 / (2 * np.log(2)), (1 + np.log(4)) / (2 * np.log(2))])
    curve[0]["mse"] = 0.5  # D = s^-1/2: the integral is 2 (sqrt(4) - 1)
    assert implied_rate(curve)[1]["rate_bpd"] == pytest.approx(3 / (2 * np.log(2)))
    with pytest.raises(ValueError, match="0"):
        implied_rate([{"sigma_grey": 1.0, "mse": 0.0}])


def write(folder, *arrays):
    for k, array in enumerate(arrays):
        Image.fromarray(array).save(folder / f"test-{k}.png")
    return folder


def test_crops_are_central_and_misfits_are_refused(tmp_path):
    wide = np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3)
    folder = write(tmp_path, wide, np.ascontiguousarray(wide[:, :6]), wide)
    crops = load_pixels(folder, "all", 2, 0, 4)
    assert crops.shape == (2, 4, 4, 3)
    np.testing.assert_array_equal(crops[0], wide[1:5, 2:6])
    mosaic = load_pixels(folder, "test", 99, 2, 0)
    assert mosaic.shape == (12 + 9 + 12, 2, 2, 3)
    np.testing.assert_array_equal(mosaic[1], wide[:2, 2:4])
    with pytest.raises(ValueError, match="smaller"):
        load_pixels(folder, "all", 2, 0, 7)
    with pytest.raises(ValueError, match="differ"):
        load_pixels(folder, "all", 2, 0, 0)
