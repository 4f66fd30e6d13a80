import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.feature import local_binary_pattern

from birqa.features.colour import luma
from birqa.features.lbp import lbp_code, lbp_difference, soft_lbp_difference
from birqa.features.maps import FeatureMaps

SEEDS = st.integers(0, 2**32 - 1)
AXIAL_BITS = 0b01010101
# (row, column) of bit p: anti-clockwise from the right neighbour, rows counted downwards.
RING = [(0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1)]


def tensor(plane, dtype=torch.float64):
    return torch.tensor(np.asarray(plane), dtype=dtype)[None, None]


def brute_force_code(plane):
    """Literal loops over an (H, W) array of integers."""
    height, width = plane.shape
    code = np.zeros((height - 2, width - 2), int)
    for row in range(1, height - 1):
        for column in range(1, width - 1):
            for bit, (down, right) in enumerate(RING):
                if plane[row + down, column + right] >= plane[row, column]:
                    code[row - 1, column - 1] += 2**bit
    return code


def distinct(rng, height=9, width=10):
    """All values different, at least 1/90 apart, so that there are no ties."""
    return rng.permutation(height * width).reshape(height, width) / (height * width)


# The code


@settings(max_examples=40)
@given(SEEDS, st.sampled_from([2, 8, 256]))
def test_code_equals_brute_force_with_and_without_ties(seed, levels):
    plane = np.random.default_rng(seed).integers(0, levels, (8, 9))
    for dtype in (torch.float64, torch.float32):
        np.testing.assert_array_equal(
            lbp_code(tensor(plane / 255, dtype))[0, 0].numpy(), brute_force_code(plane)
        )


@settings(max_examples=40)
@given(SEEDS, st.sampled_from([3, 256]))
def test_axial_bits_equal_scikit_image_on_any_picture(seed, levels):
    plane = np.random.default_rng(seed).integers(0, levels, (12, 11)).astype(np.uint8)
    theirs = local_binary_pattern(plane, 8, 1, "default").astype(int)[1:-1, 1:-1]
    ours = lbp_code(tensor(plane / 255))[0, 0].numpy()
    np.testing.assert_array_equal(ours & AXIAL_BITS, theirs & AXIAL_BITS)


@pytest.mark.parametrize("angle", np.arange(10, 370, 22.5))
def test_all_bits_equal_scikit_image_on_a_ramp(angle):
    # On a plane its interpolated diagonals lie on the same side of the centre as the true ones.
    rows, columns = np.mgrid[:9, :9]
    slope = np.cos(np.radians(angle)) * columns + np.sin(np.radians(angle)) * rows
    ramp = np.round(10_000 * (20 + slope)).astype(int)
    theirs = local_binary_pattern(ramp, 8, 1, "default").astype(int)[1:-1, 1:-1]
    np.testing.assert_array_equal(lbp_code(tensor(ramp / 400_000))[0, 0].numpy(), theirs)


@settings(max_examples=25)
@given(SEEDS, st.sampled_from([2, 256]))
def test_code_of_8_bit_rgb_equals_exact_integer_arithmetic(seed, levels):
    rng = np.random.default_rng(seed)
    rgb = rng.integers(0, 256, 3) // 2 + rng.integers(0, levels, (10, 11, 3)) // 2
    exact = rgb @ [299, 587, 114]
    ours = lbp_code(luma(torch.tensor(rgb).permute(2, 0, 1)[None].float() / 255))
    np.testing.assert_array_equal(ours[0, 0].numpy(), brute_force_code(exact))


# Ties


@pytest.mark.parametrize("level", [0, 1, 77, 128, 254, 255])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tiny_noise_on_a_flat_picture_changes_nothing(level, dtype):
    flat = torch.full((1, 1, 12, 13), level / 255, dtype=dtype)
    noisy = flat + 1e-8 * torch.rand(flat.shape, dtype=dtype, generator=torch.Generator().manual_seed(0))
    assert torch.equal(lbp_code(noisy), torch.full((1, 1, 10, 11), 255))
    assert torch.equal(lbp_difference(flat, noisy), torch.zeros(1, 1, 10, 11, dtype=dtype))


@pytest.mark.parametrize("base", [0.0, 0.5, 1.0])
def test_the_smallest_8_bit_difference_of_luma_is_still_seen(base):
    spike = torch.full((1, 1, 3, 3), base)
    spike[..., 1, 1] += 0.001 / 255
    assert lbp_code(spike).item() == 0


# The hard difference


def test_hard_difference_worked_by_hand():
    ref = tensor([[5, 5, 5], [5, 5, 5], [5, 5, 5]]) / 255  # 8 bits set
    three_below = tensor([[4, 9, 4], [5, 5, 5], [5, 9, 0]]) / 255  # 3 of them cleared
    peak = tensor([[4, 4, 4], [4, 5, 4], [4, 4, 4]]) / 255  # all cleared
    assert lbp_difference(ref, three_below).item() == 3 / 8
    assert lbp_difference(ref, peak).item() == 1
    assert lbp_difference(three_below, peak).item() == 5 / 8
    assert lbp_difference(ref, ref).item() == 0


@settings(max_examples=30)
@given(SEEDS, st.sampled_from([2, 256]))
def test_hard_difference_is_the_hamming_distance_of_the_codes(seed, levels):
    ref, dist = np.random.default_rng(seed).integers(0, levels, (2, 8, 9))
    distance = np.bitwise_count(brute_force_code(ref) ^ brute_force_code(dist)) / 8
    np.testing.assert_array_equal(
        lbp_difference(tensor(ref / 255), tensor(dist / 255))[0, 0].numpy(), distance
    )


