"""The fourteen types of TID2013 that are re-made by a fitted recipe, each against its definition."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.fft import dctn
from scipy.ndimage import gaussian_filter, shift, uniform_filter

import birqa
from birqa.data.distortions import LEVELS, TID2013, TID2013_EXACT
from birqa.data.distortions.lookup import find_distortion
from birqa.data.distortions.transform import ShiftedDCT, from_blocks, reach_psnr_log, to_blocks
from birqa.data.synthesis import build_tid2013

EXAMPLES = Path(__file__).parents[2] / "examples" / "ref"
NEW = sorted(set(TID2013) - set(TID2013_EXACT))
RANDOM = {4, 6, 9, 12, 13, 14, 15, 20, 21}
GREY = np.full((128, 128, 3), 0.5, np.float32)
LUMA = np.array([0.299, 0.587, 0.114])


def _crop(name, top, left, height, width):
    pixels = birqa.load_image(EXAMPLES / f"{name}.webp")
    return (pixels[top : top + height, left : left + width] / np.float32(255)).astype(np.float32)


BIKES = _crop("bikes", 120, 100, 128, 160)
PARROTS = _crop("parrots", 90, 240, 128, 160)


def _make(number, level, image=BIKES, seed=0):
    return TID2013[number].apply(image, level, np.random.default_rng(seed))


def _psnr(image, reference=BIKES):
    return -10 * np.log10(np.mean((image.astype(np.float64) - reference) ** 2))


def _changed(image, reference=BIKES):
    return np.abs(image - reference).max(axis=2) > 0


# What holds for all of them


def test_all_24_types_are_there_in_order_and_the_exact_ten_are_the_same():
    assert list(TID2013) == list(range(1, 25))
    assert all(distortion.number == number for number, distortion in TID2013.items())
    assert list(TID2013_EXACT) == [1, 2, 3, 5, 7, 8, 10, 16, 17, 19]
    assert all(TID2013[number] is distortion for number, distortion in TID2013_EXACT.items())


@pytest.mark.parametrize("number", NEW)
@pytest.mark.parametrize("shape", [(32, 32), (61, 47)])
def test_contract(number, shape):
    image = np.ascontiguousarray(BIKES[: shape[0], : shape[1]])
    before = image.copy()
    for level in (1, 5):
        result = _make(number, level, image)
        assert (result.shape, result.dtype) == (image.shape, np.float32)
        assert result.min() >= 0
        assert result.max() <= 1
        assert _changed(result, image).any()
        np.testing.assert_array_equal(result, _make(number, level, image))
        np.testing.assert_array_equal(image, before)
        assert not np.shares_memory(result, image)


@pytest.mark.parametrize("number", NEW)
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_flat_pictures_come_back(number, value):
    flat = np.full((40, 36, 3), value, np.float32)
    result = _make(number, 5, flat)
    assert result.shape == flat.shape
    assert np.isfinite(result).all()


@pytest.mark.parametrize("number", NEW)
def test_only_the_random_ones_depend_on_the_seed(number):
    assert np.array_equal(_make(number, 4), _make(number, 4, seed=1)) == (number not in RANDOM)


# Tolerances in dB: damage by blocks, rows and bits is not continuous, and neither is the number of colours.
TOLERANCES = {4: 0.03, 11: 0.3, 12: 1.5, 13: 1.0, 18: 0.03, 20: 0.03, 21: 0.03, 22: 1.2, 23: 0.1, 24: 0.03}


@pytest.mark.parametrize("number", TOLERANCES)
@pytest.mark.parametrize("image", [BIKES, PARROTS], ids=["bikes", "parrots"])
def test_psnr_targets(number, image):
    targets = (33, 28, 25, 23, 21) if number == 23 else (33, 30, 27, 24, 21)
    for level, target in enumerate(targets, 1):
        assert _psnr(_make(number, level, image), image) == pytest.approx(target, abs=TOLERANCES[number])


def test_the_search_gives_the_nearest_where_the_target_is_out_of_reach():
    tried = []

    def brighter(by):
        tried.append(by)
        return np.clip(GREY + np.float32(by), 0, 1)

    assert _psnr(reach_psnr_log(GREY, brighter, 30, 1e-3, 0.5), GREY) == pytest.approx(30, abs=0.02)
    assert all(1e-3 <= by <= 0.5 for by in tried)
    tried.clear()
    nearest = reach_psnr_log(GREY, brighter, 3, 1e-3, 0.2)
    assert len(tried) < 20
    assert nearest.mean() - 0.5 == pytest.approx(max(tried), abs=1e-6)


def test_blocks_come_back_whole():
    image = np.ascontiguousarray(BIKES[:45, :70])
    blocks = to_blocks(image, 16)
    assert blocks.shape == (3, 5, 3, 16, 16)
    np.testing.assert_array_equal(blocks[1, 2, 0], image[16:32, 32:48, 0])
    np.testing.assert_array_equal(from_blocks(blocks, 45, 70), image)
    shifted = ShiftedDCT(image, 16, [(0, 0), (3, 9)])
    np.testing.assert_allclose(shifted.threshold(np.zeros(3, np.float32)), image, atol=1e-5)


# Noise


def test_masked_noise_hides_in_texture():
    image = GREY.copy()
    image[:, 64:] += 0.2 * np.random.default_rng(1).uniform(-1, 1, (128, 64, 3)).astype(np.float32)
    error = _make(4, 1, image) - image
    assert np.abs(error[:, :64]).max() < 1e-4
    assert error[:, 64:].std() > 0.02


def test_masked_noise_has_no_block_mean_and_much_detail():
    pale = 0.25 + 0.5 * BIKES
    error = (_make(4, 1, pale) - pale)[..., 1]
    blocks = error.reshape(16, 8, 20, 8).transpose(0, 2, 1, 3)
    np.testing.assert_allclose(blocks.mean(axis=(2, 3)), 0, atol=1e-4)
    energy = np.mean(dctn(blocks, axes=(2, 3), norm="ortho") ** 2, axis=(0, 1))
    assert energy[7, 7] > 10 * energy[1, 1]


@pytest.mark.parametrize("level", LEVELS)
def test_impulses_are_even_and_as_dense_as_stated(level):
    density = (0.004, 0.0085, 0.017, 0.034, 0.068)[level - 1]
    flat = np.full((400, 400, 3), 0.3, np.float32)
    result = _make(6, level, flat)
    hit = result != flat
    assert hit.mean() == pytest.approx(density, rel=0.06)
    values = 255 * result[hit]
    np.testing.assert_allclose(values, np.rint(values), atol=1e-3)
    assert values.mean() == pytest.approx(127.5, abs=8)
    assert values.std() == pytest.approx(255 / np.sqrt(12), abs=5)
    # The channels are hit apart from each other.
    assert (hit[..., 0] & hit[..., 1]).mean() < 3 * density**2 + 1e-4


def test_denoising_leaves_less_than_the_noise_and_a_flat_picture_smooth():
    strengths = TID2013[9].strengths
    assert list(strengths) == sorted(strengths)
    for level, deviation in enumerate(strengths, 1):
        noise_left = _make(9, level, GREY) - GREY
        assert noise_left.std() < 0.35 * deviation
        if level < 5:
            assert np.sqrt(np.mean((_make(9, level) - BIKES) ** 2)) < deviation
    blurred = _make(9, 5)
    detail = [np.std(picture - gaussian_filter(picture, (1, 1, 0))) for picture in (blurred, BIKES)]
    assert detail[0] < 0.6 * detail[1]


# Compression and transmission


def test_jpeg2000_is_the_codecs_own_picture():
    # A wavelet codec has no blocks: the error is no larger at multiples of 8 than between them.
    error = np.abs(np.diff(_make(11, 3) - BIKES, axis=1)).mean(axis=(0, 2))
    at_edges = error[7::8].mean()
    assert at_edges == pytest.approx(np.delete(error, slice(7, None, 8)).mean(), rel=0.15)


def test_comfort_noise_keeps_detail_that_coding_alone_would_drop():
    def detail(picture):
        return np.std(picture @ LUMA - gaussian_filter(picture @ LUMA, 1))

    for image in (BIKES, PARROTS):
        # At the same PSNR, sparse coding only drops; comfort noise fills.
        assert detail(_make(20, 4, image)) > 1.2 * detail(_make(24, 4, image))


def test_compression_of_a_noisy_picture_leaves_grains():
    result = _make(21, 3, GREY) @ LUMA
    coefficients = dctn(result.reshape(16, 8, 16, 8).transpose(0, 2, 1, 3), axes=(2, 3), norm="ortho")
    coefficients[..., 0, 0] = 0
    few = np.abs(coefficients) > 0.01
    assert 0.001 < few.mean() < 0.5
    # What is left are whole steps of one size, here times one or two.
    steps = np.abs(coefficients[few]) / np.abs(coefficients[few]).min()
    np.testing.assert_allclose(steps, np.rint(steps), atol=0.05)


def test_sparse_sampling_of_a_sparse_picture_changes_nothing():
    wave = 0.5 + 0.3 * np.cos(np.pi * (np.arange(128) + 0.5) * 4 / 64)
    image = np.broadcast_to(wave[None, :, None], (128, 128, 3)).astype(np.float32)
    # The one wave must be kept whole or dropped, so no PSNR between is reached.
    assert _psnr(_make(24, 5, image), image) > 60 or _psnr(_make(24, 5, image), image) < 20


def test_jpeg_transmission_errors_begin_somewhere_and_last_to_the_end_of_a_row():
    strips = np.abs(_make(12, 2) - BIKES).max(axis=2).reshape(8, 16, 160).max(axis=1)
    sound = np.abs(cv2.blur(strips, (9, 1)))
    damaged = sound.max(axis=1) > 0.3
    assert 0 < damaged.sum() < 8
    spoilt = [np.abs(_make(12, level) - BIKES).reshape(8, -1).mean(axis=1) for level in (1, 3, 5)]
    assert spoilt[0].sum() < spoilt[1].sum() < spoilt[2].sum()


@pytest.mark.parametrize("image", [BIKES, PARROTS], ids=["bikes", "parrots"])
def test_jpeg2000_transmission_errors_hit_coarse_shapes_too(image):
    # The codec alone drops fine detail; a flipped bit also upsets wavelets as large as a blotch.
    shares = []
    for number in (11, 13):
        error = _make(number, 3, image) - image
        shares.append(np.mean(gaussian_filter(error, (4, 4, 0)) ** 2) / np.mean(error**2))
    assert shares[1] > 1.5 * shares[0]


# Places


def test_non_eccentricity_copies_patches_from_nearby():
    rows, columns = np.mgrid[0:120, 0:150].astype(np.float32)
    image = np.stack([rows / 256, columns / 256, np.zeros_like(rows)], axis=2)
    result = _make(14, 3, image)
    moved = np.rint(256 * (result - image)[..., :2]).reshape(-1, 2)
    distances = np.linalg.norm(moved[np.abs(moved).sum(axis=1) > 0], axis=1)
    assert distances.min() > 4
    assert distances.max() < 11
    # Eight to 34 patches of 10 x 10, some of which overlap.
    areas = [_changed(_make(14, level, image), image).sum() for level in (2, 3, 4, 5)]
    assert 100 < areas[0] < areas[2] < areas[3] <= 100 * 34


def test_non_eccentricity_of_level_1_moves_little_until_33_db():
    rows, columns = np.mgrid[0:120, 0:150].astype(np.float32)
    image = np.stack([rows / 256, columns / 256, np.zeros_like(rows)], axis=2)
    moved = np.rint(256 * (_make(14, 1, image) - image)[..., :2]).reshape(-1, 2)
    assert np.linalg.norm(moved, axis=1).max() <= 5
    assert _psnr(_make(14, 1)) == pytest.approx(33, abs=1.2)


@pytest.mark.parametrize(("level", "count", "distance"), [(1, 13, 36), (3, 6, 70), (5, 2, 150)])
def test_local_blocks(level, count, distance):
    image = np.tile(BIKES, (3, 4, 1))[:384, :512]
    result = _make(15, level, np.ascontiguousarray(image))
    changed = _changed(result, image)
    colours = np.unique(np.rint(255 * result[changed]), axis=0)
    labels, _, boxes, _ = cv2.connectedComponentsWithStats(changed.astype(np.uint8), connectivity=4)
    assert changed.sum() == pytest.approx(count * 32 * 32, rel=0.01)
    assert len(colours) == count
    assert labels - 1 <= count
    assert all(box[2] >= 32 and box[3] >= 32 for box in boxes[1:])
    away = np.sqrt(np.mean((colours - 255 * image.mean((0, 1))) ** 2, axis=1))
    np.testing.assert_allclose(away, distance, atol=7)


# Colour


@pytest.mark.parametrize("level", LEVELS)
def test_saturation_keeps_luma_and_scales_colour_alike(level):
    pale = 0.3 + 0.4 * PARROTS
    result = _make(18, level, pale)
    np.testing.assert_allclose(result @ LUMA, pale @ LUMA, atol=1e-4)
    colour, before = (picture - (picture @ LUMA)[..., None] for picture in (result, pale))
    scale = np.sum(colour * before) / np.sum(before**2)
    assert -1.01 < scale < 1
    np.testing.assert_allclose(colour, scale * before, atol=1e-4)


def test_palette_shrinks_with_the_level_and_dithers():
    counts = [len(np.unique(_make(22, level).reshape(-1, 3), axis=0)) for level in LEVELS]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > 12
    assert 2 <= counts[4] < 10
    ramp = np.repeat(np.linspace(0.2, 0.8, 128, dtype=np.float32)[None, :, None], 128, axis=0).repeat(
        3, axis=2
    )
    result = _make(22, 5, ramp)
    assert len(np.unique(result)) <= 4
    assert np.abs(uniform_filter(result[..., 0], 11) - ramp[..., 0])[20:108, 25:103].max() < 0.1


def test_chromatic_aberration_moves_red_right_and_blue_down():
    result = _make(23, 1)
    np.testing.assert_array_equal(result[..., 1], BIKES[..., 1])
    by = min(
        np.linspace(0.02, 1.9, 95),
        key=lambda x: np.abs(shift(BIKES[..., 0], (0, x), order=1) - result[..., 0])[8:-8, 8:-8].max(),
    )
    inner = np.s_[8:-8, 8:-8]
    for channel, way in ((0, (0, by)), (2, (by, 0))):
        expected = shift(BIKES[..., channel], way, order=1)
        np.testing.assert_allclose(result[..., channel][inner], expected[inner], atol=0.02)


def test_chromatic_aberration_blurs_where_two_pixels_are_too_little():
    smooth = gaussian_filter(PARROTS, (4, 4, 0))
    result = _make(23, 5, smooth)
    assert _psnr(result, smooth) == pytest.approx(21, abs=0.3)
    assert np.abs(np.diff(result[..., 1], axis=1)).max() < np.abs(np.diff(smooth[..., 1], axis=1)).max()


# Around them


def test_building_takes_every_type_and_refuses_others(tmp_path):
    with pytest.raises(ValueError, match="type 25 cannot be re-made; choose from 1 to 24"):
        build_tid2013(tmp_path, tmp_path, ratings_csv=tmp_path / "none.csv", types=(1, 25))
    # 13 is known, so that what is missing first is the table.
    with pytest.raises(FileNotFoundError, match=r"none\.csv not found"):
        build_tid2013(tmp_path, tmp_path, ratings_csv=tmp_path / "none.csv", types=range(1, 25))


def test_finding_by_number_and_rough_name():
    for wanted, number in {
        "10": 10,
        "jpeg": 10,
        "JPEG 2000": 11,
        "jpeg2000": 11,
        "gaussian-blur": 8,
        "Impulse": 6,
        "quantization": 7,
        "sparse_sampling": 24,
    }.items():
        assert find_distortion(TID2013, wanted).number == number, wanted
    with pytest.raises(ValueError, match=r"no type 25; choose from 1 to 24"):
        find_distortion(TID2013, "25")
    with pytest.raises(
        ValueError, match=r"'gausian blurr' is no type of TID2013; near it: Gaussian blur \(8\)"
    ):
        find_distortion(TID2013, "gausian blurr")
    with pytest.raises(ValueError, match=r"more than one .*JPEG 2000 transmission errors \(13\)"):
        find_distortion(TID2013, "jpeg2")
    with pytest.raises(ValueError, match="no type 'zzz'"):
        find_distortion(TID2013, "zzz")
    with pytest.raises(ValueError, match="no type ''"):
        find_distortion(TID2013, "")
