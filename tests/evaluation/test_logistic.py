"""The fitted curve against known curves and against what any least-squares fit must satisfy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr, spearmanr

from birqa.evaluation.logistic import Logistic, fit_logistic


def test_the_curve_worked_by_hand():
    curve = Logistic(low=1, high=5, centre=10, width=2)
    assert curve(np.array([10.0]))[0] == pytest.approx(3)
    assert curve(np.array([12.0]))[0] == pytest.approx(1 + 4 / (1 + np.exp(-1)))
    assert curve(np.array([-1e9, 1e9])) == pytest.approx([1, 5])


@pytest.mark.parametrize("width", [0.05, 1.0, -0.3])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_points_on_a_logistic_are_found_again(width, scale):
    truth = Logistic(0.1, 0.9, 0.4 * scale, width * scale)
    scores = np.linspace(-1, 2, 60) * scale
    fitted = fit_logistic(scores, truth(scores))
    np.testing.assert_allclose(fitted(scores), truth(scores), atol=2e-3)


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_a_fit_keeps_the_order_and_explains_no_less_than_a_straight_line(seed):
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=80)
    mos = np.tanh(1.5 * scores) + 0.2 * rng.normal(size=80)
    fitted = fit_logistic(scores, mos)(scores)
    assert spearmanr(fitted, scores).statistic > 0.999
    assert pearsonr(fitted, mos).statistic > pearsonr(scores, mos).statistic - 0.01


@pytest.mark.parametrize(
    ("scores", "mos", "message"),
    [
        ([1, 2, 3], [1, 2, 3], "at least 4"),
        ([1, 1, 1, 1], [1, 2, 3, 4], "nothing to fit"),
        ([1, 2, 3, np.inf], [1, 2, 3, 4], "not finite"),
        ([1, 2, 3, 4], [1, 2, np.nan, 4], "not finite"),
    ],
)
def test_what_cannot_be_fitted_is_refused(scores, mos, message):
    with pytest.raises(ValueError, match=message):
        fit_logistic(np.array(scores, float), np.array(mos, float))
