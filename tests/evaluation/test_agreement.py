"""Agreement with intervals: against SciPy, against what is worked by hand, and by simulation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from birqa.evaluation.agreement import draw_tests, split_references, study_agreement


def noisy(seed, references=20, each=10, **noise):
    """mos and one score column a keyword, each the rating plus noise of that size."""
    rng = np.random.default_rng(seed)
    mos = rng.random(references * each)
    refs = [f"ref{index // each}" for index in range(len(mos))]
    return mos, refs, {name: mos + size * rng.normal(size=len(mos)) for name, size in noise.items()}


def test_the_figures_are_those_of_scipy_and_the_order_of_metrics_is_kept():
    mos, refs, scores = noisy(0, good=0.1, poor=0.6)
    study = study_agreement(scores, mos, refs, resamples=50)
    assert [agreement.metric for agreement in study.agreements] == ["good", "poor"]
    for agreement in study.agreements:
        column = scores[agreement.metric]
        assert agreement.n == 200
        assert agreement.srocc == pytest.approx(stats.spearmanr(column, mos).statistic)
        assert agreement.krocc == pytest.approx(stats.kendalltau(column, mos).statistic)
        assert agreement.plcc == pytest.approx(stats.pearsonr(column, mos).statistic)
        for name, (low, high) in agreement.intervals.items():
            assert low <= getattr(agreement, name) <= high


def test_plcc_and_rmse_after_the_fit_see_through_a_curve():
    mos, refs, _ = noisy(1)
    bent = np.log(mos / (1.02 - mos) + 1e-3)
    (agreement,) = study_agreement({"bent": bent}, mos, refs, resamples=20).agreements
    assert agreement.plcc < 0.98
    assert agreement.plcc_fitted > 0.995
    assert agreement.rmse < 0.03


def test_intervals_of_independent_pairs_agree_with_fishers_formula():
    # One pair a reference: the bootstrap over references is the ordinary one.
    rng = np.random.default_rng(2)
    mos = rng.normal(size=400)
    score = 0.8 * mos + 0.6 * rng.normal(size=400)
    names = [str(index) for index in range(400)]
    (agreement,) = study_agreement({"score": score}, mos, names, resamples=500).agreements
    centre, step = np.arctanh(agreement.plcc), 1.96 / np.sqrt(397)
    expected = np.tanh([centre - step, centre + step])
    assert agreement.intervals["plcc"] == pytest.approx(expected, abs=0.015)


def test_pairs_of_one_reference_are_drawn_together():
    # Ten copies of each pair hold no more knowledge than one.
    mos, refs, scores = noisy(3, references=30, each=1, score=0.3)
    once = study_agreement(scores, mos, refs, resamples=300).agreements[0]
    copied = study_agreement(
        {"score": np.repeat(scores["score"], 10)}, np.repeat(mos, 10), np.repeat(refs, 10), resamples=300
    ).agreements[0]
    width = np.ptp(once.intervals["srocc"])
    assert np.ptp(copied.intervals["srocc"]) == pytest.approx(width, rel=0.35)


def test_differences_are_paired_and_only_clear_ones_are_significant():
    mos, refs, scores = noisy(4, good=0.1, poor=0.6)
    scores["same"] = 2 * scores["good"] + 1
    study = study_agreement(scores, mos, refs, resamples=200)
    poor, same = study.differences
    assert (poor.metric, poor.other, same.other) == ("good", "poor", "same")
    assert poor.significant
    gap = study.agreements[0].srocc - study.agreements[1].srocc
    assert poor.interval[0] < gap < poor.interval[1]
    # Equal ranks on every resample: no difference at all, not merely a small one.
    assert (same.median, same.interval, same.significant) == (0, (0, 0), False)
    reverse = study_agreement({"poor": scores["poor"], "good": scores["good"]}, mos, refs, resamples=200)
    assert not reverse.differences[0].significant
    assert reverse.differences[0].interval == pytest.approx((-poor.interval[1], -poor.interval[0]))


def test_a_true_tie_is_called_significant_about_as_seldom_as_it_should():
    found = 0
    for seed in range(40):
        mos, refs, scores = noisy(seed, references=25, each=4, one=0.3, other=0.3)
        found += study_agreement(scores, mos, refs, resamples=100).differences[0].significant
    # One side of a 95 % interval: 1 of 40 expected, 7 would be one in ten thousand.
    assert found < 7


def test_groups_are_correlated_apart_and_constant_ones_left_out():
    mos = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.7, 0.7, 0.9]
    score = [1, 2, 3, 6, 5, 4, 7, 8, 9, 10]
    kinds = ["a"] * 3 + ["b"] * 3 + ["c"] * 3 + ["d"]
    study = study_agreement({"score": score}, mos, list("rstuvwxyzq"), {"type": kinds}, resamples=10)
    assert study.agreements[0].srocc_by == {"type": {"a": pytest.approx(1), "b": pytest.approx(-1)}}


@settings(max_examples=30)
@given(st.integers(5, 40), st.integers(0, 1000))
def test_splits_never_divide_a_reference_and_keep_their_shares(references, seed):
    refs = [f"ref{index % references}" for index in range(3 * references)]
    split = split_references(refs, seed)
    for name in set(refs):
        assert len({part for part, ref in zip(split, refs, strict=True) if ref == name}) == 1
    counts = [
        len({ref for part, ref in zip(split, refs, strict=True) if part == name})
        for name in ("train", "val", "test")
    ]
    assert sum(counts) == references
    assert np.allclose(counts, np.array([0.6, 0.2, 0.2]) * references, atol=1)
    assert (split_references(refs, seed) == split).all()


def test_seeds_split_differently():
    refs = [str(index) for index in range(30)]
    assert len({tuple(split_references(refs, seed)) for seed in range(10)}) == 10


@pytest.mark.parametrize(("references", "certain"), [(1, False), (4, False), (5, True)])
def test_intervals_and_verdicts_need_five_references(references, certain):
    mos, refs, scores = noisy(5, references=references, each=12, good=0.1, poor=2.0)
    study = study_agreement(scores, mos, refs, resamples=20)
    assert study.agreements[0].srocc > 0.5
    for agreement in study.agreements:
        assert {one is not None for one in agreement.intervals.values()} == {certain}
    (gap,) = study.differences
    assert (gap.interval is not None, gap.median is not None) == (certain, certain)
    assert gap.significant is (True if certain else None)


@pytest.mark.parametrize(("references", "each"), [(2, 50), (4, 50), (5, 2)])
def test_random_splits_of_too_few_references_are_refused(references, each):
    mos, refs, scores = noisy(6, references=references, each=each, score=0.2)
    with pytest.raises(ValueError, match=f"{references} references with {len(mos)} pairs are too few"):
        study_agreement(scores, mos, refs, resamples=2, splits=3)
    with pytest.raises(ValueError, match="too few"):
        draw_tests(refs, 1)
    assert draw_tests(refs, 0) == []


def test_a_resample_of_one_picture_alone_spoils_no_interval():
    # Of five references with one pair each, one resample in 625 is of a single pair.
    mos, refs, scores = noisy(7, references=5, each=1, score=0.1)
    (agreement,) = study_agreement(scores, mos, refs, resamples=3000).agreements
    assert np.isfinite(list(agreement.intervals.values())).all()
