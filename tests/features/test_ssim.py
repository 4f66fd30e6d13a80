import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import structural_similarity

from birqa.features.ssim import WINDOW, gaussian_window, local_statistics, ssim_map

SIDES = st.integers(WINDOW, 40)
SEEDS = st.integers(0, 2**32 - 1)


def luma(rng, height, width):
    """Noise, smooth, binary or nearly flat, as (H, W) float64 in [0, 1]."""
    kind = rng.integers(4)
    noise = rng.random((height, width))
    if kind == 0:
        return noise
    if kind == 1:
        rows, columns = np.mgrid[:height, :width]
        return 0.5 + 0.5 * np.sin(rng.normal() * rows + rng.normal() * columns)
    if kind == 2:
        return np.round(noise)
    return np.clip(rng.random() + 1e-3 * noise, 0, 1)


def tensor(*planes, dtype=torch.float64):
    return torch.tensor(np.stack(planes), dtype=dtype)[:, None]


def ssim(ref, dist):
    return ssim_map(local_statistics(ref, dist))


@settings(max_examples=60)
@given(SEEDS, SIDES, SIDES)
def test_map_equals_scikit_image_where_the_window_fits(seed, height, width):
    rng = np.random.default_rng(seed)
    ref, dist = luma(rng, height, width), luma(rng, height, width)
    _, oracle = structural_similarity(
        ref, dist, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1, full=True
    )
    ours = ssim(tensor(ref), tensor(dist))[0, 0].numpy()
    np.testing.assert_allclose(ours, oracle[5:-5, 5:-5], rtol=0, atol=1e-9)


def test_single_precision_stays_close_to_scikit_image():
    rng = np.random.default_rng(1)
    ref = rng.random((60, 70))
    dist = np.clip(ref + 0.05 * rng.normal(size=ref.shape), 0, 1)
    _, oracle = structural_similarity(
        ref, dist, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1, full=True
    )
    ours = ssim(tensor(ref, dtype=torch.float32), tensor(dist, dtype=torch.float32))[0, 0].numpy()
    np.testing.assert_allclose(ours, oracle[5:-5, 5:-5], rtol=0, atol=2e-4)


@settings(max_examples=60)
@given(SEEDS, SIDES, SIDES, st.integers(1, 3))
def test_identical_pictures_give_exactly_one_in_single_precision(seed, height, width, count):
    rng = np.random.default_rng(seed)
    picture = tensor(*(luma(rng, height, width) for _ in range(count)), dtype=torch.float32)
    assert torch.equal(ssim(picture, picture.clone()), torch.ones(count, 1, height - 10, width - 10))


@pytest.mark.parametrize("level", range(0, 256, 5))
def test_identical_flat_pictures_give_exactly_one(level):
    flat = torch.full((1, 1, 17, 21), level / 255)
    assert torch.equal(ssim(flat, flat.clone()), torch.ones(1, 1, 7, 11))


@settings(max_examples=30)
@given(SEEDS)
def test_swapping_the_pictures_changes_no_bit(seed):
    rng = np.random.default_rng(seed)
    ref, dist = (tensor(luma(rng, 23, 30), dtype=torch.float32) for _ in range(2))
    assert torch.equal(ssim(ref, dist), ssim(dist, ref))


@pytest.mark.parametrize(("a", "b"), [(0.0, 1.0), (0.2, 0.4), (0.5, 0.5), (1.0, 0.9)])
def test_two_flat_pictures_leave_only_the_luminance_term(a, b):
    flat = [torch.full((1, 1, 15, 15), value, dtype=torch.float64) for value in (a, b)]
    hand = (2 * a * b + 1e-4) / (a * a + b * b + 1e-4)
    np.testing.assert_allclose(ssim(*flat).numpy(), hand, rtol=1e-9)


def test_a_black_and_white_pattern_against_its_negative_is_close_to_minus_one():
    stripes = torch.zeros(1, 1, 31, 31, dtype=torch.float64)
    stripes[..., ::2] = 1
    result = ssim(stripes, 1 - stripes)
    # Window mean .5 in both, covariance -1/4, variances 1/4.
    hand = (0.5 + 1e-4) * (-0.5 + 9e-4) / ((0.5 + 1e-4) * (0.5 + 9e-4))
    np.testing.assert_allclose(result.numpy(), hand, atol=1e-3)
    assert result.min() >= -1


def test_statistics_equal_moments_summed_pixel_by_pixel():
    rng = np.random.default_rng(2)
    ref, dist = rng.random((WINDOW, WINDOW)), rng.random((WINDOW, WINDOW))
    offsets = np.arange(-5, 6)
    weights = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * 1.5**2))
    weights /= weights.sum()
    ref_mean, dist_mean = (weights * ref).sum(), (weights * dist).sum()
    hand = (
        ref_mean,
        dist_mean,
        (weights * (ref - ref_mean) ** 2).sum(),
        (weights * (dist - dist_mean) ** 2).sum(),
        (weights * (ref - ref_mean) * (dist - dist_mean)).sum(),
    )
    ours = [moment.item() for moment in local_statistics(tensor(ref), tensor(dist))]
    np.testing.assert_allclose(ours, hand, rtol=1e-9)


def test_window_is_a_normalised_symmetric_gaussian():
    window = gaussian_window(torch.float64, torch.device("cpu")).numpy()
    assert window.sum() == pytest.approx(1, abs=1e-12)
    np.testing.assert_array_equal(window, window[::-1])
    np.testing.assert_allclose(np.diff(np.log(window)), -(2 * np.arange(-5, 5) + 1) / (2 * 1.5**2), rtol=1e-9)


def test_a_picture_smaller_than_the_window_is_refused():
    with pytest.raises(RuntimeError):
        local_statistics(torch.rand(1, 1, 10, 40), torch.rand(1, 1, 10, 40))
