"""Prediction intervals: exact ranks, and coverage by simulation."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import birqa
from birqa.calibration import PredictionInterval, calibrate
from birqa.cli.calibrate import command
from birqa.model import load_model


def world(seed, references=60, each=20):
    """Scores, ratings whose error grows in the middle of the scale, and references."""
    rng = np.random.default_rng(seed)
    scores = rng.random(references * each)
    ratings = scores + rng.normal(size=len(scores)) * (0.02 + 0.2 * scores * (1 - scores))
    return scores, ratings.clip(0, 1), [str(index // each) for index in range(len(scores))]


def test_an_interval_worked_by_hand():
    interval = PredictionInterval(0.9, (0.5,), (0.1, 0.2), 0.9, "")
    low, high = interval([0.05, 0.4, 0.5, 0.95])
    assert low == pytest.approx([0, 0.3, 0.3, 0.75])
    assert high == pytest.approx([0.15, 0.5, 0.7, 1])


def test_the_radius_is_the_conformal_rank_of_the_errors():
    # One bin: with n errors the radius is number ceil((n + 1) coverage) of them, from the smallest.
    scores, ratings, refs = world(0, references=10, each=4)
    interval = calibrate(scores, ratings, refs, coverage=0.8, bins=1)
    chosen = np.random.default_rng(0).permutation(np.unique(refs))[:5]
    errors = np.sort(np.abs(scores - ratings)[np.isin(refs, chosen)])
    assert interval.radius == (pytest.approx(errors[int(np.ceil(21 * 0.8)) - 1]),)


@pytest.mark.parametrize("coverage", [0.8, 0.95])
def test_fresh_ratings_lie_inside_as_often_as_promised(coverage):
    inside, measured = [], []
    for seed in range(20):
        interval = calibrate(*world(seed), coverage=coverage)
        measured.append(interval.measured)
        scores, ratings, _ = world(1000 + seed)
        low, high = interval(scores)
        inside.append(np.mean((low <= ratings) & (ratings <= high)))
    assert np.mean(inside) == pytest.approx(coverage, abs=0.01)
    assert np.mean(measured) == pytest.approx(coverage, abs=0.015)


def test_intervals_are_wider_where_the_metric_errs_more():
    radius = calibrate(*world(3)).radius
    assert radius[2] > 1.5 * radius[0]
    assert radius[2] > 1.5 * radius[-1]


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.floats(0.55, 0.9), st.integers(1, 6))
def test_more_coverage_is_never_narrower_and_ends_stay_on_the_scale(seed, coverage, bins):
    data = world(seed, references=20)
    narrow, wide = (calibrate(*data, coverage=c, bins=bins) for c in (coverage, coverage + 0.05))
    assert all(a <= b for a, b in zip(narrow.radius, wide.radius, strict=True))
    scores = np.linspace(0, 1, 50)
    low, high = wide(scores)
    assert ((low >= 0) & (low <= scores) & (scores <= high) & (high <= 1)).all()
    assert PredictionInterval.from_dict(json.loads(json.dumps(wide.to_dict()))) == wide


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"coverage": 1.0}, "between 0 and 1"),
        ({"coverage": 0.999}, r"are too few for 5 bins at coverage .*: give more, or a lower coverage\.$"),
        ({"refs": ["one"] * 1200}, "at least two references"),
    ],
)
def test_what_cannot_be_calibrated_is_refused(change, message):
    scores, ratings, refs = world(0)
    arguments = {"scores": scores, "ratings": ratings, "refs": refs} | change
    with pytest.raises(ValueError, match=message):
        calibrate(**arguments)


def test_the_command_takes_a_folder_and_no_name(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "meta.csv").write_text("ref,dist,mos\nr.png,d.png,0.5\nr.png,e.png,1.03\n")
    with pytest.raises(ValueError, match="there is no metric folder birqa: calibrate writes into one"):
        command(Path("birqa"), tmp_path / "meta.csv")


def test_pairs_that_were_trained_on_are_not_taken_unasked(save_tiny, tmp_path):
    model = save_tiny(tmp_path / "model")
    rng = np.random.default_rng(0)
    lines = ["ref,dist,mos,split"]
    for number in range(42):
        for name in (f"r{number}.png", f"d{number}.png"):
            Image.fromarray(rng.integers(0, 256, (40, 40, 3)).astype(np.uint8)).save(tmp_path / name)
        lines.append(f"r{number}.png,d{number}.png,{number / 42},{'train' if number < 2 else 'test'}")
    (tmp_path / "meta.csv").write_text("\n".join(lines))
    with pytest.raises(ValueError, match="choose others with --split test or val"):
        command(model, tmp_path / "meta.csv")
    command(model, tmp_path / "meta.csv", coverage=0.5, split="test", threads=1)
    assert load_model(model).interval.data.endswith("meta.csv, 40 pairs of test")


def test_a_model_keeps_its_interval_and_the_metric_offers_it(save_tiny, tmp_path):
    folder = save_tiny(tmp_path / "model")
    assert birqa.create_metric(folder, threads=1).interval is None
    interval = PredictionInterval(0.9, (0.5,), (0.1, 0.2), 0.91, "data")
    record = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(record | {"interval": interval.to_dict()}))
    assert load_model(folder).interval == interval
    assert birqa.create_metric(folder, threads=1).interval == interval
    shutil.copytree(folder, tmp_path / "broken")
    (tmp_path / "broken/model.json").write_text(json.dumps(record | {"interval": {"coverage": 0.9}}))
    with pytest.raises(ValueError, match="incomplete"):
        load_model(tmp_path / "broken")


def test_scores_that_many_pairs_share_leave_no_bin_empty():
    scores, ratings, refs = world(3)
    scores[::2] = 1
    interval = calibrate(scores, ratings, refs, bins=5)
    assert len(interval.radius) == len(interval.edges) + 1 < 5
    assert 0.8 < interval.measured < 1


def test_the_least_score_may_be_that_of_many_pairs():
    scores, ratings, refs = world(3)
    scores[::3] = 0
    interval = calibrate(scores, ratings, refs, bins=5)
    assert len(interval.radius) == len(interval.edges) + 1
    assert min(interval.edges) > 0
