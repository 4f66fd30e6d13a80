"""Every distortion against its published definition."""

import cv2
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, uniform_filter

from birqa.data.distortions import (
    KADID10K,
    LEVELS,
    TID2013_EXACT,
    blur,
    brightness,
    colour,
    compression,
    noise,
    sharpness,
    spatial,
)
from birqa.data.distortions._pixels import psnr, to_uint8

ALL = [*KADID10K.values(), *TID2013_EXACT.values()]
NAMES = [f"{distortion.database} {distortion.number}" for distortion in ALL]


def _picture(height: int = 144, width: int = 176) -> np.ndarray:
    """Smooth colours, texture and hard edges, on the 8-bit grid like a decoded photograph."""
    rng = np.random.default_rng(5)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    base = np.stack(
        [0.3 + 0.5 * x / width, 0.6 - 0.3 * y / height, 0.35 + 0.2 * np.sin(x / 9 + y / 13)], axis=-1
    )
    texture = cv2.GaussianBlur(rng.standard_normal((height, width, 1)), (0, 0), 1.2)[..., None]
    image = base + 0.15 * texture
    image[height // 4 : height // 2, width // 5 : width // 2] += (0.25, -0.2, 0.1)
    return (np.rint(np.clip(image, 0, 1) * 255) / 255).astype(np.float32)


PICTURE = _picture()
GREY = np.full((160, 160, 3), 0.5, np.float32)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(1)


def _mse(distorted: np.ndarray, reference: np.ndarray = PICTURE) -> float:
    return float(np.mean((distorted.astype(np.float64) - reference) ** 2))


def _colours(image: np.ndarray) -> int:
    return len(np.unique(to_uint8(image).reshape(-1, 3), axis=0))


# What holds for all of them


def test_registries_hold_the_published_types():
    assert sorted(KADID10K) == list(range(1, 26))
    assert sorted(TID2013_EXACT) == [1, 2, 3, 5, 7, 8, 10, 16, 17, 19]
    for registry in (KADID10K, TID2013_EXACT):
        assert all(distortion.number == number for number, distortion in registry.items())
        assert all(len(distortion.strengths) == 5 for distortion in registry.values())


@pytest.mark.parametrize("distortion", ALL, ids=NAMES)
@pytest.mark.parametrize("shape", [(97, 131), (33, 50)])
def test_contract(distortion, shape):
    image = _picture(*shape)
    before = image.copy()
    for level in (1, 5):
        result = distortion.apply(image, level, np.random.default_rng(3))
        again = distortion.apply(image, level, np.random.default_rng(3))
        assert result.shape == image.shape
        assert result.dtype == np.float32
        assert result.min() >= 0.0
        assert result.max() <= 1.0
        np.testing.assert_array_equal(result, again)
        np.testing.assert_array_equal(image, before)
        assert not np.shares_memory(result, image)


RANDOM = {"KADID-10k": {3, 5, 11, 12, 13, 14, 15, 19, 20, 23}, "TID2013": {1, 2, 3, 5, 19}}


@pytest.mark.parametrize("distortion", ALL, ids=NAMES)
def test_only_the_random_ones_depend_on_the_seed(distortion):
    results = [distortion.apply(PICTURE, 5, np.random.default_rng(seed)) for seed in (0, 1)]
    assert np.array_equal(*results) == (distortion.number not in RANDOM[distortion.database])


# Levels of 3, 5, 23 and the like vary with the draw; 18 and 25 are signed.
MONOTONE = [1, 2, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 19, 21, 22, 24]


@pytest.mark.parametrize("number", MONOTONE)
def test_kadid_error_grows_with_level(number):
    errors = [_mse(KADID10K[number].apply(PICTURE, level, np.random.default_rng(0))) for level in LEVELS]
    assert errors == sorted(errors)
    assert errors[4] > 1.5 * max(errors[0], 1e-5)


def test_apply_refuses_what_it_cannot_do(rng):
    with pytest.raises(ValueError, match="levels run from 1 to 5, got 0"):
        KADID10K[1].apply(PICTURE, 0, rng)
    with pytest.raises(ValueError, match="float32 RGB"):
        KADID10K[1].apply(to_uint8(PICTURE), 1, rng)
    with pytest.raises(ValueError, match="float32 RGB"):
        KADID10K[1].apply(PICTURE[..., 0], 1, rng)


# Blur


@pytest.mark.parametrize("sigma", [0.5, 1, 2, 5])
def test_gaussian_blur_is_scipys(sigma):
    expected = gaussian_filter(PICTURE, (sigma, sigma, 0), mode="nearest", truncate=2.0)
    np.testing.assert_allclose(blur.gaussian_blur(PICTURE, sigma), expected, atol=2e-5)


def test_tid_blur_pads_with_black():
    blurred = blur.gaussian_blur_11(np.ones((40, 40, 3), np.float32), 1.7)
    np.testing.assert_allclose(blurred[20, 20], 1.0, atol=1e-6)
    assert blurred[0, 0, 0] < 0.5


def test_disk_kernel_is_matlabs():
    # fspecial('disk', 1)
    expected = [[0.0251, 0.1453, 0.0251], [0.1453, 0.3183, 0.1453], [0.0251, 0.1453, 0.0251]]
    np.testing.assert_allclose(blur.disk_kernel(1), expected, atol=2e-3)
    assert blur.disk_kernel(8).shape == (17, 17)


def test_motion_kernel_is_a_line_at_the_angle():
    # fspecial('motion', 2, 0) and ('motion', 9, 0)
    np.testing.assert_allclose(blur.motion_kernel(2, 0), [[0, 0, 0], [0.25, 0.5, 0.25], [0, 0, 0]], atol=1e-6)
    level = blur.motion_kernel(9, 0)
    np.testing.assert_allclose(level[4], np.full(9, 1 / 9), atol=1e-6)
    np.testing.assert_allclose(blur.motion_kernel(9, 90), level.T, atol=1e-6)
    rising = blur.motion_kernel(9, 45)
    assert rising[1, 7] > 0.05
    assert rising[1, 1] == 0.0
    np.testing.assert_array_equal(blur.motion_kernel(1, 30), [[1.0]])


# Colour


def test_colour_diffusion_keeps_lightness_and_smooths_colour():
    image = np.full((80, 80, 3), (0.55, 0.5, 0.45), np.float32)
    image[:, 40:] = (0.45, 0.5, 0.6)
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2Lab)
    result = cv2.cvtColor(colour.colour_diffusion(image, 1), cv2.COLOR_RGB2Lab)
    np.testing.assert_allclose(result[..., 0], lab[..., 0], atol=1.0)
    expected = gaussian_filter(lab[..., 1:], (3.5, 3.5, 0), mode="nearest", truncate=2.0)
    np.testing.assert_allclose(result[..., 1:], expected, atol=0.6)


