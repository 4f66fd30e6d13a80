"""Kernel regression: values by hand, a Gaussian process written out in NumPy, and leaving out one by one."""

import math

import numpy as np
import pytest
import torch

from birqa.blind import regression
from birqa.blind.network import LIMIT, KernelRegression
from birqa.blind.regression import LEAST_SPREAD, fit_regression, squared_distances

GROUPS = (2, 3, 1)


def world(count=30, seed=0):
    rng = np.random.default_rng(seed)
    statistics = rng.normal(size=(count, sum(GROUPS))) * rng.uniform(0.05, 3, sum(GROUPS)) + 1
    ratings = (0.5 + 0.2 * np.tanh(statistics[:, 0]) + 0.05 * rng.normal(size=count)).clip(0, 1)
    return statistics, ratings


def fitted(statistics, ratings, iterations=30):
    """The regression, and the weights, noise and size that it settled for, and the views' own noise."""
    kept = []
    with pytest.MonkeyPatch.context() as patch:
        kernel = regression._kernel
        patch.setattr(regression, "_kernel", lambda *given: kept.append(given) or kernel(*given))
        model = fit_regression(torch.from_numpy(statistics), torch.from_numpy(ratings), GROUPS, iterations)
    weights, *others = (np.exp(value.detach().double().numpy()) for value in kept[-1][2:])
    return model, weights, *map(float, others)


def standardised(statistics, new):
    placed = (new - statistics.mean(0)) / statistics.std(0, ddof=1).clip(LEAST_SPREAD)
    return placed.clip(-LIMIT, LIMIT)


def matern(distance):
    root = np.sqrt(3 * np.asarray(distance))
    return (1 + root) * np.exp(-root)


def kernel_of(one, other, weights, size):
    """a m(sum_g w_g |z_g - z'_g|^2 / size_g)."""
    per_feature = np.repeat(weights / np.array(GROUPS), GROUPS)
    gaps = (one[:, None] - other[None]) ** 2
    return size * matern((gaps * per_feature).sum(2))


def test_the_prediction_is_the_mean_of_the_gaussian_process():
    statistics, ratings = world()
    model, weights, noise, size = fitted(statistics, ratings)
    new = np.concatenate([statistics, world(20, seed=1)[0], 50 + statistics[:2], np.zeros((1, 6))])
    places, new_places = standardised(statistics, statistics), standardised(statistics, new)
    mean, deviation = ratings.mean(), ratings.std(ddof=1)
    covariance = kernel_of(places, places, weights, size) + noise * np.eye(len(places))
    solved = np.linalg.solve(covariance, (ratings - mean) / deviation)
    expected = mean + deviation * kernel_of(new_places, places, weights, size) @ solved
    # What the regression remembers is rounded to half precision.
    np.testing.assert_allclose(model.double()(torch.from_numpy(new)), expected, rtol=0, atol=5e-4)


def left_out_loss(statistics, ratings, weights, noise, size):
    """By brute force."""
    places = standardised(statistics, statistics)
    wanted = (ratings - ratings.mean()) / ratings.std(ddof=1)
    covariance = kernel_of(places, places, weights, size) + noise * np.eye(len(places))
    losses = []
    for index in range(len(places)):
        others = np.arange(len(places)) != index
        gains = np.linalg.solve(covariance[np.ix_(others, others)], covariance[others, index])
        variance = covariance[index, index] - gains @ covariance[others, index]
        losses.append((wanted[index] - gains @ wanted[others]) ** 2 / variance + math.log(variance))
    return np.mean(losses)


