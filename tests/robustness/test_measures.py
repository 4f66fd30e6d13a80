"""Measures of robustness on hand-worked cases and by their properties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import rankdata, spearmanr

from birqa.robustness import transport
from birqa.robustness.measures import common_domain, integral_change, ir_score, measure

MOS = np.array([1.0, 2, 3, 4, 5, 6])
REFS = ["a", "a", "b", "b", "c", "c"]


def test_measures_by_hand():
    before = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    sign = np.array([1, 1, 1, -1, -1, -1])
    after = before + 0.2 * sign
    found = measure(before, after, MOS, sign, REFS)
    assert found.n == 6
    assert found.gain == pytest.approx(0.2)
    assert found.relative_gain == pytest.approx(0.4)
    assert found.gain_interval == pytest.approx((0.2, 0.2))
    assert found.srocc == pytest.approx(spearmanr(after, MOS).statistic)
    assert found.srocc_interval[0] <= found.srocc <= found.srocc_interval[1]


def test_an_attack_that_makes_all_scores_one_leaves_no_rank():
    before = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    found = measure(before, np.ones(6), MOS, np.ones(6), REFS)
    assert found.srocc == 0
    assert found.gain == pytest.approx(0.65)
    with pytest.raises(ValueError, match="not finite"):
        measure(before, np.full(6, np.nan), MOS, np.ones(6), REFS)


def test_pushing_all_up_alike_moves_no_rank():
    before = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    found = measure(before, before + 0.3, MOS, np.ones(6), REFS)
    assert found.srocc == pytest.approx(1)
    assert found.gain == pytest.approx(0.3)


ordered = hnp.arrays(np.float64, st.integers(3, 30), elements=st.floats(-5, 5).map(lambda x: round(x, 3)))


@given(ordered, ordered)
def test_the_domain_map_keeps_order_and_reaches_the_common_range(clean, common):
    if np.ptp(clean) < 1e-3 or np.ptp(common) < 1e-3:
        return
    mapped = common_domain(clean, clean, common)
    order = np.argsort(clean, kind="stable")
    assert (np.diff(mapped[order]) >= -1e-9).all()
    assert mapped.min() >= common.min() - 1e-9
    assert mapped.max() <= common.max() + 1e-9


@given(
    hnp.arrays(np.float64, 20, elements=st.floats(1e-3, 0.05)), st.permutations(range(20)), st.floats(0.5, 3)
)
def test_the_domain_does_not_depend_on_a_metric_s_scale(gaps, order, power):
    clean = np.cumsum(gaps)[list(order)]
    common = np.linspace(0, 1, 20)
    np.testing.assert_allclose(common_domain(clean, clean, common), (rankdata(clean) - 1) / 19, atol=1e-9)
    np.testing.assert_allclose(
        common_domain(7 * clean**power - 3, 7 * clean**power - 3, common),
        common_domain(clean, clean, common),
        atol=1e-9,
    )


def test_beyond_the_clean_scores_changes_still_count():
    clean, common = np.array([0.0, 0.5, 1.0]), np.array([0.0, 50.0, 100.0])
    np.testing.assert_allclose(common_domain([-0.5, 0.25, 2.0], clean, common), [-50, 25, 200])
    with pytest.raises(ValueError, match=r"all clean scores are 0\.5"):
        common_domain([0.1], [0.5, 0.5], common)


def test_scores_that_pictures_share_go_to_the_middle_of_their_quantiles():
    clean, common = np.array([0.0, 1.0, 1.0, 1.0, 2.0]), np.array([0.0, 1, 2, 3, 4])
    np.testing.assert_allclose(common_domain([0, 1, 2], clean, common), [0, 2, 4])


def test_neural_transport_comes_near_the_quantile_map_where_both_know_the_scores(monkeypatch):
    rng = np.random.default_rng(0)
    clean, common = rng.normal(3, 0.5, 400), rng.uniform(0, 1, 400)
    asked = np.quantile(clean, [0.1, 0.3, 0.5, 0.7, 0.9])
    found = transport.neural_domain(asked, clean, common)
    np.testing.assert_allclose(found, common_domain(asked, clean, common), atol=0.12)
    assert (np.diff(found) > 0).all()
    monkeypatch.setattr(transport, "STEPS", 3)
    again = (transport.neural_domain(asked, clean, common) for _ in range(2))
    np.testing.assert_array_equal(next(again), next(again))
    with pytest.raises(ValueError, match="all clean scores are 1"):
        transport.neural_domain([1.0], [1.0, 1.0], [0.0, 1.0])


def test_ir_score_by_hand():
    # Trapezoids over 0, 2, 4: base 0 -> .2 -> .4, defended half of it.
    base = {2.0: [0.2, -0.2], 4.0: [0.4, 0.4]}
    defended = {2.0: [0.1, 0.1], 4.0: [-0.2, 0.2]}
    assert integral_change([2.0, 4.0], base) == pytest.approx((0.2 * 2 / 2 + 0.3 * 2) / 4)
    assert ir_score([4.0, 2.0], defended, base) == pytest.approx(0.5)
    assert ir_score([2.0, 4.0], base, base) == pytest.approx(0)
    assert ir_score([2.0, 4.0], {2.0: [0, 0], 4.0: [0, 0]}, base) == 1
    assert np.isnan(ir_score([2.0], {2.0: [0.1]}, {2.0: [0]}))
    with pytest.raises(ValueError, match="should be positive"):
        integral_change([0.0], {0.0: [0]})