def test_colour_shift_moves_green_only_and_at_edges_most(rng):
    image = np.full((120, 120, 3), 0.4, np.float32)
    image[40:80, 40:80] = 0.8
    result = colour.colour_shift(image, 6, rng)
    np.testing.assert_array_equal(result[..., [0, 2]], image[..., [0, 2]])
    changed = np.argwhere(np.abs(result[..., 1] - image[..., 1]) > 0.1)
    assert len(changed) > 0
    assert np.linalg.norm(changed.max(axis=0) - 79) == pytest.approx(6, abs=1.5)


@pytest.mark.parametrize("count", [64, 16, 8])
def test_palette_size(count):
    result = colour.palette_quantisation(PICTURE, count)
    assert count / 2 < _colours(result) <= count


def test_palette_dithers():
    ramp = np.repeat(np.linspace(0, 1, 256, dtype=np.float32)[None, :, None], 64, axis=0).repeat(3, axis=2)
    result = colour.palette_quantisation(ramp, 8)
    assert _colours(result) <= 8
    # Without dither every column would be one colour and the local mean a staircase.
    assert np.abs(uniform_filter(result[..., 0], 9) - ramp[..., 0])[20:44, 30:226].max() < 0.05


def test_palette_keeps_a_picture_of_few_colours():
    image = np.zeros((32, 32, 3), np.float32)
    image[:, 10:] = (1.0, 0.2, 0.0)
    image[20:] = (0.0, 0.4, 0.8)
    np.testing.assert_allclose(colour.palette_quantisation(image, 8), image, atol=1e-6)


def test_saturation_hsv_scales_s_and_keeps_h_and_v():
    before = cv2.cvtColor(PICTURE, cv2.COLOR_RGB2HSV)
    after = cv2.cvtColor(colour.saturation_hsv(PICTURE, 0.4), cv2.COLOR_RGB2HSV)
    np.testing.assert_allclose(after[..., 1], 0.4 * before[..., 1], atol=1e-4)
    np.testing.assert_allclose(after[..., 2], before[..., 2], atol=1e-6)
    assert np.ptp(colour.saturation_hsv(PICTURE, 0.0), axis=2).max() == 0.0
    red = np.full((4, 4, 3), (0.5, 0.3, 0.3), np.float32)
    np.testing.assert_allclose(colour.saturation_hsv(red, -0.4)[0, 0], (0.5, 0.58, 0.58), atol=1e-6)


