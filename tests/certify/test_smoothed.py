"""Scoring draws: order, batches, memory, and scores that may not be."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from birqa.certify.noise import Noise
from birqa.certify.smoothed import score_draws

PICTURE = np.random.default_rng(5).integers(0, 256, (6, 9, 3)).astype(np.uint8)
NOISE = Noise("discrete", 0.2, 7)


def mean(noisy):
    # One at a time, as NumPy sums a batch in another order.
    return np.array([np.clip(one, 0, 1).mean() for one in noisy])


def test_each_draw_is_the_score_of_its_noisy_picture():
    scores = score_draws(mean, PICTURE, NOISE, [4, 0, 9])
    planes = PICTURE.transpose(2, 0, 1)
    assert scores.tolist() == [np.float32(np.clip(NOISE.draw(k, planes), 0, 1).mean()) for k in (4, 0, 9)]


@settings(max_examples=25)
@given(st.integers(0, 30), st.integers(1, 30), st.integers(1, 12), st.sampled_from(["discrete", "gaussian"]))
def test_neither_batches_nor_breaks_matter(start, count, together, kind):
    noise = Noise(kind, 0.2, 7)
    memory = together * 6 * 9 * 100
    sizes = []

    def score(noisy):
        sizes.append(len(noisy))
        return mean(noisy)

    whole = score_draws(mean, PICTURE, noise, range(start + count))
    rest = score_draws(score, PICTURE, noise, range(start, start + count), memory=memory, bytes_per_pixel=100)
    assert np.array_equal(whole[start:], rest)
    assert max(sizes) <= together
    # And one that is scored by itself too.
    assert len(sizes) == -(-count // together) + (min(count, together) > 1)


def test_no_draws_give_no_scores():
    assert score_draws(mean, PICTURE, NOISE, range(0)).shape == (0,)


def test_a_picture_that_does_not_fit_is_refused_with_what_it_takes():
    fits = {"memory": 2**20, "bytes_per_pixel": 2**20 // 54}
    assert len(score_draws(mean, PICTURE, NOISE, range(3), **fits)) == 3
    with pytest.raises(ValueError, match=r"9 x 6 pixels takes about 3 MiB .* 2 MiB are allowed"):
        score_draws(mean, PICTURE, NOISE, range(3), memory=2 * 2**20, bytes_per_pixel=2**20 // 20)


def test_progress_counts_draws():
    seen = []
    score_draws(
        mean, PICTURE, NOISE, range(7), memory=3 * 54, bytes_per_pixel=1, progress=lambda *at: seen.append(at)
    )
    assert seen == [(3, 7), (6, 7), (7, 7)]


def spoil(value):
    """A score that is `value` for the fourth picture of a batch."""

    def score(noisy):
        scores = mean(noisy)
        scores[3:4] = value
        return scores

    return score


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1.01, -0.01])
def test_a_score_that_may_not_be_is_named(value):
    with pytest.raises(ValueError, match="draw 13 scores"):
        score_draws(spoil(value), PICTURE, NOISE, range(10, 16))


def test_a_score_off_its_range_by_rounding_is_its_end():
    assert score_draws(spoil(1.00005), PICTURE, NOISE, range(5))[3] == 1
    assert score_draws(spoil(-0.00005), PICTURE, NOISE, range(5))[3] == 0
    assert score_draws(spoil(40.0), PICTURE, NOISE, range(5), (0.0, 100.0))[3] == 40


def test_infinite_scores_are_refused_without_limits_too():
    with pytest.raises(ValueError, match="draw 3 scores inf"):
        score_draws(spoil(np.inf), PICTURE, NOISE, range(5), (-np.inf, np.inf))


def test_a_score_for_every_picture_is_needed():
    with pytest.raises(ValueError, match=r"shape \(\) for 5 noisy"):
        score_draws(lambda noisy: np.float32(0.5), PICTURE, NOISE, range(5))


def test_a_metric_that_looks_at_the_whole_batch_is_refused():
    def centred(noisy):
        scores = mean(noisy)
        return 0.5 + scores - scores.mean()

    with pytest.raises(ValueError, match=r"by itself and .* among others"):
        score_draws(centred, PICTURE, NOISE, range(5))


def test_an_error_of_the_metric_comes_through():
    def score(noisy):
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        score_draws(score, PICTURE, NOISE, range(5))
