"""States between two images: on a line and on a sphere."""

from __future__ import annotations

import numpy as np
import pytest

from diffcodec.sampling.mixing import linear, spherical


def test_an_arc_keeps_the_length_and_turns_evenly() -> None:
    a, b = np.random.default_rng(0).standard_normal((2, 3, 8, 8))
    b *= np.linalg.norm(a) / np.linalg.norm(b)
    arc = np.stack([spherical(a, b, share) for share in np.linspace(0, 1, 5)])
    np.testing.assert_allclose(arc[[0, -1]], [a, b], atol=1e-12)
    lengths = np.sqrt((arc**2).sum(axis=(1, 2, 3)))
    np.testing.assert_allclose(lengths, np.linalg.norm(a))
    steps = (arc[1:] * arc[:-1]).sum(axis=(1, 2, 3)) / lengths[0] ** 2  # cosines of the turns
    np.testing.assert_allclose(steps, steps[0])
    assert np.linalg.norm(linear(a, b, 0.5)) < 0.9 * lengths[0]  # a chord goes through the middle


def test_equal_states_stay_what_they_are() -> None:
    a = np.random.default_rng(0).standard_normal((3, 4, 4))
    np.testing.assert_allclose(spherical(a, 2 * a, 0.5), 1.5 * a)


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_a_line_keeps_the_noise_that_both_share(share: float) -> None:
    rng = np.random.default_rng(0)
    a, b, noise = rng.standard_normal((3, 3, 4, 4))
    wanted = (1 - share) * a + share * b + noise
    np.testing.assert_allclose(linear(a + noise, b + noise, share), wanted)