def test_saturation_lab_scales_a_and_b():
    np.testing.assert_allclose(colour.saturation_lab(PICTURE, 1), PICTURE, atol=1 / 255)
    pale = 0.5 + 0.25 * (PICTURE - 0.5)
    before = cv2.cvtColor(pale, cv2.COLOR_RGB2Lab)
    after = cv2.cvtColor(colour.saturation_lab(pale, 3), cv2.COLOR_RGB2Lab)
    np.testing.assert_allclose(after[..., 1:], 3 * before[..., 1:], atol=0.8)
    assert np.abs(before[..., 1:]).max() > 5


# Compression


@pytest.mark.parametrize(("database", "number"), [(KADID10K, 9), (KADID10K, 10), (TID2013_EXACT, 10)])
def test_codecs_lose_more_at_higher_levels(database, number):
    reached = [
        psnr(PICTURE, database[number].apply(PICTURE, level, np.random.default_rng(0))) for level in LEVELS
    ]
    assert reached == sorted(reached, reverse=True)
    assert 20 < reached[0] < 50
    assert reached[0] - reached[4] > 4


def test_jpeg_halves_chroma():
    stripes = np.full((64, 64, 3), 0.5, np.float32)
    stripes[:, ::2, 0] += 0.2
    stripes[:, ::2, 2] -= 0.2
    result = compression.jpeg(stripes, 95)
    red_less_blue = result[..., 0] - result[..., 2]
    assert np.abs(red_less_blue[:, ::2] - red_less_blue[:, 1::2]).mean() < 0.15


def test_jpeg2000_is_close_to_lossless_at_a_low_ratio():
    assert psnr(PICTURE, compression.jpeg2000(PICTURE, 2)) > 38


# Noise


@pytest.mark.parametrize("variance", KADID10K[11].strengths)
def test_white_noise_variance(variance, rng):
    error = noise.white_noise(GREY, variance, rng) - GREY
    assert error.var() == pytest.approx(variance, rel=0.03)
    assert error.mean() == pytest.approx(0, abs=4 * np.sqrt(variance / error.size))
    assert np.corrcoef(error[..., 0].ravel(), error[..., 1].ravel())[0, 1] == pytest.approx(0, abs=0.03)


def test_ycbcr_noise_variance(rng):
    error = noise.ycbcr_noise(GREY, 0.001, rng) - GREY
    red, green, blue = error[..., 0], error[..., 1], error[..., 2]
    luma = (65.481 * red + 128.553 * green + 24.966 * blue) / 255
    chroma_blue = (-37.797 * red - 74.203 * green + 112 * blue) / 255
    assert luma.var() == pytest.approx(0.001, rel=0.04)
    assert chroma_blue.var() == pytest.approx(0.001, rel=0.04)
    chroma_red = (112 * red - 93.786 * green - 18.214 * blue) / 255
    assert chroma_red.var() == pytest.approx(0.001, rel=0.04)


def test_impulse_noise_density(rng):
    changed = noise.impulse_noise(GREY, 0.03, rng)
    assert (changed != GREY).mean() == pytest.approx(0.03, rel=0.1)
    assert set(np.unique(changed)) == {0.0, 0.5, 1.0}
    assert (changed == 0).mean() == pytest.approx(0.015, rel=0.15)
    assert (changed[..., 0] != changed[..., 1]).any()


def test_multiplicative_noise_follows_the_signal(rng):
    image = np.full((160, 160, 3), 0.2, np.float32)
    image[80:] = 0.6
    error = noise.multiplicative_noise(image, 0.01, rng) - image
    assert error[:80].var() == pytest.approx(0.01 * 0.2**2, rel=0.05)
    assert error[80:].var() == pytest.approx(0.01 * 0.6**2, rel=0.05)


def test_denoiser_removes_noise_and_keeps_a_clean_picture():
    noisy = noise.white_noise(PICTURE, 0.01, np.random.default_rng(2))
    result = noise.denoised(PICTURE, 0.01, np.random.default_rng(2))
    assert _mse(result) < 0.4 * _mse(noisy)
    np.testing.assert_allclose(noise.dct_denoise(PICTURE, 0.0), PICTURE, atol=1e-5)


