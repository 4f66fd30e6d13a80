"""Theorem 1, the hinge, and batches of anchors and pictures between them."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from birqa.training.anchors import (
    BandSampler,
    anchored_loss,
    find_neighbours,
    measure_bound,
    violations,
)


@st.composite
def batches(draw):
    """Ratings, scores and anchors with both ends among them, as training draws them."""
    count = draw(st.integers(3, 16))
    value = st.floats(0, 1, width=32)
    target = torch.tensor(draw(st.lists(value, min_size=count, max_size=count)))
    prediction = torch.tensor(draw(st.lists(st.floats(-1, 2, width=32), min_size=count, max_size=count)))
    anchor = torch.tensor(draw(st.lists(st.booleans(), min_size=count, max_size=count)))
    anchor[target.argmin()] = anchor[target.argmax()] = True
    if anchor.sum() < 2 or target.max() - target.min() < 1e-3:
        anchor[:2] = True
        target[0], target[1] = 0.0, 1.0
    return prediction, target, anchor


@settings(max_examples=500)
@given(batches())
def test_the_error_never_passes_the_bound(batch):
    bound = measure_bound(*batch)
    assert bound.worst <= bound.bound + 1e-6
    prediction, target, anchor = batch
    error = (prediction - target).abs()
    if error[anchor].max() == error.max():
        assert bound.worst <= bound.eps + 1e-6


@given(batches())
def test_nearest_anchors_are_the_nearest(batch):
    _, target, anchor = batch
    found = find_neighbours(target, anchor)
    for place, below, above in zip(found.inner, found.below, found.above, strict=True):
        rating, levels = target[place], target[anchor]
        assert target[below] == levels[levels <= rating].max()
        assert target[above] == levels[levels >= rating].min()


def test_violations_by_hand():
    # Anchors rated 0, .5, 1 and scored .1, .6, .9; between them pictures rated .2, .7 and .5.
    target = torch.tensor([0.0, 0.5, 1.0, 0.2, 0.7, 0.5])
    anchor = torch.tensor([True, True, True, False, False, False])
    prediction = torch.tensor([0.1, 0.6, 0.9, 0.75, 0.5, 0.4])
    found = violations(prediction, target, find_neighbours(target, anchor))
    # .75 is .15 above the anchor at .5; .5 is .1 below it; .4 is .2 below the anchor of its own rating.
    torch.testing.assert_close(found, torch.tensor([0.15, 0.1, 0.2]))
    torch.testing.assert_close(anchored_loss(found, 2), torch.tensor(0.175))
    torch.testing.assert_close(anchored_loss(found, 9), found.mean())
    bound = measure_bound(prediction, target, anchor)
    assert bound.eps == pytest.approx(0.1)
    assert bound.eta == pytest.approx(0.3)
    assert bound.lambda_ == pytest.approx(0.2)
    assert bound.worst == pytest.approx(0.55)
    assert bound.bound == pytest.approx(0.6)


def test_the_loss_pulls_a_picture_back_between_its_anchors():
    target = torch.tensor([0.0, 0.5, 1.0, 0.2])
    anchor = torch.tensor([True, True, True, False])
    prediction = torch.tensor([0.1, 0.5, 0.9, 0.8], requires_grad=True)
    violation = violations(prediction, target, find_neighbours(target, anchor))
    anchored_loss(violation, 3).backward()
    torch.testing.assert_close(prediction.grad, torch.tensor([0.0, -1.0, 0.0, 1.0]))


def test_a_batch_of_one_rating_neither_passes_the_bound_nor_drowns_others():
    target = torch.full((4,), 0.5)
    anchor = torch.tensor([True, True, False, False])
    prediction = torch.tensor([0.4, 0.6, 0.9, 0.5])
    bound = measure_bound(prediction, target, anchor)
    assert bound.worst <= bound.bound + 1e-6
    violation = violations(prediction, target, find_neighbours(target, anchor))
    assert violation.max() <= (prediction.max() - prediction.min()) / 0.05


def test_what_the_theorem_does_not_cover_is_refused():
    with pytest.raises(ValueError, match="at least 2"):
        find_neighbours(torch.tensor([0.1, 0.5]), torch.tensor([True, False]))
    with pytest.raises(ValueError, match="must enclose"):
        find_neighbours(torch.tensor([0.1, 0.5, 0.9]), torch.tensor([True, True, False]))


# Batches


@settings(max_examples=200)
@given(
    st.integers(16, 200),
    st.integers(2, 8),
    st.floats(0.05, 1.2),
    st.integers(0, 10**6),
)
def test_every_band_encloses_its_pictures(count, anchors, width, seed):
    ratings = np.random.default_rng(seed).beta(2, 1, count)
    sampler = BandSampler(ratings, 16, anchors, width, seed)
    band = sampler(3)
    assert len(band.anchors) == anchors
    assert len(band.inner) == 16 - anchors
    assert len({*band.anchors, *band.inner}) == 16
    levels = ratings[band.anchors]
    assert (np.diff(levels) >= 0).all()
    assert levels[0] <= ratings[band.inner].min()
    assert ratings[band.inner].max() <= levels[-1]
    assert levels[-1] - levels[0] <= width + band.widened + 1e-9
    again = sampler(3)
    np.testing.assert_array_equal(again.inner, band.inner)


def test_bands_wander_over_all_ratings():
    ratings = np.linspace(0, 1, 500)
    sampler = BandSampler(ratings, 16, 5, 0.5, 0)
    lows = [ratings[sampler(step).anchors[0]] for step in range(200)]
    assert min(lows) < 0.05
    assert max(lows) > 0.45
    assert all(sampler(step).widened == 0 for step in range(20))
    # Anchors are spread evenly: eta is about a quarter of the band.
    levels = ratings[sampler(0).anchors]
    np.testing.assert_allclose(np.diff(levels), 0.125, atol=0.01)


def test_a_sparse_band_is_widened_and_says_so():
    sampler = BandSampler(np.linspace(0, 1, 21), 16, 3, 0.1, 0)
    assert sampler(0).widened == pytest.approx(15 / 20 - 0.1)


def test_settings_that_cannot_be_are_refused():
    ratings = np.linspace(0, 1, 40)
    with pytest.raises(ValueError, match="at least 2 and less than the batch"):
        BandSampler(ratings, 16, 1, 0.5, 0)
    with pytest.raises(ValueError, match="do not fill a batch"):
        BandSampler(ratings[:9], 16, 5, 0.5, 0)
    with pytest.raises(ValueError, match="should be positive"):
        BandSampler(ratings, 16, 5, 0.0, 0)


def test_held_anchors_get_no_gradient_and_the_violations_stay_the_same():
    target = torch.tensor([0.2, 0.8, 0.5])
    anchor = torch.tensor([True, True, False])
    neighbours = find_neighbours(target, anchor)
    found = {}
    for held in (False, True):
        prediction = torch.tensor([0.2, 0.8, 0.1], requires_grad=True)
        violation = violations(prediction, target, neighbours, held)
        (slope,) = torch.autograd.grad(violation.sum(), prediction)
        found[held] = (violation.item(), slope.tolist())
    # 0.1 below its lower anchor, over a range of 0.6.
    assert found[False] == (pytest.approx(1 / 6), pytest.approx([1 / 0.6, 0, -1 / 0.6]))
    assert found[True] == (pytest.approx(1 / 6), pytest.approx([0, 0, -1 / 0.6]))
