"""Histograms with triangular bins: by hand, against NumPy, and what their groups are."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from birqa.blind.config import HISTOGRAMS, TONES, BlindConfig
from birqa.blind.histograms import histogram, scene_histograms
from birqa.blind.maps import opponent_colours


def triangular(values, low, high, bins):
    """(N, C, H, W) -> (N, C * bins): each value goes to its two nearest bins, by nearness."""
    centres = np.linspace(low, high, bins)
    width = (high - low) / (bins - 1)
    inside = values.clip(low, high)[..., None]
    shares = np.maximum(0, 1 - np.abs(inside - centres) / width).mean((2, 3))
    return shares.reshape(len(values), -1)


def of(values, *rest):
    return histogram(torch.tensor(values, dtype=torch.float64)[None, None, None], *rest)[0].tolist()


def test_values_are_shared_between_the_nearest_bins():
    # Centres 0, 1, 2, 3; a quarter of the sample each.
    assert of([0.0, 1.0, 1.5, 2.75], 0, 3, 4) == pytest.approx([1 / 4, 3 / 8, 3 / 16, 3 / 16])
    assert of([-1.0, -1.0, 1.0, 1.0], -1, 1, 3) == pytest.approx([0.5, 0, 0.5])
    assert of([0.25], 0, 1, 2) == pytest.approx([0.75, 0.25])


def test_the_outer_bins_take_what_lies_beyond():
    assert of([-9.0, 99.0, 5.0, 0.5], 0, 3, 4) == pytest.approx([3 / 8, 1 / 8, 0, 1 / 2])


@settings(max_examples=40, deadline=None)
@given(
    st.integers(2, 14),
    st.floats(-5, 5),
    st.floats(0.1, 9),
    st.integers(0, 99),
)
def test_shares_are_those_of_numpy_and_sum_to_one(bins, low, length, seed):
    values = np.random.default_rng(seed).normal(low + length / 2, length, (2, 3, 5, 7))
    got = histogram(torch.from_numpy(values), low, low + length, bins)
    np.testing.assert_allclose(got, triangular(values, low, low + length, bins), rtol=0, atol=1e-12)
    np.testing.assert_allclose(got.reshape(2, 3, bins).sum(2), 1, rtol=0, atol=1e-12)


def test_gradients_are_those_of_the_triangles():
    values = torch.tensor([[[[0.3, 1.6]]]], dtype=torch.float64, requires_grad=True)
    shares = histogram(values, 0, 3, 4)[0]
    # .3 moves from bin 0 to bin 1, 1.6 from bin 1 to bin 2, each half of the sample.
    for index, wanted in enumerate([[-0.5, 0], [0.5, -0.5], [0, 0.5], [0, 0]]):
        (gradient,) = torch.autograd.grad(shares[index], values, retain_graph=True)
        assert gradient.flatten().tolist() == pytest.approx(wanted)


def group(described, number):
    start = sum(HISTOGRAMS[:number])
    return described[:, start : start + HISTOGRAMS[number]]


@pytest.fixture
def planes(scenes):
    return torch.from_numpy(np.stack(scenes[:3]).transpose(0, 3, 1, 2)).double() / 255


def test_each_group_is_roots_of_shares_of_its_histograms(planes):
    described = scene_histograms(planes)
    assert described.shape == (3, sum(HISTOGRAMS))
    assert len(HISTOGRAMS) == 3 * 5 + 6
    # Squared and without the small addition under the root, the shares of each histogram sum to 1.
    bins = [13, 9, 12, 12, 12] * 3 + list(TONES.values())
    for number, size in enumerate(bins):
        shares = group(described, number).square() - 1e-4
        assert (shares > -1e-12).all()
        totals = shares.reshape(3, -1, size).sum(2)
        torch.testing.assert_close(totals, torch.ones_like(totals))


def test_tones_are_histograms_of_the_colours(planes):
    described = scene_histograms(planes)
    # The groups of tones come last; they are of the coarsest scale.
    coarse = torch.nn.functional.avg_pool2d(planes, 4)
    luma = opponent_colours(coarse)[:, :1].numpy()
    expected = np.sqrt(triangular(luma, 0, 1, TONES["luma"]) + 1e-4)
    np.testing.assert_allclose(group(described, 15), expected, rtol=0, atol=1e-9)
    largest = coarse.amax(1, keepdim=True).numpy()
    expected = np.sqrt(triangular(largest, 0, 1, TONES["largest"]) + 1e-4)
    np.testing.assert_allclose(group(described, 17), expected, rtol=0, atol=1e-9)


def test_noise_moves_the_gradient_histogram_up_and_blur_moves_it_down(planes):
    levels = torch.arange(12, dtype=torch.float64)

    def mean_gradient(pictures):
        shares = group(scene_histograms(pictures), 3).square() - 1e-4
        return (shares.reshape(len(pictures), 3, 12)[:, 0] * levels).sum(1)

    noise = 0.1 * torch.randn(planes.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    plain = mean_gradient(planes)
    assert (mean_gradient((planes + noise).clamp(0, 1)) > plain).all()
    soft = torch.nn.functional.avg_pool2d(planes, 5, stride=1, padding=2, count_include_pad=False)
    assert (mean_gradient(soft) < plain).all()


@pytest.mark.parametrize("size", [(16, 16), (16, 61), (33, 17)])
def test_the_smallest_pictures_have_samples_of_every_kind(size):
    described = scene_histograms(torch.rand(2, 3, *size))
    assert torch.isfinite(described).all()
    assert (described > 0).all()


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_flat_pictures_have_finite_statistics_and_gradients(level):
    flat = torch.full((1, 3, 32, 32), level, requires_grad=True)
    described = scene_histograms(flat)
    described.sum().backward()
    assert torch.isfinite(described).all()
    assert torch.isfinite(flat.grad).all()


def test_the_sizes_of_the_groups_are_those_of_the_parts():
    config = BlindConfig(widths=(4, 6))
    assert config.groups[: len(HISTOGRAMS)] == HISTOGRAMS
    assert config.groups[-4:] == (4, 4, 6, 6)
    assert config.learned == 20


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"widths": (8,)}, "at least two numbers of channels"),
        ({"widths": (8, 0)}, "at least two numbers of channels"),
        ({"shrink": 0}, "from 1 to 2"),
        ({"shrink": 3}, "from 1 to 2"),
        ({"supports": -1}, "not negative"),
    ],
)
def test_configurations_that_cannot_be_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        BlindConfig(**settings)


def test_a_configuration_is_stored_and_read_back():
    config = BlindConfig(widths=(4, 6, 8), shrink=1, supports=3)
    assert BlindConfig.from_dict(config.to_dict() | {"widths": [4, 6, 8]}) == config
    with pytest.raises(ValueError, match="unknown fields: depth"):
        BlindConfig.from_dict({"depth": 1})
