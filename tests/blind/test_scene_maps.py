"""Maps and layout of one picture against SciPy and forms written out in NumPy."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import correlate1d, gaussian_filter

from birqa.blind.config import LAYOUT
from birqa.blind.layout import scene_layout
from birqa.blind.maps import MAPS, local_mean, local_statistics, opponent_colours, scene_maps

SIGMA = 7 / 6


def random_planes(height=21, width=34, seed=0, count=2):
    return np.random.default_rng(seed).random((count, 3, height, width))


def blurred(planes):
    return gaussian_filter(planes, SIGMA, mode="nearest", radius=3, axes=(2, 3))


def colours_of(rgb):
    """BT.601: luma, and the chroma differences Cb and Cr of JPEG, doubled, around 0."""
    forms = [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]]
    return np.einsum("kc,nchw->nkhw", np.array(forms) * [[1], [2], [2]], rgb)


@settings(max_examples=25)
@given(st.integers(1, 24), st.integers(1, 24), st.integers(0, 99))
def test_the_local_mean_is_scipys_gaussian_with_repeated_edges(height, width, seed):
    planes = random_planes(height, width, seed)
    np.testing.assert_allclose(local_mean(torch.from_numpy(planes)), blurred(planes), rtol=0, atol=1e-12)


def test_the_window_sums_to_one_and_is_the_same_along_rows_and_columns():
    dot = torch.zeros(1, 3, 9, 9, dtype=torch.float64)
    dot[0, 1, 4, 4] = 1
    spread = local_mean(dot)[0]
    assert spread[1].sum() == pytest.approx(1)
    assert torch.equal(spread[0], torch.zeros(9, 9, dtype=torch.float64))
    assert torch.allclose(spread[1], spread[1].T)
    weights = np.exp(-(np.arange(-3, 4) ** 2) / (2 * SIGMA**2))
    weights /= weights.sum()
    np.testing.assert_allclose(spread[1, 1:8, 1:8], np.outer(weights, weights), atol=1e-15)
    line = correlate1d(np.eye(1, 9, 4)[0], weights, mode="nearest")
    np.testing.assert_allclose(spread[1, :, 4], line * weights[3], atol=1e-15)


def test_the_colours_are_those_of_jpeg_with_doubled_chroma():
    rgb = random_planes()
    np.testing.assert_allclose(opponent_colours(torch.from_numpy(rgb)), colours_of(rgb), rtol=0, atol=1e-3)
    grey = torch.full((1, 3, 2, 2), 0.3, dtype=torch.float64)
    np.testing.assert_allclose(opponent_colours(grey)[0, :, 0, 0], [0.3, 0, 0], atol=1e-15)


def test_the_maps_are_normalised_samples_contrast_and_the_colours_themselves():
    rgb = random_planes()
    colours = opponent_colours(torch.from_numpy(rgb)).numpy()
    mean = blurred(colours)
    deviation = np.sqrt(np.maximum(blurred(colours**2) - mean**2, 0) + 1e-5)
    parts = [
        (colours - mean) / (deviation + 1 / 255),
        np.log2(deviation) / 4 + 1,
        2 * colours[:, :1] - 1,
        2 * colours[:, 1:],
    ]
    maps = scene_maps(torch.from_numpy(rgb))
    assert maps.shape == (2, MAPS, 21, 34)
    np.testing.assert_allclose(maps, np.concatenate(parts, axis=1), rtol=0, atol=1e-9)


def test_a_flat_picture_has_no_contrast_and_normalised_samples_of_zero():
    flat = torch.full((1, 3, 16, 16), 0.4)
    mean, deviation, normalised = local_statistics(flat)
    torch.testing.assert_close(mean, flat)
    torch.testing.assert_close(deviation, torch.full_like(flat, 1e-5**0.5), rtol=1e-2, atol=0)
    assert normalised.abs().max() < 1e-4


@pytest.mark.parametrize(("height", "width"), [(16, 16), (64, 80), (17, 30), (40, 25)])
def test_the_layout_holds_means_over_four_by_four_parts_mirrored_ones_together(height, width):
    rgb = random_planes(height, width, seed=3)
    rows, columns = height // 4, width // 4
    small = rgb[:, :, : 4 * rows, : 4 * columns].reshape(2, 3, rows, 4, columns, 4).mean((3, 5))
    colours = opponent_colours(torch.from_numpy(small))
    deviation = local_statistics(colours)[1].numpy()
    planes = np.stack([colours[:, 0].numpy(), np.log2(deviation[:, 0]) / 4], axis=1)
    # Every sample sixteen times, so that parts that end within a sample are exact means.
    fine = planes.repeat(4, axis=2).repeat(4, axis=3)
    parts = fine.reshape(2, 2, 4, rows, 4, columns).mean((3, 5))
    # The outer columns of parts, then the inner ones.
    expected = np.stack([parts[..., [0, 3]].mean(3), parts[..., [1, 2]].mean(3)], axis=3)
    layout = scene_layout(torch.from_numpy(rgb))
    assert layout.shape == (2, LAYOUT) == (2, 16)
    np.testing.assert_allclose(layout, expected.reshape(2, 16), rtol=0, atol=1e-9)


@pytest.mark.parametrize(("height", "width"), [(16, 16), (64, 80), (20, 36), (41, 52)])
def test_a_picture_and_its_mirror_image_have_the_same_layout(height, width):
    # Widths are multiples of 4: of others the shrinking leaves out the last columns, which mirroring changes.
    rgb = torch.from_numpy(random_planes(height, width, seed=4))
    layout = scene_layout(rgb)
    torch.testing.assert_close(scene_layout(rgb.flip(3)), layout, rtol=0, atol=1e-9)
    assert (scene_layout(rgb.flip(2)) - layout).abs().max() > 1e-3


def luma_and_contrast(rgb):
    """Rows from above to below; outer, then inner columns."""
    return scene_layout(rgb)[0].reshape(2, 4, 2)


def test_the_layout_tells_above_from_below():
    rgb = torch.full((1, 3, 64, 64), 0.2)
    rgb[:, :, :16] = 1.0
    luma, _ = luma_and_contrast(rgb)
    torch.testing.assert_close(luma, torch.tensor([[1.0], [0.2], [0.2], [0.2]]).expand(4, 2))
    luma, _ = luma_and_contrast(rgb.flip(2))
    torch.testing.assert_close(luma, torch.tensor([[0.2], [0.2], [0.2], [1.0]]).expand(4, 2))


def test_the_layout_tells_the_middle_from_the_sides_and_not_left_from_right():
    rgb = torch.full((1, 3, 64, 64), 0.2)
    rgb[..., :16] = 1.0
    for one in (rgb, rgb.flip(3)):
        luma, _ = luma_and_contrast(one)
        torch.testing.assert_close(luma, torch.tensor([0.6, 0.2]).expand(4, 2))
    luma, _ = luma_and_contrast(rgb.roll(16, 3))
    torch.testing.assert_close(luma, torch.tensor([0.2, 0.6]).expand(4, 2))


def test_the_layout_tells_where_the_contrast_is():
    rgb = torch.full((1, 3, 128, 128), 0.5)
    rgb[:, :, 32:64, 32:96] = torch.from_numpy(random_planes(32, 64, count=1)).float()
    _, contrast = luma_and_contrast(rgb)
    assert contrast.argmax() == 2 * 1 + 1
    _, contrast = luma_and_contrast(rgb.roll((32, 64), (2, 3)))
    assert contrast.argmax() == 2 * 2
