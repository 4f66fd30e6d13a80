"""Quantised classification: bins by hand, the bound against SciPy, and what holds by simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from birqa.certify.classification import Classification, classify, surely_at_least


def test_bins_by_hand():
    ten = Classification()
    assert ten.bin_of([0, 0.05, 0.0999, 0.1, 0.55, 0.999, 1.0]).tolist() == [0, 0, 0, 1, 5, 9, 9]
    assert ten.edges(0) == pytest.approx((0, 0.1))
    assert ten.edges(9) == pytest.approx((0.9, 1))
    four = Classification(bins=4, limits=(-2, 2))
    assert four.bin_of([-2, -1, 0.5, 2]).tolist() == [0, 1, 2, 3]
    assert four.edges(3) == (1, 2)


def test_a_class_by_hand():
    # Five of five hits show p >= 1/2 at 1/32, and no more than Phi(eps / sigma) = .05^(1/5) = .549 at .05.
    settings = Classification(choosing=3)
    scores = [0.31, 0.35, 0.9, 0.32, 0.33, 0.34, 0.35, 0.36]
    radius = stats.norm.ppf(0.05 ** (1 / 5))
    inside = classify(scores, 1, radius - 1e-6, 0.05, settings)
    assert (inside.index, inside.certified, inside.abstains) == (3, True, False)
    assert (inside.score, inside.low, inside.high) == pytest.approx((0.35, 0.3, 0.4))
    outside = classify(scores, 1, radius + 1e-6, 0.05, settings)
    assert (outside.low, outside.high, outside.certified, outside.abstains) == (0, 1, False, False)
    assert outside.score == pytest.approx(0.35)
    # At .03 five hits do not even show 1/2.
    assert classify(scores, 1, 0, 0.03, settings).abstains


def test_the_choosing_draws_do_not_count():
    chosen = classify([0.1] * 3 + [0.8] * 50, 1, 0, 0.05, Classification(choosing=3))
    assert (chosen.index, chosen.certified, chosen.abstains) == (1, False, True)


@given(st.integers(1, 2000), st.floats(0, 1), st.floats(0, 3), st.floats(1e-4, 0.3))
def test_the_bound_is_that_of_clopper_and_pearson(n, share, z, alpha):
    count = int(share * n)
    lower = stats.beta.ppf(alpha, count, n - count + 1) if count else 0.0
    if abs(lower - stats.norm.cdf(z)) > 1e-9:
        assert surely_at_least(count, n, 1.0, z, alpha) == (lower > stats.norm.cdf(z))


def test_beyond_all_reach():
    assert not surely_at_least(1000, 1000, 0.01, 1.0, 0.1)


@pytest.mark.parametrize("eps", [0.0, 0.3])
def test_a_certified_bin_is_the_right_one_by_simulation(eps):
    """f(x) = x, two bins: the upper one keeps its majority under a shift by eps only just not."""
    alpha, sigma, rng = 0.1, 1.0, np.random.default_rng(0)
    settings = Classification(bins=2, choosing=20, limits=(-8, 8))
    # P(f > 0) is just below what the radius needs, so that every certificate is a miss.
    shift = eps - 1e-3
    missed = [
        classify(shift + sigma * rng.standard_normal(220), sigma, eps, alpha, settings) for _ in range(2000)
    ]
    share = np.mean([one.certified and one.index == 1 for one in missed])
    assert share <= alpha + 4 * np.sqrt(alpha * (1 - alpha) / 2000)
    assert share > alpha / 4


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (([0.5] * 100, 1, 0, 0.1), "100 scores"),
        (([0.5] * 101, 1, 0, 0.0), r"alpha=0\.0"),
        (([[0.5] * 200], 1, 0, 0.1), "200 scores"),
    ],
)
def test_what_makes_no_sense_is_said(arguments, complaint):
    with pytest.raises(ValueError, match=complaint):
        classify(*arguments)


@pytest.mark.parametrize("wrong", [{"bins": 1}, {"choosing": 0}, {"limits": (1, 0)}, {"limits": (0, np.inf)}])
def test_settings_that_make_no_sense(wrong):
    with pytest.raises(ValueError, match="should be at least 2"):
        Classification(**wrong)