def test_adding_a_constant_changes_nothing():
    plane = np.random.default_rng(4).integers(0, 200, (9, 9))
    assert lbp_difference(tensor(plane / 255), tensor((plane + 55) / 255)).max() == 0


def test_a_margin_leaves_only_neighbours_that_are_brighter_by_it():
    ref = tensor([[5, 5, 5], [5, 5, 5], [5, 5, 5]]) / 255
    dist = tensor([[12, 9, 13], [5, 5, 5], [5, 14, 0]]) / 255
    assert lbp_difference(ref, dist).item() == 1 / 8
    assert lbp_difference(ref, dist, 8 / 255).item() == 2 / 8


@settings(max_examples=30)
@given(SEEDS)
def test_noise_within_the_margin_is_not_seen_on_a_flat_picture(seed):
    noise = torch.tensor(np.random.default_rng(seed).uniform(0, 0.03, (1, 1, 9, 9)))
    flat = torch.full_like(noise, 0.5)
    assert lbp_difference(flat, flat + noise, 0.031).max() == 0
    assert lbp_difference(flat, flat + noise).max() > 0


# The soft difference


def test_soft_difference_worked_by_hand():
    ref, dist = tensor(np.full((3, 3), 0.5)), tensor(np.full((3, 3), 0.5))
    dist[..., 0, 2] += 0.02
    dist[..., 2, 1] -= 0.04
    sigmoid = [1 / (1 + np.exp(-x)) for x in (1, -2)]
    worked = (abs(sigmoid[0] - 0.5) + abs(sigmoid[1] - 0.5)) / 8
    assert soft_lbp_difference(ref, dist, 0.02).item() == pytest.approx(worked, rel=1e-12)


@settings(max_examples=25)
@given(SEEDS)
def test_soft_difference_converges_to_the_hard_one_away_from_ties(seed):
    rng = np.random.default_rng(seed)
    ref, dist = tensor(distinct(rng)), tensor(distinct(rng))
    hard = lbp_difference(ref, dist)
    close = soft_lbp_difference(ref, dist, 1e-5, 0.0151) - lbp_difference(ref, dist, 0.0151)
    assert close.abs().max() < 1e-12
    errors = [
        (soft_lbp_difference(ref, dist, t) - hard).abs().max().item() for t in (0.1, 0.01, 0.001, 0.0003)
    ]
    assert errors == sorted(errors, reverse=True)
    # Each sigmoid is at most exp(-gap / T) from its limit, with gaps of 1/90 and more.
    assert errors[2] < 2 * np.exp(-1 / 90 / 0.001)
    assert errors[3] < 1e-14


@settings(max_examples=20)
@given(SEEDS)
def test_soft_difference_is_symmetric_in_range_and_zero_for_identical(seed):
    ref, dist = torch.tensor(np.random.default_rng(seed).random((2, 1, 1, 8, 8)))
    soft = soft_lbp_difference(ref, dist, 0.02)
    assert torch.equal(soft, soft_lbp_difference(dist, ref, 0.02))
    assert soft.min() >= 0
    assert soft.max() <= 1
    assert soft_lbp_difference(ref, ref.clone(), 0.02).max() == 0


def test_soft_gradient_equals_finite_differences():
    rng = np.random.default_rng(5)
    ref, dist = tensor(distinct(rng, 5, 5)), tensor(distinct(rng, 5, 5)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: soft_lbp_difference(ref, x, 0.05), (dist,))


# Straight through


def gradient(function, dist):
    dist = dist.clone().requires_grad_()
    value = function(dist)
    weights = torch.linspace(-1, 1, value.numel(), dtype=value.dtype).reshape(value.shape)
    return value.detach(), torch.autograd.grad((value * weights).sum(), dist)[0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_straight_through_has_the_hard_value_and_the_soft_gradient(dtype):
    rng = np.random.default_rng(6)
    ref, dist = tensor(rng.random((20, 20)), dtype), tensor(rng.random((20, 20)), dtype)
    maps = FeatureMaps(lbp="straight-through", lbp_temperature=0.05)
    value, through = gradient(lambda x: maps.lbp_map(ref, x), dist)
    _, soft = gradient(lambda x: soft_lbp_difference(ref, x, 0.05), dist)
    assert torch.equal(value, lbp_difference(ref, dist))
    assert torch.equal(through, soft)
    assert through.abs().max() > 0


def test_hard_mode_has_no_gradient_and_soft_mode_the_soft_value():
    ref, dist = torch.rand(2, 1, 1, 9, 9)
    assert not FeatureMaps(lbp="hard").lbp_map(ref, dist.clone().requires_grad_()).requires_grad
    soft = FeatureMaps(lbp="soft", lbp_temperature=0.03).lbp_map(ref, dist)
    assert torch.equal(soft, soft_lbp_difference(ref, dist, 0.03))


def test_straight_through_without_gradients_is_the_hard_form():
    ref, dist = torch.rand(2, 1, 1, 9, 9)
    maps = FeatureMaps(lbp="straight-through")
    with torch.no_grad():
        assert torch.equal(maps.lbp_map(ref, dist.clone().requires_grad_()), lbp_difference(ref, dist))
    assert not maps.lbp_map(ref, dist).requires_grad