@pytest.mark.parametrize("level", LEVELS)
def test_tid_noise_variances(level):
    variance = (32, 64, 130, 260, 522)[level - 1]
    for number in (1, 3):
        error = 255 * (TID2013_EXACT[number].apply(GREY, level, np.random.default_rng(0)) - GREY)
        assert error.var() == pytest.approx(variance, rel=0.06)
    error = 255 * (TID2013_EXACT[2].apply(GREY, level, np.random.default_rng(0)) - GREY)
    assert error.var() == pytest.approx(31.2 * 2 ** (level - 1), rel=0.04)
    assert (error @ (0.299, 0.587, 0.114)).var() == pytest.approx(16 * 2**level / 8.7, rel=0.05)


def test_correlated_noise_is_correlated(rng):
    error = noise.correlated_noise(GREY, 0.001, rng)[..., 0] - 0.5
    neighbours = np.corrcoef(error[:, 1:].ravel(), error[:, :-1].ravel())[0, 1]
    assert neighbours == pytest.approx(2 / 3, abs=0.05)


def test_high_frequency_noise_has_little_low_frequency(rng):
    error = noise.high_frequency_noise(GREY, 30, rng)[..., 0] - 0.5
    assert uniform_filter(error, 5).var() < 0.01 * error.var()


# PSNR targets


@pytest.mark.parametrize("number", [5, 7, 19])
def test_tid_psnr_targets(number):
    distortion = TID2013_EXACT[number]
    for level, target in enumerate(distortion.strengths, 1):
        reached = psnr(PICTURE, distortion.apply(PICTURE, level, np.random.default_rng(0)))
        # The error of quantisation jumps where a step passes a grey level.
        assert reached == pytest.approx(target, abs=0.5 if number == 7 else 0.02)


def test_uniform_quantisation_keeps_multiples_of_a_step():
    values = np.unique(spatial.uniform_quantisation(PICTURE, 24.0))
    inner = values[values < 1.0]
    assert len(values) < 12
    np.testing.assert_allclose(np.diff(inner), inner[1] - inner[0], rtol=1e-4)


# Brightness and contrast


def test_brighten_and_darken_follow_the_parabola_on_grey():
    ramp = np.repeat(np.linspace(0, 1, 101, dtype=np.float32)[None, :, None], 3, axis=2)
    # Through (0, 0), (.5, .5 + s/2), (1, 1): x + 2 s x (1 - x).
    curve = ramp + 0.4 * ramp * (1 - ramp)
    lightness = cv2.cvtColor(ramp, cv2.COLOR_RGB2Lab)
    lightness[..., 0] = 100 * (
        lightness[..., 0] / 100 + 0.4 * lightness[..., 0] / 100 * (1 - lightness[..., 0] / 100)
    )
    expected = (2 * curve + cv2.cvtColor(lightness, cv2.COLOR_Lab2RGB)) / 3
    np.testing.assert_allclose(brightness.brighten(ramp, 0.2), expected, atol=1e-3)
    assert brightness.brighten(PICTURE, 0.2).mean() > PICTURE.mean() > brightness.darken(PICTURE, 0.2).mean()
    np.testing.assert_allclose(brightness.darken(ramp, 0.0), ramp, atol=1e-3)


def test_mean_shift_is_exact():
    np.testing.assert_allclose(brightness.mean_shift(GREY, 0.15), 0.65, atol=1e-6)
    np.testing.assert_array_equal(KADID10K[18].apply(PICTURE, 3, np.random.default_rng(0)), PICTURE)
    shifted = [TID2013_EXACT[16].apply(GREY, level, np.random.default_rng(0)).mean() for level in LEVELS]
    np.testing.assert_allclose((np.array(shifted) - 0.5) * 255, [-6, 10, -20, 30, -40], atol=1e-3)


def test_contrast_curve_passes_its_points():
    points = np.array([0.0, 0.3, 0.5, 0.7, 1.0], np.float32)[None, :, None].repeat(3, axis=2)
    for amount in KADID10K[25].strengths:
        expected = [0.0, 0.25 - amount / 4, 0.5, 0.75 + amount / 4, 1.0]
        np.testing.assert_allclose(sharpness.contrast_curve(points, amount)[0, :, 0], expected, atol=1e-5)
    np.testing.assert_allclose(sharpness.contrast_curve(PICTURE, -0.2), PICTURE, atol=1e-5)


