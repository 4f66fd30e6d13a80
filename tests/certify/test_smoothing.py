"""Order statistics: published and hand-worked ranks, properties, and coverage by simulation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, norm

from birqa.certify.smoothing import (
    binomial_tails,
    find_ranks,
    normal_cdf,
    quantile_score,
    shifted,
    smallest_n,
    smallest_sigma,
)


def test_the_published_ranks():
    ranks = find_ranks(1000, 0.12, 0.05, 0.001, two_sided=False)
    assert (ranks.lower, ranks.upper) == (293, 708)
    assert ranks.lower_missed < 0.001
    assert ranks.upper_missed < 0.001


def test_ranks_by_hand():
    # Without a perturbation and with 5 scores, the median is below the largest unless all 5 fall below: 1/32.
    ranks = find_ranks(5, 1, 0, 0.05, two_sided=False)
    assert (ranks.lower, ranks.upper) == (1, 5)
    assert ranks.lower_missed == ranks.upper_missed == pytest.approx(1 / 32)
    assert ranks.interval([0.5, 0.1, 0.4, 0.2, 0.3]) == (0.1, 0.5)
    # Both at once within 5 % would need 1/32 <= 2.5 %: unreachable, so the ends of the range.
    both = find_ranks(5, 1, 0, 0.05)
    assert (both.lower, both.upper) == (None, None)
    assert both.interval([0.5, 0.1, 0.4, 0.2, 0.3]) == (0.0, 1.0)
    assert both.interval([5, 1, 4, 2, 3], limits=(-10, 10)) == (-10, 10)


@pytest.mark.parametrize("n", [1, 2, 37, 1000, 100_000])
@pytest.mark.parametrize("p", [1e-12, 1e-4, 0.05, 0.338, 0.5, 0.8, 0.9999, 1 - 2**-30])
def test_binomial_tails_by_scipy(n, p):
    # SciPy is slow with many.
    ranks = np.unique(np.concatenate([np.arange(0, n + 1, 1 + n // 700), np.arange(max(0, n - 9), n + 1)]))
    ours = (tail[ranks] for tail in binomial_tails(n, p / (1 - p)))
    for tails, oracle in zip(ours, (binom.cdf(ranks, n, p), binom.sf(ranks - 1, n, p)), strict=True):
        there = oracle > 1e-100
        assert tails[there] == pytest.approx(oracle[there], rel=2e-12, abs=0)
        assert np.all(tails[~there] < 1e-99)


def test_binomial_tails_at_the_ends():
    for odds, at_most, at_least in ((0.0, [1, 1, 1], [1, 0, 0]), (np.inf, [0, 0, 1], [1, 1, 1])):
        tails = binomial_tails(2, odds)
        assert tails[0].tolist() == at_most
        assert tails[1].tolist() == at_least


@given(st.floats(-37, 8))
def test_the_normal_distribution_by_scipy(z):
    assert normal_cdf(z) == pytest.approx(norm.cdf(z), rel=1e-12, abs=0)


def test_how_many_draws_it_takes_by_hand():
    # Without a perturbation the lowest of n is above the median with 2^-n: 2^-10 is the first below .001.
    assert smallest_n(1, 0, 0.001, two_sided=False) == 10
    assert smallest_n(1, 0, 0.001) == 11
    assert smallest_n(0.12, 0.36, 0.001) == 5627
    assert smallest_n(0.1, 1.0, 0.001) is None


@given(st.floats(0.05, 1), st.floats(0, 2.5), st.floats(1e-6, 0.3), st.floats(0.05, 0.95), st.booleans())
def test_so_many_draws_reach_both_ranks_and_one_fewer_does_not(sigma, ratio, alpha, p, two_sided):
    n = smallest_n(sigma, ratio * sigma, alpha, p, two_sided)
    enough = find_ranks(n, sigma, ratio * sigma, alpha, p, two_sided)
    assert None not in (enough.lower, enough.upper)
    if n > 1:
        fewer = find_ranks(n - 1, sigma, ratio * sigma, alpha, p, two_sided)
        assert None in (fewer.lower, fewer.upper)


@given(st.integers(12, 3000), st.floats(0.01, 1), st.floats(1e-3, 0.2), st.booleans())
def test_so_much_noise_reaches_both_ranks_and_a_little_less_does_not(n, eps, alpha, two_sided):
    sigma = smallest_sigma(n, eps, alpha, two_sided)
    assert find_ranks(n, 1.001 * sigma, eps, alpha, two_sided=two_sided).lower
    assert not find_ranks(n, 0.999 * sigma, eps, alpha, two_sided=two_sided).lower


def test_no_noise_helps_too_few_draws():
    assert smallest_sigma(5, 0.1, 0.001) is None


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


@settings(max_examples=12)
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


def test_more_draws_do_not_widen_the_interval_on_average():
    draws = np.random.default_rng(1).standard_normal((300, 1600))
    widths = []
    for n in (100, 400, 1600):
        ranks = find_ranks(n, 1.0, 0.2, 0.01)
        widths.append(np.mean([np.diff(ranks.interval(row[:n], (-9, 9))) for row in draws]))
    assert widths[0] > widths[1] > widths[2] > 0.4


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
