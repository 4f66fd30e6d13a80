"""The sanity report on metrics that are known to hide, to scatter, or to be plain."""

import torch

from birqa.attacks import create_attack
from birqa.robustness.sanity import check

BUDGETS = [0.01, 0.04]


def _pictures():
    drawn = torch.rand((2, 3, 3, 16, 16), generator=torch.Generator().manual_seed(0))
    return tuple(0.2 + 0.6 * drawn)


def _plain(dist, ref):
    return (dist - ref).mean((1, 2, 3))


def _hiding(dist, ref):
    """Moves in steps, so that no gradient tells where to go."""
    return torch.floor(dist * 200).mean((1, 2, 3)) / 200 + 0 * dist.sum((1, 2, 3))


def _check(metric, surrogates, queries=60):
    attacks = {name: create_attack("ifgsm", steps=12) for name in surrogates}
    return check(metric, surrogates, attacks, create_attack("square", queries=queries), *_pictures(), BUDGETS)


def test_a_plain_metric_raises_no_doubt():
    report = _check(_plain, {"plain": _plain})
    assert report.warnings == []
    assert report.scatter == 0
    assert report.zero_gradients == {"plain": 0}
    assert report.gains["ifgsm, plain"]["0.04"] > report.gains["ifgsm, plain"]["0.01"] > 0


def test_a_hiding_place_is_found_out_by_queries_and_by_a_surrogate():
    report = _check(_hiding, {"hard": _hiding})
    assert report.zero_gradients["hard"] == 1
    assert any("100% of the hard gradient" in warning for warning in report.warnings)
    assert any("black box square gains" in warning for warning in report.warnings)
    both = _check(_hiding, {"hard": _hiding, "soft": _plain})
    assert both.gains["ifgsm, soft"]["0.04"] > 0.03 > both.gains["ifgsm, hard"]["0.04"]
    assert not any("black box" in warning for warning in both.warnings)


def test_a_random_metric_is_told():
    def random(dist, ref):
        return _plain(dist, ref) + 1e-3 * torch.rand(len(dist))

    report = _check(random, {"itself": random})
    assert report.scatter > 0
    assert "the metric is random" in report.warnings[0]


def test_a_gain_that_does_not_grow_is_told():
    def bounded(dist, ref):
        # Falls again beyond a change of .02.
        return -((dist - ref).mean((1, 2, 3)) - _plain(*_pictures()).to(dist) - 0.02).abs()

    attack = {"itself": create_attack("fgsm")}
    report = check(
        bounded, {"itself": bounded}, attack, create_attack("square", queries=2), *_pictures(), [0.02, 0.1]
    )
    assert any("does not grow with the budget" in warning for warning in report.warnings)


def test_a_gradient_that_is_not_followed_but_leads_further_is_told():
    both = _check(_plain, {"hidden": _hiding, "plain": _plain})
    assert any("ifgsm, plain gains" in one and "do not show the worst" in one for one in both.warnings)
    # Followed first, it leaves nothing to tell.
    assert _check(_plain, {"plain": _plain, "hidden": _hiding}).warnings == [
        "100% of the hidden gradient is exactly zero: attacks that follow it are held up, not beaten"
    ]