def test_contrast_about_mean_is_exact():
    pale = 0.4 + 0.2 * PICTURE
    result = sharpness.contrast_about_mean(pale, 1.45)
    assert result.mean() == pytest.approx(pale.mean(), abs=1e-5)
    assert result.std() == pytest.approx(1.45 * pale.std(), rel=1e-4)


def test_high_sharpen_overshoots_at_an_edge():
    edge = np.full((60, 60, 3), 0.3, np.float32)
    edge[:, 30:] = 0.6
    lightness = cv2.cvtColor(sharpness.high_sharpen(edge, 1), cv2.COLOR_RGB2Lab)[30, :, 0]
    before = cv2.cvtColor(edge, cv2.COLOR_RGB2Lab)[..., 0]
    blurred = gaussian_filter(before, 3, mode="nearest", truncate=2.0)
    np.testing.assert_allclose(lightness, (2 * before - blurred)[30], atol=0.3)
    np.testing.assert_allclose(sharpness.high_sharpen(GREY, 12), GREY, atol=2e-3)


# Places


def test_jitter_moves_pixels_without_new_colours(rng):
    ramp = np.repeat(np.arange(160, dtype=np.float32)[None, :, None] / 160, 160, axis=0).repeat(3, axis=2)
    moved = 160 * (spatial.jitter(ramp, 0.5, rng) - ramp)[20:-20, 20:-20, 0]
    # Later warps interpolate between neighbours already moved, which averages some of the movement away.
    assert 0.6 < moved.std() < 0.5 * np.sqrt(5)
    assert moved.mean() == pytest.approx(0, abs=0.05)
    assert moved.std() > 5 * (160 * (spatial.jitter(ramp, 0.05, rng) - ramp)[20:-20, 20:-20, 0]).std()


def test_non_eccentricity_copies_from_at_most_eight_pixels_away(rng):
    index = np.zeros((100, 100, 3), np.float32)
    index[..., 0] = np.arange(100)[None, :] / 100
    index[..., 1] = np.arange(100)[:, None] / 100
    one = spatial.non_eccentricity_patch(index, 1, rng)
    changed = np.argwhere((one != index).any(axis=2))
    assert len(changed)
    assert (np.ptp(changed, axis=0) <= 15).all()
    assert np.abs(one - index).max() * 100 <= 8.01
    assert set(np.unique(one)) <= set(np.unique(index))


@pytest.mark.parametrize(("amount", "columns", "rows"), [(0.01, 107, 89), (0.5, 35, 30)])
def test_pixelate_leaves_the_pixels_of_the_small_picture(amount, columns, rows):
    index = np.zeros((100, 120, 3), np.float32)
    index[..., 0] = np.arange(120)[None, :] / 120
    index[..., 1] = np.arange(100)[:, None] / 100
    result = spatial.pixelate(index, amount)
    assert len(np.unique(result[0, :, 0])) == columns
    assert len(np.unique(result[:, 0, 1])) == rows
    assert set(np.unique(result)) <= set(np.unique(index))
    # Centred sampling: no systematic displacement.
    assert abs(float((result - index)[..., 0].mean()) * 120) < 0.6


def test_otsu_thresholds_are_the_best_ones():
    histogram = np.random.default_rng(0).integers(0, 50, 24)
    values = np.repeat(np.arange(24), histogram)

    def within(cuts):
        parts = [values[np.searchsorted(cuts, values, side="left") == part] for part in range(3)]
        return sum(part.var() * len(part) for part in parts if len(part))

    best = min(within((a, b)) for a in range(24) for b in range(a + 1, 24))
    assert within(spatial.otsu_thresholds(histogram, 2)) == pytest.approx(best)


@pytest.mark.parametrize("count", [20, 7])
def test_threshold_quantisation_has_one_value_more_than_thresholds(count):
    result = spatial.threshold_quantisation(PICTURE, count)
    values = np.unique(result)
    assert len(values) == count + 1
    assert values[0] == 0.0
    assert values[-1] == 1.0


def test_threshold_quantisation_of_a_flat_picture():
    assert np.unique(spatial.threshold_quantisation(GREY, 7)).size == 1


def test_colour_blocks(rng):
    covered = spatial.colour_blocks(GREY, 2, rng)
    changed = (covered != GREY).any(axis=2)
    assert 32 * 32 < changed.sum() <= 2 * 32 * 32
    assert _colours(covered[changed][None]) == 2