def test_what_is_fitted_is_the_probability_of_each_rating_given_all_others(monkeypatch):
    statistics, ratings = world(14)
    kernel, backward = regression._kernel, torch.Tensor.backward
    settings, losses = [], []

    def watched_kernel(distances, same, *logarithms):
        settings.append([np.exp(value.detach().double().numpy()) for value in logarithms])
        return kernel(distances, same, *logarithms)

    def watched_backward(loss, *rest, **named):
        losses.append(loss.item())
        return backward(loss, *rest, **named)

    monkeypatch.setattr(regression, "_kernel", watched_kernel)
    monkeypatch.setattr(torch.Tensor, "backward", watched_backward)
    fit_regression(torch.from_numpy(statistics), torch.from_numpy(ratings), GROUPS, iterations=5)
    assert len(losses) == 5
    for setting, loss in zip(settings, losses, strict=False):
        assert loss == pytest.approx(left_out_loss(statistics, ratings, *setting), rel=1e-3)


def viewed(statistics, views, spread=0.3, seed=7):
    """(N, F) -> (N, views, F): the same pictures, each time a little off."""
    rng = np.random.default_rng(seed)
    shape = (len(statistics), views, statistics.shape[1])
    return statistics[:, None] + spread * statistics.std(0) * rng.normal(size=shape)


def covariance_of(places, views, weights, noise, size, own):
    picture = np.arange(len(places)) // views
    shared = noise * (picture[:, None] == picture[None])
    return kernel_of(places, places, weights, size) + shared + own * np.eye(len(places))


def test_views_of_a_picture_share_the_noise_of_its_rating():
    statistics, ratings = world(20)
    views = viewed(statistics, 3)
    model, *settings = fitted(views, ratings)
    flat = views.reshape(60, -1)
    new = np.concatenate([flat[:9], world(20, seed=1)[0]])
    places, new_places = standardised(flat, flat), standardised(flat, new)
    mean, deviation = ratings.mean(), ratings.std(ddof=1)
    wanted = (ratings.repeat(3) - mean) / deviation
    solved = np.linalg.solve(covariance_of(places, 3, *settings), wanted)
    weights, _, size, _ = settings
    expected = mean + deviation * kernel_of(new_places, places, weights, size) @ solved
    np.testing.assert_allclose(model.double()(torch.from_numpy(new)), expected, rtol=0, atol=5e-4)


def test_views_of_a_picture_are_left_out_together(monkeypatch):
    statistics, ratings = world(12)
    views = viewed(statistics, 2)
    losses, backward = [], torch.Tensor.backward

    def watched(loss, *rest, **named):
        losses.append(loss.item())
        return backward(loss, *rest, **named)

    monkeypatch.setattr(torch.Tensor, "backward", watched)
    # Nothing is learned in the first step: what it starts from.
    fit_regression(torch.from_numpy(views), torch.from_numpy(ratings), GROUPS, iterations=1)
    flat = views.reshape(24, -1)
    places, wanted = standardised(flat, flat), ((ratings - ratings.mean()) / ratings.std(ddof=1)).repeat(2)
    start = np.full(3, 0.5 / 3), 0.4, 1.0, 0.05
    covariance = covariance_of(places, 2, *start)
    expected = []
    for index in range(24):
        others = np.arange(24) // 2 != index // 2
        gains = np.linalg.solve(covariance[np.ix_(others, others)], covariance[others, index])
        variance = covariance[index, index] - gains @ covariance[others, index]
        expected.append((wanted[index] - gains @ wanted[others]) ** 2 / variance + math.log(variance))
    assert losses == [pytest.approx(np.mean(expected), rel=1e-3)]


def test_one_view_is_the_picture_itself():
    statistics, ratings = world()
    plain, view = fitted(statistics, ratings)[0], fitted(statistics[:, None], ratings)[0]
    for name, value in plain.state_dict().items():
        assert torch.equal(value, view.state_dict()[name]), name


def test_fitting_lowers_the_loss_of_leaving_out():
    statistics, ratings = world(24)
    losses = [left_out_loss(statistics, ratings, *fitted(statistics, ratings, n)[1:]) for n in (0, 5, 40)]
    assert losses[0] > losses[1] > losses[2], losses


def test_the_group_that_tells_the_rating_gets_the_most_weight():
    rng = np.random.default_rng(4)
    statistics = rng.normal(size=(80, 6))
    ratings = 0.5 + 0.15 * np.tanh(statistics[:, 5]) + 0.01 * rng.normal(size=80)
    _, weights, _, _ = fitted(statistics, ratings, iterations=60)
    assert weights[2] > 3 * max(weights[0], weights[1])


