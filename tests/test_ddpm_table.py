"""DDPM's Table 4: rows meet the paper's count of steps, files are cut where they stand."""

from __future__ import annotations

import pytest

from diffcodec.codec import Codec
from diffcodec.eval.common.images import NamedImage
from diffcodec.eval.common.results import ResultError
from diffcodec.eval.experiments import ddpm_table
from diffcodec.eval.rd.joint import stacks
from diffcodec.theory.schedule import Schedule
from diffcodec.theory.units import GREY
from tests.gaussian import gaussian_codec, gaussian_image, source


def bound(codec: Codec, T: int = 1000) -> dict[str, object]:
    """A result of nll as far as it is used, of the Gaussian source in closed form."""
    v = Schedule.named("linear", T).v
    rows = [
        {
            "t": t,
            "rate_bpd": source().information_bpd(v[t - 1]),
            "rmse_grey": source().mse(v[t - 1]) ** 0.5 * GREY,
            "images": 1,
        }
        for t in range(T, 0, -1)
    ]
    facts = {"T": T, "schedule": "linear", "images": 1}
    model = {"fingerprint": codec.fingerprint.hex()}
    return {"nelbo": facts, "per_step": rows, "model": model}


def test_files_follow_theory_down_the_table() -> None:
    codec = gaussian_codec()
    rows = ddpm_table.table(codec, bound(codec), [NamedImage("a", gaussian_image())], "ddpm:30")
    assert [row["reverse_steps"] for row in rows] == list(range(1000, 0, -100))
    assert rows[0]["paper"] == {"rate_bpd": 1.77581, "rmse_grey": 0.95136}
    rates = [row["files"]["rate_bpd"] for row in rows]
    errors = [row["files"]["rmse_grey"] for row in rows]
    assert rates == sorted(rates, reverse=True) and errors == sorted(errors)
    last = rows[0]  # at t = 1 file and theory stand at the same noise
    assert last["files"]["rmse_grey"] == pytest.approx(last["theory"]["rmse_grey"], rel=0.1)
    assert 1 < last["files"]["rate_bpd"] / last["theory"]["rate_bpd"] < 1.3
    text = ddpm_table.to_text({"ddpm_table": rows})
    assert "1.77581" in text and len(text.splitlines()) == 12


def test_theory_of_other_steps_or_networks_is_refused() -> None:
    codec = gaussian_codec()
    with pytest.raises(ResultError, match="ddpm:1000"):
        ddpm_table.theory(bound(codec, T=100))
    other = {**bound(codec), "model": {"fingerprint": "00"}}
    with pytest.raises(ResultError, match="another network"):
        ddpm_table.table(codec, other, [NamedImage("a", gaussian_image())], "ddpm:30")


def test_images_that_share_a_file_share_its_header() -> None:
    codec = gaussian_codec()
    apart = [NamedImage(f"{i}", gaussian_image(i)) for i in range(4)]
    alone = ddpm_table.table(codec, bound(codec), apart, "ddpm:30")
    together = ddpm_table.table(codec, bound(codec), stacks(apart, 4), "ddpm:30")
    first = alone[-1]["files"]["rate_bpd"], together[-1]["files"]["rate_bpd"]
    assert first[1] < 0.3 * first[0]
    assert together[0]["files"]["rmse_grey"] == pytest.approx(
        alone[0]["files"]["rmse_grey"], rel=0.1
    )


def test_few_images_at_a_step_are_pooled_with_its_neighbours() -> None:
    rows = [{"images": 300 if t == 1 else 4, "rmse_grey": float(t)} for t in range(1, 1001)]
    assert ddpm_table.rmse(rows, 0, 256) == 1
    assert ddpm_table.rmse(rows, 499, 4) == 500
    assert ddpm_table.rmse(rows, 499, 256) == pytest.approx(500, rel=1e-3)
    assert ddpm_table.rmse(rows, 999, 256) == 1000  # nothing lies beyond
