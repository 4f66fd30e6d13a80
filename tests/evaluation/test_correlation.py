"""Correlations against scipy and against what is worked by hand."""

import math

import numpy as np
import pytest
from scipy import stats

from birqa.evaluation.correlation import Correlation, correlate


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("count", [3, 4, 50])
def test_the_correlations_are_those_of_scipy(seed, count):
    rng = np.random.default_rng(seed)
    scores = rng.random(count)
    mos = np.round(5 * (0.5 * scores + 0.5 * rng.random(count)), 1)
    got = correlate(scores.tolist(), mos.tolist())
    assert got.srocc == pytest.approx(stats.spearmanr(scores, mos).statistic)
    assert got.plcc == pytest.approx(stats.pearsonr(scores, mos).statistic)
    assert got.krocc == pytest.approx(stats.kendalltau(scores, mos, variant="b").statistic)
    assert got.n == count


def test_worked_by_hand():
    # Ranks 1 2 3 4 against 1 3 2 4: one of six pairs is out of order, and the ranks differ by 0 1 1 0.
    got = correlate([1, 2, 3, 4], [10, 30, 20, 80])
    assert got.krocc == pytest.approx((5 - 1) / 6)
    assert got.srocc == pytest.approx(1 - 6 * 2 / (4 * 15))
    # Deviations -1.5 -.5 .5 1.5 and -25 -5 -15 45: 100 / sqrt(5 * 2900).
    assert got.plcc == pytest.approx(100 / math.sqrt(5 * 2900))


def test_ties_count_as_tau_b():
    # Of three pairs one is tied in the ratings; the other two agree: 2 / sqrt(3 * 2).
    assert correlate([1, 2, 3], [1, 1, 2]).krocc == pytest.approx(2 / math.sqrt(6))


def test_the_order_of_the_pairs_and_the_scale_do_not_matter():
    scores, mos = [0.2, 0.9, 0.5, 0.7], [1.0, 4.0, 3.5, 3.0]
    got = correlate(scores, mos)
    shuffled = correlate([scores[k] for k in (2, 0, 3, 1)], [mos[k] for k in (2, 0, 3, 1)])
    scaled = correlate([100 * s - 7 for s in scores], mos)
    falling = correlate(scores, [-m for m in mos])
    for name in ("srocc", "plcc", "krocc"):
        assert getattr(shuffled, name) == pytest.approx(getattr(got, name))
        assert getattr(scaled, name) == pytest.approx(getattr(got, name))
        assert getattr(falling, name) == pytest.approx(-getattr(got, name))


def test_agreement_and_disagreement_are_one_and_minus_one():
    assert correlate([1, 2, 3], [4, 5, 6]) == Correlation(
        pytest.approx(1), pytest.approx(1), pytest.approx(1), 3
    )
    assert correlate([1, 2, 3], [6, 5, 4]).srocc == pytest.approx(-1)


@pytest.mark.parametrize(
    ("scores", "mos", "message"),
    [
        ([1, 2, 3], [1, 2], "3 scores but 2 ratings"),
        ([1, 2], [1, 2], "at least 3 rated pairs, but there are 2"),
        ([], [], "at least 3 rated pairs, but there are 0"),
        ([0.5, 0.5, 0.5], [1, 2, 3], "all scores are 0.5: there is nothing to correlate"),
        ([1, 2, 3], [4, 4, 4], "all ratings are 4: there is nothing to correlate"),
    ],
)
def test_what_cannot_be_correlated_is_refused(scores, mos, message):
    with pytest.raises(ValueError, match=message):
        correlate(scores, mos)


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("side", [0, 1])
def test_values_that_are_not_finite_are_refused(value, side):
    values = [[0.1, 0.2, 0.4], [1.0, 2.0, 3.0]]
    values[side][1] = value
    with pytest.raises(ValueError, match="finite"):
        correlate(*values)
