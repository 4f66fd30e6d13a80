import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.color import rgb2ycbcr

from birqa.features.colour import colour_difference, luma, rgb_to_ycbcr


def pixel(*rgb):
    return torch.tensor(rgb, dtype=torch.float64).reshape(1, 3, 1, 1)


@pytest.mark.parametrize(
    ("rgb", "ycbcr"),
    [
        ((1, 0, 0), (0.299, 0.331364, 0.999813)),
        ((0, 1, 0), (0.587, 0.168932, 0.081469)),
        ((0, 0, 1), (0.114, 0.999704, 0.418718)),
        ((1, 1, 1), (1, 0.5, 0.5)),
        ((0, 0, 0), (0, 0.5, 0.5)),
        ((0.25, 0.25, 0.25), (0.25, 0.5, 0.5)),
    ],
    ids=["red", "green", "blue", "white", "black", "grey"],
)
def test_primaries_match_values_worked_by_hand(rgb, ycbcr):
    np.testing.assert_allclose(rgb_to_ycbcr(pixel(*rgb)).flatten().numpy(), ycbcr, atol=1e-12)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_conversion_agrees_with_scikit_image_stretched_from_studio_to_full_range(seed):
    rgb = np.random.default_rng(seed).random((6, 7, 3))
    studio = rgb2ycbcr(rgb)
    full = np.stack([(studio[..., 0] - 16) / 219, *((studio[..., i] - 128) / 224 + 0.5 for i in (1, 2))])
    ours = rgb_to_ycbcr(torch.tensor(rgb).permute(2, 0, 1)[None])[0].numpy()
    # The classic .564 and .713 are the exact chroma factors rounded to three digits.
    np.testing.assert_allclose(ours, full, atol=1e-3)


def test_luma_is_the_first_channel_of_the_conversion():
    picture = torch.rand(2, 3, 5, 4)
    assert torch.equal(luma(picture), rgb_to_ycbcr(picture)[:, :1])


def test_difference_is_distorted_minus_reference():
    red, grey = rgb_to_ycbcr(pixel(1, 0, 0)), rgb_to_ycbcr(pixel(0.5, 0.5, 0.5))
    worked = (0.299 - 0.5, 0.331364 - 0.5, 0.999813 - 0.5)
    np.testing.assert_allclose(colour_difference(grey, red).flatten().numpy(), worked, atol=1e-12)


def test_identical_pictures_differ_by_exactly_zero():
    picture = torch.rand(2, 3, 9, 8)
    difference = colour_difference(rgb_to_ycbcr(picture), rgb_to_ycbcr(picture.clone()))
    assert torch.equal(difference, torch.zeros_like(picture))
