"""Families of random strength: what holds for all of them, and what each is for."""

import cv2
import numpy as np
import pytest

from birqa.data.distortions import KADID10K
from birqa.data.distortions._pixels import psnr, to_uint8
from birqa.data.distortions.varied import FAMILIES, draw_family, shaped_noise


def _picture(height=96, width=120):
    rng = np.random.default_rng(5)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    base = np.stack([0.3 + 0.4 * x / width, 0.6 - 0.3 * y / height, 0.4 + 0.2 * np.sin(x / 9 + y / 13)], -1)
    grain = cv2.GaussianBlur(rng.standard_normal((height, width)), (0, 0), 1.2)[..., None]
    return (to_uint8(base + 0.15 * grain) / np.float32(255)).astype(np.float32)


PICTURE = _picture()
EACH = pytest.mark.parametrize("name", FAMILIES)


@EACH
@pytest.mark.parametrize("seed", range(12))
def test_each_gives_a_damaged_picture_in_range_and_leaves_its_input_alone(name, seed):
    before = PICTURE.copy()
    out = FAMILIES[name].function(PICTURE, np.random.default_rng(seed))
    np.testing.assert_array_equal(PICTURE, before)
    assert out.shape == PICTURE.shape
    assert out.dtype == np.float32
    assert 0 <= out.min() <= out.max() <= 1
    assert 5 < psnr(PICTURE, out) < 60


@EACH
def test_each_is_decided_by_its_generator(name):
    function = FAMILIES[name].function
    first, again, other = (function(PICTURE, np.random.default_rng(seed)) for seed in (7, 7, 8))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@EACH
def test_each_runs_from_mild_to_strong(name):
    reached = [psnr(PICTURE, FAMILIES[name].function(PICTURE, np.random.default_rng(s))) for s in range(40)]
    assert max(reached) - min(reached) > 8


@EACH
def test_kin_are_types_of_kadid(name):
    assert FAMILIES[name].kin
    assert set(FAMILIES[name].kin) <= set(KADID10K)


def test_families_are_drawn_by_their_shares():
    rng = np.random.default_rng(0)
    drawn = [draw_family(rng) for _ in range(4000)]
    total = sum(family.share for family in FAMILIES.values())
    for name, family in FAMILIES.items():
        assert drawn.count(name) / 4000 == pytest.approx(family.share / total, abs=0.02)


def test_families_are_drawn_evenly_on_request():
    rng = np.random.default_rng(0)
    drawn = [draw_family(rng, ("damaged", "toned")) for _ in range(1000)]
    assert set(drawn) == {"damaged", "toned"}
    assert 400 < drawn.count("toned") < 600


@pytest.mark.parametrize("seed", range(20))
def test_noise_on_grey_has_the_asked_range_of_strengths_and_no_mean(seed):
    grey = np.full((96, 96, 3), 0.5, np.float32)
    out = shaped_noise(grey, np.random.default_rng(seed))
    assert 19.5 < psnr(grey, out) < 42.5


def test_noise_on_a_flat_picture_is_finite():
    for level in (0.0, 1.0):
        flat = np.full((64, 64, 3), level, np.float32)
        for seed in range(20):
            assert np.isfinite(shaped_noise(flat, np.random.default_rng(seed))).all()