def test_the_same_data_give_the_same_fit():
    first, second = (fitted(*world())[0] for _ in range(2))
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name


def test_ratings_may_be_shifted_and_stretched():
    statistics, ratings = world()
    plain = fitted(statistics, ratings)[0]
    moved = fitted(statistics, 0.1 + 0.5 * ratings)[0]
    new = torch.from_numpy(world(9, seed=5)[0])
    torch.testing.assert_close(moved.double()(new), 0.1 + 0.5 * plain.double()(new), rtol=0, atol=1e-5)


def test_statistics_that_do_not_vary_have_no_say():
    statistics, ratings = world()
    rng = np.random.default_rng(9)
    statistics[:, 1] = 0.01 + 1e-6 * rng.normal(size=len(statistics))
    model = fitted(statistics, ratings)[0].double()
    new = statistics.copy()
    new[:, 1] += 1e-5 * rng.normal(size=len(new))
    gap = (model(torch.from_numpy(new)) - model(torch.from_numpy(statistics))).abs().max()
    assert gap < 1e-3


def test_the_squared_norms_of_the_supports_are_kept():
    model = fitted(*world())[0]
    torch.testing.assert_close(model.squares, model.supports.square().sum(1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s, r: (s[:9], r[:9]), "9 rated pictures are too few to learn from: give at least 10"),
        (lambda s, r: (s[:, :5], r), "groups of 6 statistics do not fit the 5 that there are"),
        (lambda s, r: (s, 0 * r + 0.5), "all ratings are 0.5: there is nothing to learn"),
        (lambda s, r: (np.where(s == s[0, 0], np.nan, s), r), "not finite"),
        (lambda s, r: (s, np.where(r == r[3], np.nan, r)), "not finite"),
    ],
)
def test_what_nothing_can_be_learned_from_is_refused(change, message):
    statistics, ratings = map(torch.from_numpy, change(*world()))
    with pytest.raises(ValueError, match=message):
        fit_regression(statistics, ratings, GROUPS)


def test_squared_distances_by_hand():
    one, other = torch.tensor([[0.0, 0.0], [3.0, 4.0]]), torch.tensor([[3.0, 4.0], [0.0, 1.0], [0.0, 0.0]])
    torch.testing.assert_close(squared_distances(one, other), torch.tensor([[25.0, 1, 0], [0, 18, 25]]))


def by_hand():
    model = KernelRegression(2, 2)
    for name, value in {
        "centre": [1.0, 10.0],
        "scale": [2.0, 0.5],
        "limit": [3.0, 1.0],
        "supports": [[0.0, 0.0], [1.0, -1.0]],
        "squares": [0.0, 2.0],
        "coefficients": [0.4, -0.2],
        "bias": 0.5,
    }.items():
        getattr(model, name).copy_(torch.tensor(value))
    return model


@pytest.mark.parametrize(
    ("statistics", "placed"),
    [
        ([1, 10], [0, 0]),
        ([1.5, 8], [1, -1]),
        ([1.25, 11], [0.5, 0.5]),
        ([9, 0], [3, -1]),
        ([-9, 99], [-3, 1]),
    ],
)
def test_scores_by_hand(statistics, placed):
    (first, second) = placed
    far = [first**2 + second**2, (first - 1) ** 2 + (second + 1) ** 2]
    expected = 0.5 + 0.4 * matern(far[0]) - 0.2 * matern(far[1])
    given = float(by_hand()(torch.tensor([statistics], dtype=torch.float32)))
    assert given == pytest.approx(expected, abs=1e-6)


def test_far_from_all_rated_pictures_the_score_is_their_mean_rating():
    model = by_hand()
    model.limit.fill_(100)
    assert float(model(torch.tensor([[40.0, 10.0]]))) == pytest.approx(0.5)
