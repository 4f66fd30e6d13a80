"""The audit: its regression on sides that are known, its threshold, and what is fitted to other weights."""

import json
from dataclasses import replace

import numpy as np
import pytest

import birqa
from birqa.registry import find_model
from birqa.robustness.audit import Auditor, Detector, Viewer, Views, fit, load_detector, threshold_at


def _views(count, gap, seed):
    """Scores whose washed and hardened views differ from the plain one by `gap` and a little noise."""
    rng = np.random.default_rng(seed)
    made = []
    for plain in rng.uniform(0.2, 0.9, count):
        others = plain - gap + 0.03 * rng.standard_normal(6)
        made.append(Views(plain, *others, 0.01))
    return made


def _detector(weights, threshold=0.0):
    name = "birqa.kadid"
    fingerprint = find_model(name).fingerprint
    return Detector(name, name, (fingerprint, fingerprint), weights, threshold, 0.01)


def test_the_regression_tells_sides_apart_that_differ():
    weights = fit(_views(200, 0.0, 0), _views(50, 0.15, 1))
    detector = _detector(weights)
    clean = [detector.suspicion(views) for views in _views(300, 0.0, 2)]
    attacked = [detector.suspicion(views) for views in _views(300, 0.15, 3)]
    threshold = threshold_at(clean, 0.01)
    assert np.mean(np.array(clean) > threshold) <= 0.01
    assert np.mean(np.array(attacked) > threshold) > 0.95


def test_the_threshold_by_hand():
    suspicions = list(range(100))
    assert threshold_at(suspicions, 0.01) == 98
    assert threshold_at(suspicions, 0.0) == 99
    assert threshold_at([3.0, 1.0], 0.01) == 3
    with pytest.raises(ValueError, match=r"false_alarms=1\.0 should be at least 0 and below 1"):
        threshold_at(suspicions, 1.0)


def test_views_are_the_metrics_scores(pair, metric_of):
    dist, ref = pair
    views = Viewer(metric_of(), metric_of())(dist, ref)
    assert views.plain == views.hardened == pytest.approx(float(metric_of()(dist, ref)[0]))
    assert views.mse == pytest.approx(np.mean((dist / 255.0 - ref / 255.0) ** 2), rel=1e-4)
    moved = [
        float(
            metric_of()(
                *(
                    np.pad(picture[up:, left:], ((0, up), (0, left), (0, 0)), mode="reflect")
                    for picture in (dist, ref)
                )
            )[0]
        )
        for up, left in ((2, 6), (6, 2))
    ]
    assert moved[0] != moved[1]
    assert views.plain_moved == pytest.approx(max(moved))
    assert views.plain_moved != views.plain
    # A blur takes noise away: the score rises.
    assert views.plain_blur == views.hardened_blur > views.plain


def test_equal_pictures_are_alike_in_every_view(photographs, metric_of):
    views = Viewer(metric_of(), metric_of())(photographs[0], photographs[0])
    assert set(vars(views).values()) == {1.0, 0.0}
    assert views.mse == 0


def test_a_detector_is_kept_and_refused_for_other_weights(tmp_path):
    detector = _detector(fit(_views(20, 0, 0), _views(20, 0.2, 1)), 0.5)
    path = tmp_path / "audit.json"
    detector.save(path)
    assert load_detector(path) == detector
    replace(detector, fingerprints=("other", "weights")).save(path)
    with pytest.raises(ValueError, match="fitted to other weights"):
        load_detector(path)


def test_an_auditor_gives_a_verdict(pair):
    verdict = Auditor(_detector((*[0.0] * 16, 1.0), 0.5), threads=1)(*pair)
    assert verdict.suspicion == 1
    assert verdict.optimised
    assert json.loads(json.dumps(verdict.to_dict()))["plain"] == verdict.views.plain
    with pytest.raises(ValueError, match="one size"):
        Auditor(_detector((*[0.0] * 16, 1.0)), threads=1)(pair[0][:50], pair[1])
    assert birqa.create_metric("birqa").info.name == "birqa.kadid"
