import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from birqa.features.information import information_change, information_map
from birqa.features.ssim import LocalStatistics, local_statistics

SEEDS = st.integers(0, 2**32 - 1)


def information(ref, dist, dtype=torch.float64):
    ref, dist = (torch.tensor(plane, dtype=dtype)[None, None] for plane in (ref, dist))
    return information_map(local_statistics(ref, dist))[0, 0].numpy()


def stripes(height=33, width=33):
    return np.tile(np.arange(width) % 2.0, (height, 1))


@settings(max_examples=40)
@given(SEEDS, st.integers(11, 40), st.integers(11, 40), st.sampled_from([1.0, 0.1, 0.01]))
def test_map_equals_bits_counted_with_scipy_on_the_0_255_scale(seed, height, width, contrast):
    rng = np.random.default_rng(seed)
    ref, dist = contrast * 255 * rng.random((2, height, width))
    bits = 0
    for plane in (ref, dist):
        mean = gaussian_filter(plane, 1.5, truncate=3.5)
        variance = gaussian_filter(plane**2, 1.5, truncate=3.5) - mean**2
        bits = bits + np.log2(1 + variance / 0.4)
    most = 2 * np.log2(1 + (255 / 2) ** 2 / 0.4)
    ours = information(ref / 255, dist / 255)
    # The map is normalised by its bound, rounded up in the fifth digit.
    np.testing.assert_allclose(ours * most, bits[5:-5, 5:-5], rtol=2e-4)


def test_flat_pictures_carry_no_information():
    ours = information(np.full((20, 24), 0.7), np.full((20, 24), 0.3))
    np.testing.assert_allclose(ours, 0, atol=1e-9)


@pytest.mark.parametrize("level", range(0, 256, 3))
def test_rounding_on_flat_pictures_stays_below_half_a_bit_in_single_precision(level):
    flat = np.full((14, 22), level / 255)
    ours = information(flat, flat, torch.float32)
    assert ours.min() >= 0
    assert ours.max() * 2 * np.log2(1 + (255 / 2) ** 2 / 0.4) < 0.5


@settings(max_examples=40)
@given(SEEDS, st.floats(0, 1))
def test_map_stays_in_the_unit_range_on_black_and_white_patterns(seed, share):
    rng = np.random.default_rng(seed)
    ref, dist = (rng.random((2, 30, 30)) < share).astype(float)
    ours = information(ref, dist, torch.float32)
    assert ours.min() >= 0
    assert ours.max() <= 1


def test_the_upper_bound_is_reached_by_the_strongest_pattern():
    ours = information(stripes(), stripes(), torch.float32)
    assert 0.999 < ours.min() <= ours.max() <= 1


def test_both_pictures_count_alike():
    rng = np.random.default_rng(3)
    texture, flat = rng.random((30, 30)), np.full((30, 30), 0.5)
    np.testing.assert_allclose(information(texture, flat), information(flat, texture), rtol=1e-12)
    both = information(texture, texture)
    np.testing.assert_allclose(both, 2 * information(texture, flat), rtol=1e-6)


def test_a_variance_rounded_below_zero_counts_as_zero():
    below, zero = torch.full((1, 1, 2, 2), -1e-3), torch.zeros(1, 1, 2, 2)
    assert torch.equal(information_map(LocalStatistics(zero, zero, below, below, zero)), zero)


@settings(max_examples=20)
@given(SEEDS, st.sampled_from([1.0, 0.1]))
def test_a_larger_constant_counts_fewer_bits(seed, contrast):
    ref, dist = contrast * torch.tensor(np.random.default_rng(seed).random((2, 1, 1, 20, 20)))
    local = local_statistics(ref, dist)
    bits = torch.log2(1 + local.ref_variance / 0.03**2) + torch.log2(1 + local.dist_variance / 0.03**2)
    torch.testing.assert_close(information_map(local, 0.03**2), bits / 30.624)
    change = torch.log2((1 + local.dist_variance / 0.03**2) / (1 + local.ref_variance / 0.03**2))
    torch.testing.assert_close(information_change(local, 0.03**2), change / 15.312)


def test_change_is_below_zero_where_detail_was_lost_and_above_where_some_was_added():
    rng = np.random.default_rng(4)
    texture = torch.tensor(rng.random((1, 1, 40, 40)))
    blurred = torch.tensor(gaussian_filter(texture[0, 0].numpy(), 1.0))[None, None]
    lost = information_change(local_statistics(texture, blurred))
    assert -1 <= lost.min() <= lost.max() < 0
    torch.testing.assert_close(information_change(local_statistics(blurred, texture)), -lost)


@settings(max_examples=20)
@given(SEEDS, st.sampled_from([1.0, 0.1, 0.01]))
def test_map_and_change_hold_the_bits_of_both_pictures(seed, contrast):
    ref, dist = contrast * torch.tensor(np.random.default_rng(seed).random((2, 1, 1, 20, 20)))
    flat = torch.full_like(ref, 0.5)
    both, change = (part(local_statistics(ref, dist)) for part in (information_map, information_change))
    of_dist = information_map(local_statistics(flat, dist))
    torch.testing.assert_close(both + change / 2, 2 * of_dist, atol=1e-9, rtol=1e-6)


def test_the_strongest_change_reaches_the_ends_of_the_range():
    flat = torch.full((1, 1, 33, 33), 0.5)
    pattern = torch.tensor(stripes(), dtype=torch.float32)[None, None]
    assert information_change(local_statistics(flat, pattern)).min() > 0.999
    assert information_change(local_statistics(pattern, flat)).max() < -0.999
