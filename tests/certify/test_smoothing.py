"""Order statistics: published and hand-worked ranks, properties, and coverage by simulation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, norm

from birqa.certify.smoothing import find_ranks, quantile_score, shifted


def test_the_published_ranks():
    ranks = find_ranks(1000, 0.12, 0.05, 0.001, two_sided=False)
    assert (ranks.lower, ranks.upper) == (293, 708)
    assert ranks.lower_coverage > 0.999
    assert ranks.upper_coverage > 0.999


def test_ranks_by_hand():
    # Without a perturbation and with 5 scores, the median is below the largest unless all 5 fall below: 1/32.
    ranks = find_ranks(5, 1, 0, 0.05, two_sided=False)
    assert (ranks.lower, ranks.upper) == (1, 5)
    assert ranks.lower_coverage == ranks.upper_coverage == pytest.approx(31 / 32)
    assert ranks.coverage == pytest.approx(30 / 32)
    assert ranks.interval([0.5, 0.1, 0.4, 0.2, 0.3]) == (0.1, 0.5)
    # Both at once within 5 % would need 1/32 <= 2.5 %: unreachable, so the ends of the range.
    both = find_ranks(5, 1, 0, 0.05)
    assert (both.lower, both.upper) == (None, None)
    assert both.interval([0.5, 0.1, 0.4, 0.2, 0.3]) == (0.0, 1.0)
    assert both.interval([5, 1, 4, 2, 3], limits=(-10, 10)) == (-10, 10)


def test_what_is_beyond_certification_gives_the_range():
    assert find_ranks(1000, 0.12, 0.36, 0.001, two_sided=False).interval(np.linspace(0.4, 0.6, 1000)) == (
        0,
        1,
    )


cases = st.tuples(
    st.integers(1, 400), st.floats(0.05, 1), st.floats(0, 1), st.floats(1e-4, 0.3), st.floats(0.05, 0.95)
)


@given(cases)
def test_ranks_are_the_tightest_that_hold_by_scipy(case):
    n, sigma, eps, alpha, p = case
    ranks = find_ranks(n, sigma, eps, alpha, p, two_sided=False)
    p_lo, p_hi = shifted(p, eps, sigma)
    assert p_lo == pytest.approx(norm.cdf(norm.ppf(p) - eps / sigma))

    def lower_holds(q):
        return binom.cdf(q - 1, n, p_lo) < alpha

    def upper_holds(q):
        return binom.sf(q - 1, n, p_hi) < alpha

    assert ranks.lower is None or lower_holds(ranks.lower)
    assert ranks.upper is None or upper_holds(ranks.upper)
    tighter = 1 if ranks.lower is None else ranks.lower + 1
    assert tighter > n or not lower_holds(tighter)
    tighter = n if ranks.upper is None else ranks.upper - 1
    assert tighter < 1 or not upper_holds(tighter)


@given(cases, st.floats(0, 0.5))
def test_a_larger_radius_or_surer_bounds_never_narrow_the_interval(case, more):
    n, sigma, eps, alpha, p = case
    scores = np.linspace(0.1, 0.9, n)
    low, high = find_ranks(n, sigma, eps, alpha, p).interval(scores)
    for wider in (
        find_ranks(n, sigma, eps + more, alpha, p),
        find_ranks(n, sigma, eps, alpha / (1 + more), p),
    ):
        wide_low, wide_high = wider.interval(scores)
        assert wide_low <= low
        assert wide_high >= high


@settings(max_examples=12, deadline=None)
@given(st.sampled_from([50, 200, 1000]), st.floats(0, 0.4), st.sampled_from([0.01, 0.1]), st.booleans())
def test_coverage_by_simulation(n, eps, alpha, two_sided):
    """f is monotone along one direction of a Gaussian, so every quantile and the worst case are known."""
    sigma = 1.0
    ranks = find_ranks(n, sigma, eps, alpha, two_sided=two_sided)
    draws = np.sort(np.random.default_rng(0).standard_normal((4000, n)) * sigma)
    # f(x) = x: the median after a shift by d is d, so the bounds must enclose [-eps, eps].
    low_fails = np.mean(draws[:, ranks.lower - 1] > -eps) if ranks.lower else 0.0
    high_fails = np.mean(draws[:, ranks.upper - 1] < eps) if ranks.upper else 0.0
    each = alpha / 2 if two_sided else alpha
    # 4,000 trials scatter by some standard errors.
    slack = 4 * np.sqrt(each * (1 - each) / 4000)
    assert low_fails <= each + slack
    assert high_fails <= each + slack


def test_the_score_is_a_drawn_one():
    assert quantile_score([0.4, 0.1, 0.3, 0.2]) == 0.2
    assert quantile_score([0.4, 0.1, 0.3, 0.2, 0.5]) == 0.3
    assert quantile_score([0.7]) == 0.7


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((0, 0.1, 0.1, 0.1), "n=0"),
        ((10, 0.0, 0.1, 0.1), r"sigma=0\.0"),
        ((10, 0.1, -0.1, 0.1), r"eps=-0\.1"),
        ((10, 0.1, 0.1, 1.0), r"alpha=1\.0"),
        ((10, 0.1, 0.1, 0.1, 1.0), r"p=1\.0"),
    ],
)
def test_what_makes_no_sense_is_said(arguments, complaint):
    with pytest.raises(ValueError, match=complaint):
        find_ranks(*arguments)


def test_scores_must_be_as_many_as_the_ranks_count():
    with pytest.raises(ValueError, match="3 scores, but the ranks are those of 5"):
        find_ranks(5, 1, 0, 0.1).interval([1, 2, 3])
